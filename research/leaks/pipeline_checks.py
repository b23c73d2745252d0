"""A whole pipeline, scaling, choice of features, fit and score, run again on rows whose future is another.

A pipeline is a function (examples, training rows, test rows) -> a score for each test row. It may learn from
test rows as their labels mature, as an online model does; it may not know a row before it is decided, nor an
answer before it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from kitepilot.market.calendar import to_ist
from research.examples import Examples
from research.leaks.comparing import different, failed, passed, skipped, value
from research.leaks.report import Finding, Where
from research.leaks.row_checks import Split

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Pipeline = Callable[[Examples, Ints, Ints], Floats]
Progress = Callable[[int], None]
MOMENTS = 3  # in each fold, its first decision among them


def pipeline(
    run: Pipeline,
    examples: Examples,
    folds: Sequence[Split],
    rng: np.random.Generator,
    told: Progress = lambda _: None,
) -> Iterator[Finding]:
    """At some moments of each test: later rows are changed, then later answers; earlier scores must stay."""
    judged = 0
    for number, fold in enumerate(folds):
        if not len(fold.test) or not len(fold.train):
            continue
        scores = _scores(run, examples, fold)
        told(1)
        decided = examples.decided_at[fold.test]
        for moment in _moments(decided, rng):
            for text, changed in _other_futures(examples, moment, rng):
                now = _scores(run, changed, fold)
                told(1)
                early = decided <= moment
                apart = early & different(_cube(now), _cube(scores), exact=False)[:, 0, 0]
                if apart.any():
                    at = int(apart.argmax())
                    row = int(fold.test[at])
                    what = (
                        f"fold {number}: the score {value(scores[at])} becomes {value(now[at])} when {text} "
                        f"after {_ist(moment)} are others"
                    )
                    stamp = to_ist(int(examples.decided_at[row]))
                    place = Where(str(int(examples.token[row])), f"{stamp:%Y-%m-%d}", f"{stamp:%H:%M}")
                    yield failed("pipeline", "pipeline", what, place, f"fold {number}, examples row {row}")
                    return
        judged += 1
    if judged:
        yield passed("pipeline", "pipeline", f"{judged} folds: scores stay when the future is another")
    else:
        yield skipped("pipeline", "pipeline", "no fold has training and test rows")


def _moments(decided: Ints, rng: np.random.Generator) -> list[int]:
    times = np.unique(decided)
    inner = times[rng.integers(0, len(times), MOMENTS - 1)]
    return sorted({int(times[0]), *inner.tolist()})


def _other_futures(
    examples: Examples, moment: int, rng: np.random.Generator
) -> Iterator[tuple[str, Examples]]:
    """What the moment cannot know, changed: rows decided later; answers that mature later."""
    later = examples.decided_at > moment
    scale = 1.0 + 9.0 * rng.random((1, examples.x.shape[1]))
    x = np.where(later[:, None], examples.x * scale + rng.normal(size=examples.x.shape), examples.x)
    yield "the rows", replace(examples, x=x)
    unknown = examples.matured_at > moment
    y = np.where(unknown, 1.0 - examples.y, examples.y)
    outcome = np.where(unknown, -examples.outcome_bps + rng.normal(0, 50, len(y)), examples.outcome_bps)
    yield "the answers that mature", replace(examples, y=y, outcome_bps=outcome)


def _scores(run: Pipeline, examples: Examples, fold: Split) -> Floats:
    found = np.asarray(run(examples, fold.train, fold.test), dtype=np.float64)
    if found.shape != fold.test.shape:
        raise ValueError(f"the pipeline gives {found.shape} scores for {len(fold.test)} test rows")
    return found


def _cube(column: Floats) -> Floats:
    return column[:, None, None]


def _ist(at: int) -> str:
    return f"{to_ist(at):%Y-%m-%d %H:%M}"
