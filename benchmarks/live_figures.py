"""Latencies of the live path from the stamps on the log: samples, percentiles, growth, printed rows.

Both forms of `live_path.py` measure with these. Times are machine clock (ns), latencies milliseconds.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kitepilot import events as e

MS = 1e6
AIMS_P95_MS = {"tick_to_signal_ms": 50.0, "signal_to_enqueued_ms": 20.0}
MAX_GROWTH_MS = 50.0
Pairs = list[tuple[int, float]]


@dataclass
class Sample:
    """(machine clock at the end of the leg, ms it took), by leg."""

    tick_to_mark: Pairs = field(default_factory=list)
    tick_to_signal: Pairs = field(default_factory=list)
    signal_to_enqueued: Pairs = field(default_factory=list)
    mark_to_account: Pairs = field(default_factory=list)
    enqueued_to_journaled: Pairs = field(default_factory=list)
    denials: Counter[str] = field(default_factory=Counter)  # by code: why few orders were enqueued
    _marked: dict[int, int] = field(default_factory=dict)
    _enqueued: dict[str, int] = field(default_factory=dict)

    def take(self, event: e.AnyEvent) -> None:
        """Add what one event tells. Marks come before their accounts, intents before their journal lines."""
        at = event.emitted_at
        match event:
            case e.Marked():
                self._marked[event.event_at] = at
                self.tick_to_mark.append((at, (at - event.received_at) / MS))
            case e.SignalRaised():
                self.tick_to_signal.append((at, (at - event.received_at) / MS))
            case e.Verdict(approved=False):
                self.denials[event.denial] += 1
            case e.ApprovedIntent():
                self._enqueued[event.intent_id] = at
                if event.signal_emitted_at:  # 0: an exit of the desk's own
                    self.signal_to_enqueued.append((at, (at - event.signal_emitted_at) / MS))
            case e.AccountMarked() if event.event_at in self._marked:
                self.mark_to_account.append((at, (at - self._marked[event.event_at]) / MS))
            case e.OrderJournaled(kind="submitting") if event.intent_id in self._enqueued:
                self.enqueued_to_journaled.append((at, (at - self._enqueued[event.intent_id]) / MS))

    def take_all(self, events: Iterable[e.AnyEvent]) -> None:
        for event in events:
            self.take(event)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and n; empty when nothing was measured."""
    if not values:
        return {}
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    return {"p50": round(p50, 2), "p95": round(p95, 2), "p99": round(p99, 2), "n": len(values)}


def within(pairs: Pairs, begin: int, end: int) -> list[float]:
    return [value for at, value in pairs if begin < at <= end]


def growth_ms(pairs: Pairs, begin: int, end: int) -> float:
    """Median lateness of the last quarter less that of the second: a queue that grows shows here."""
    quarter = (end - begin) // 4
    early = within(pairs, begin + quarter, begin + 2 * quarter)
    late = within(pairs, end - quarter, end)
    return float(np.median(late) - np.median(early)) if early and late else float("inf")


LEGS = {
    "tick_to_signal_ms": "tick -> signal",
    "signal_to_enqueued_ms": "signal -> enqueued",
    "tick_to_mark_ms": "tick -> mark",
    "mark_to_account_ms": "mark -> account",
    "enqueued_to_journaled_ms": "enqueued -> journaled",
}


def legs(sample: Sample, begin: int, end: int) -> dict[str, dict[str, float]]:
    """Percentiles of every leg that ended between two moments of the machine's clock."""
    return {name: percentiles(within(getattr(sample, name[:-3]), begin, end)) for name in LEGS}


def against_aims(row: Mapping[str, object]) -> dict[str, float]:
    """Measured p95 over the aim, by leg: at most 1 is met."""
    found = {}
    for name, aim in AIMS_P95_MS.items():
        leg = row[name]
        if isinstance(leg, dict) and leg:
            found[name] = round(leg["p95"] / aim, 3)
    return found


def ratio(rows: Sequence[Mapping[str, object]], leg: str, what: str, one: str, other: str) -> float | None:
    """Median p95 of a leg where `what` was `one` over that where it was `other`; None where none was seen."""
    p95: dict[object, list[float]] = {one: [], other: []}
    for row in rows:
        found = row[leg]
        if isinstance(found, dict) and found:
            p95[row[what]].append(found["p95"])
    if not all(p95.values()):
        return None
    return round(statistics.median(p95[one]) / statistics.median(p95[other]), 3)


def show(row: Mapping[str, object]) -> None:
    """One step as a block of lines for people."""
    kept = "sustained" if row["sustained"] else "NOT sustained"
    print(f"\n{row['asked_per_s']:,} ticks/s asked, {row['ticks_per_s']:,} reached: {kept}", flush=True)
    print(f"  {'':<24}{'p50':>9}{'p95':>9}{'p99':>9}{'n':>8}   ms")
    for name, title in LEGS.items():
        leg = row.get(name)
        if isinstance(leg, dict) and leg:
            print(f"  {title:<24}{leg['p50']:>9}{leg['p95']:>9}{leg['p99']:>9}{leg['n']:>8}")
    noted = ("mark_growth_ms", "behind", "denials")
    notes = [f"{name.replace('_', ' ')} {row[name]}" for name in noted if name in row]
    cpu = row.get("cpu_percent")
    if isinstance(cpu, dict):
        notes.append("CPU % of one core: " + ", ".join(f"{name} {share}" for name, share in cpu.items()))
    for note in notes:
        print(f"  {note}", flush=True)
