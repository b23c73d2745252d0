"""A feature of ticks that is told at a batch's end what belonged in its middle, and the honest kernels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.feed.synthetic import SyntheticMarket
from kitepilot.kernels.minutes import MINUTE_NAMES
from kitepilot.kernels.shard import FEATURE_DOCS, FEATURE_NAMES
from research.leaks.catalogue.entry import Entry
from research.leaks.gate import Trial
from research.leaks.tick_checks import Batch, TickTrial, batches_of, by_shard, shard_spec

Floats = npt.NDArray[np.float64]
DAY = date(2026, 11, 20)
INSTRUMENTS, UPDATES_PER_S = 3, 2.0
TOGETHER = 20  # half-second batches that a reader takes at once


def _trial(seed: int, *, together: bool) -> TickTrial:
    feed = SyntheticMarket(DAY, seed, INSTRUMENTS, UPDATES_PER_S)
    honest = by_shard(shard_spec(feed, DAY))

    def read_together(batches: Sequence[Batch]) -> dict[int, Floats]:
        """All closes of one read get the values of its last: bars closed after the loop, not inside it."""
        found = honest(batches)
        times = sorted(found)
        return {
            at: found[times[min(row // TOGETHER * TOGETHER + TOGETHER - 1, len(times) - 1)]]
            for row, at in enumerate(times)
        }

    return TickTrial(
        names=FEATURE_NAMES,
        in_minutes=frozenset(MINUTE_NAMES),
        warmup_s=tuple(doc.warmup_s for doc in FEATURE_DOCS),
        symbols=tuple(one.tradingsymbol for one in feed.instruments),
        batches=batches_of(feed, DAY),
        compute=read_together if together else honest,
    )


TICK_LEAKS: tuple[Entry, ...] = (
    Entry(
        "closed_after_the_batch",
        "bars of ticks closed with what the whole read batch brought",
        lambda seed: Trial(ticks=_trial(seed, together=True)),
        frozenset({"truncation"}),
    ),
)
FAIR_TICKS: tuple[Entry, ...] = (
    Entry(
        "kernels_on_ticks",
        "all built-in features that ticks and depth give",
        lambda seed: Trial(ticks=_trial(seed, together=False)),
    ),
)
