"""`make seed`: earlier synthetic sessions -> labelled rows -> a trained model in `<home>/models`.

The same seed and date give the same artifact, byte for byte; an artifact that is already there for the same
specification is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import date
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from kitepilot.config import Config
from kitepilot.kernels import layout
from kitepilot.kernels.shard import SECOND_NAMES, ShardSpec
from kitepilot.market import calendar
from kitepilot.market.ticks import KIND_CLOCK, RECORD_DTYPE, own_record, records
from kitepilot.models import reference, training
from kitepilot.models.labels import LABEL
from kitepilot.models.loading import artifact_name, card_name, read_card, write_card
from kitepilot.models.port import ModelCard, ModelError

#: The market the first model learns from. Features are relative, so it serves any number of instruments.
INSTRUMENTS = 50
UPDATES_PER_S = 1.5
MAX_DAYS = 60
MS = 1_000_000

Progress = Callable[[str, float], None]  # what is being done, share of the whole 0..1


def seed(
    home: Path, days: int, seed: int, progress: Progress, *, config: Config | None = None
) -> dict[str, Any]:
    """Train on `days` synthetic sessions before `session.date`; the last one validates.

    Returns:
        trained (False when the artifact was there), model_id, artifact, card (paths), metrics, dates, rows.

    Raises:
        ModelError: too few or too many days, a day the calendar does not know, or the folder is not writable.
    """
    config = config or Config()
    if not 2 <= days <= MAX_DAYS:
        raise ModelError(f"{days} days to train on; give 2 to {MAX_DAYS} (the last one validates)")
    dates = sessions_before(date.fromisoformat(config.session.date), days)
    spec_hash = _spec_hash(dates, seed, config.kernel.grace_ms)
    folder = home / "models"
    present = _present(folder, spec_hash)
    if present is not None:
        return _result(present, folder, trained=False)
    found = []
    for number, day in enumerate(dates):
        progress(f"playing {day} of the synthetic market", number / (days + 1))
        found.append(_play(day, seed, config.kernel.grace_ms))
    progress("training", days / (days + 1))
    data = f"synthetic market, seed {seed}, {INSTRUMENTS} instruments, {UPDATES_PER_S:g} updates/s each"
    provenance = training.Provenance(spec_hash, data, SECOND_NAMES)
    artifact, card = training.train(found, max(1, days // 4), seed, provenance)
    _keep(folder, artifact, card)
    progress("trained", 1.0)
    return _result(card, folder, trained=True)


def sessions_before(day: date, count: int) -> list[date]:
    """The `count` ordinary sessions before `day`, oldest first.

    Raises:
        ModelError: the session table does not reach back so far.
    """
    dates: list[date] = []
    before: date | None = day
    while len(dates) < count:
        before = calendar.previous_session(before) if before else None
        if before is None:
            raise ModelError(f"the session table has no {count} sessions before {day}")
        dates.insert(0, before)
    return dates


def _play(day: date, seed: int, grace_ms: int) -> training.DayRows:
    from broker_adapter.sandbox.feed.synthetic import SyntheticMarket

    market = SyntheticMarket(day, seed, INSTRUMENTS, UPDATES_PER_S)
    session = calendar.session(day)
    closes = [session.continuous_close(one.closing_auction) for one in market.instruments]
    spec = ShardSpec(
        tokens=np.array([one.token for one in market.instruments], dtype=np.int64),
        tick_size_paise=np.array([one.tick_size_paise for one in market.instruments], dtype=np.int64),
        open_at=np.full(len(closes), session.open_at, dtype=np.int64),
        close_at=np.array(closes, dtype=np.int64),
        grace_ns=grace_ms * MS,
    )
    return training.rows_of_day(day.isoformat(), spec, _batches(market.slices()))


def _batches(slices: Iterator[Any]) -> Iterator[npt.NDArray[np.void]]:
    """As the ingester would write them: the slice's packets, then a clock at its end."""
    for cut in slices:
        clock = records(own_record(KIND_CLOCK, cut.until, cut.until))
        batch = np.zeros(len(cut.packets) + 1, dtype=RECORD_DTYPE)
        batch["received_at"][:-1] = cut.sent_at
        batch["packet"][:-1] = cut.packets
        batch[-1:] = clock
        yield batch


def _spec_hash(dates: list[date], seed: int, grace_ms: int) -> str:
    """Names everything the artifact depends on: data, label, parameters, and the code that made the rows."""
    spec = {
        "dates": [day.isoformat() for day in dates],
        "seed": seed,
        "market": [INSTRUMENTS, UPDATES_PER_S],
        "grace_ms": grace_ms,
        "features": SECOND_NAMES,
        "label": LABEL,
        "training": [training.PARAMETERS, training.TREES],
        "reference": [reference.BINS, reference.MARGIN, reference.ENOUGH_DAYS],
        "kernels": layout.source_digest(),
        "feed": _sources("broker_adapter.sandbox.feed"),
        "libraries": [metadata.version(name) for name in ("lightgbm", "numpy", "numba")],
    }
    return hashlib.sha256(msgspec.json.encode(spec, order="sorted")).hexdigest()[:16]


def _sources(package: str) -> str:
    digest = hashlib.sha256()
    for entry in sorted(resources.files(package).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".py"):
            digest.update(entry.read_bytes())
    return digest.hexdigest()


def _present(folder: Path, spec_hash: str) -> ModelCard | None:
    """The card of a whole artifact made from the same specification, if there is one."""
    artifact, card = folder / artifact_name(training.KIND), folder / card_name(training.KIND)
    if not artifact.exists() or not card.exists():
        return None
    try:
        described = read_card(card.read_bytes(), str(card))
    except ModelError:
        return None
    same = described.artifact_sha256 == hashlib.sha256(artifact.read_bytes()).hexdigest()
    return described if same and described.spec_hash == spec_hash else None


def _keep(folder: Path, artifact: bytes, card: ModelCard) -> None:
    """Both files whole or not at all; the card comes last and names the artifact's hash."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, raw in ((artifact_name(card.kind), artifact), (card_name(card.kind), write_card(card))):
            draft = folder / f"{name}.draft"
            draft.write_bytes(raw)
            draft.replace(folder / name)
    except OSError as err:
        raise ModelError(f"cannot write the model to {folder}: {err.strerror}") from err


def _result(card: ModelCard, folder: Path, *, trained: bool) -> dict[str, Any]:
    return {
        "trained": trained,
        "model_id": card.model_id,
        "artifact": str(folder / artifact_name(card.kind)),
        "card": str(folder / card_name(card.kind)),
        "metrics": card.metrics,
        "dates": [*card.train_dates, *card.validation_dates],
        "rows": card.rows_train + card.rows_validation,
    }


if __name__ == "__main__":
    import sys

    print(json.dumps(seed(Path(sys.argv[1]), 3, Config().market.seed, lambda *a: print(*a, file=sys.stderr))))
