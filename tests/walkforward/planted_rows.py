"""Labelled rows in which `lean` tells something, `still` never moves and `void` is never known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np

from research.examples import Examples
from research.generated_bars import weekdays
from research.walkforward.rows import keep_rows
from research.walkforward.run import Run, walk_forward
from research.walkforward.settings import Origin, Settings

FEATURES = ("lean", "noise", "drift", "still", "void")
DAYS = weekdays(date(2026, 1, 5), 11)
MINUTE = 60_000_000_000
DAY = 1_440 * MINUTE
ORIGIN = Origin(
    data="planted", data_hash="d", features_hash="f", horizon_s=300, cost_bps=11.0, code_version="c"
)
INSTRUMENTS, MINUTES = 20, 40


def day_of(day: date, horizon_ns: int = 5 * MINUTE) -> Examples:
    number = day.toordinal() - date(1970, 1, 1).toordinal()
    rng = np.random.default_rng(number)
    count = INSTRUMENTS * MINUTES
    x = rng.normal(size=(count, len(FEATURES)))
    truth = x[:, 0] + rng.normal(size=count)
    x[rng.random(x.shape) < 0.02] = np.nan
    x[:, 3], x[:, 4] = 3.0, np.nan
    decided = np.repeat(number * DAY + np.arange(MINUTES) * MINUTE + 225 * MINUTE, INSTRUMENTS)
    return Examples(
        features=FEATURES,
        x=x,
        y=(truth > 0.5).astype(np.float64),
        outcome_bps=(truth - 0.7) * 10.0,
        decided_at=decided,
        matured_at=decided + horizon_ns,
        token=np.tile(np.arange(INSTRUMENTS), MINUTES),
        session=np.full(count, number),
        weight=rng.uniform(0.5, 1.5, count),
        label="planted",
    )


def settings_of(**changes: object) -> Settings:
    told: dict[str, object] = {
        **{"features": FEATURES, "scheme": "rolling:5/2", "trials": 2, "parameters": {"trees": 20}},
        **changes,
    }
    return Settings(**told)  # type: ignore[arg-type]


def kept(folder: Path, change: Callable[[Examples], Examples] = lambda day: day) -> Path:
    """The rows of all days, each changed, in `folder`/rows."""

    def each() -> Iterator[Examples]:
        yield from (change(day_of(day)) for day in DAYS)

    keep_rows(folder / "rows", each())
    return folder / "rows"


def run_in(folder: Path, settings: Settings | None = None, jobs: int = 1) -> Run:
    chosen = settings or settings_of()
    return walk_forward(folder / "training", folder / "rows", chosen, ORIGIN, jobs, lambda _: None)


if __name__ == "__main__":
    run_in(Path(sys.argv[1]), jobs=int(sys.argv[2]))
