"""The whole catalogue, and whether the gate catches it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from research.leaks.catalogue.data_leaks import DATA_LEAKS
from research.leaks.catalogue.entry import Entry
from research.leaks.catalogue.fair import FAIR_BARS
from research.leaks.catalogue.feature_leaks import FEATURE_LEAKS
from research.leaks.catalogue.label_leaks import LABEL_LEAKS
from research.leaks.catalogue.pipeline_leaks import PIPELINE_LEAKS
from research.leaks.catalogue.row_leaks import ROW_LEAKS
from research.leaks.catalogue.tick_leaks import FAIR_TICKS, TICK_LEAKS
from research.leaks.gate import judge
from research.leaks.report import Finding

LEAKS: tuple[Entry, ...] = (
    *FEATURE_LEAKS,
    *TICK_LEAKS,
    *LABEL_LEAKS,
    *ROW_LEAKS,
    *PIPELINE_LEAKS,
    *DATA_LEAKS,
)
FAIR: tuple[Entry, ...] = (*FAIR_BARS, *FAIR_TICKS)
__all__ = ["FAIR", "LEAKS", "Verdict", "verdicts"]


class Verdict(NamedTuple):
    """`right`: a leak was caught by a check meant for it, an honest entry by none."""

    entry: Entry
    right: bool
    failed: tuple[Finding, ...]


def verdicts(entries: Iterable[Entry], seed: int) -> Iterator[Verdict]:
    """Every entry judged, in order."""
    for entry in entries:
        leaks = judge(entry.trial(seed), seed).leaks
        caught = {found.check for found in leaks}
        yield Verdict(entry, bool(caught & entry.caught_by) if entry.caught_by else not leaks, leaks)
