"""Bars -> the wishes that a run's strategies would have, with scores, reasons and the risk fold's verdict.

    preview(plan, upload.sessions) -> Preview

By the exact bar engine: each session begins flat, and what is approved fills as a backtest fills it, so the
verdicts know of the positions before them.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from kitepilot.events import SignalRaised, Verdict
from kitepilot.market.calendar import CalendarError
from kitepilot.risk.records import Decided
from kitepilot.strategies.port import reads_of
from research.bar_engine.plan import BarPlan
from research.bar_engine.session import trade_session
from research.bars import SessionBars

MOST = 500  # signals that are told, the newest


@dataclass(frozen=True)
class Previewed:
    """One wish. `why`: the features its strategy reads, as they were; `verdict` approved | denied | none."""

    signal: SignalRaised
    why: dict[str, float]
    verdict: str
    denial: str


@dataclass(frozen=True)
class Preview:
    """Signals oldest first, the newest `MOST` of `signals_in_all`. `notes`: what could not be looked at."""

    sessions: tuple[date, ...]
    bars: int
    signals: tuple[Previewed, ...]
    signals_in_all: int
    denials: dict[str, int]
    notes: tuple[str, ...]


class _Heard:
    """What the desk says while a session is traded; holds the newest."""

    def __init__(self) -> None:
        self.signals: deque[SignalRaised] = deque(maxlen=MOST)
        self.verdicts: dict[str, Verdict] = {}
        self.count = 0

    def hear(self, event: SignalRaised | Decided) -> None:
        if isinstance(event, SignalRaised):
            self.count += 1
            self.signals.append(event)
        elif isinstance(event, Verdict) and event.signal_id:
            self.verdicts.setdefault(event.signal_id, event)


def preview(plan: BarPlan, sessions: Iterable[SessionBars]) -> Preview:
    """Trade the sessions and tell what was wished. A day on which NSE is closed becomes a note."""
    reads = {name: reads_of(strategy) for name, strategy in plan.make_strategies().items()}
    heard, noted, denials = _Heard(), Counter[str](), Counter[str]()
    notes: list[str] = []
    days: list[date] = []
    bars = 0
    for each in sessions:
        try:
            result = trade_session(plan, each, heard.hear)
        except CalendarError as err:
            notes.append(f"{err}")
            continue
        days.append(each.session)
        bars += each.bars
        noted.update(result.noted)
        denials.update({str(code): count for code, count in result.denials.items()})
        notes += result.complaints
    signals = tuple(_previewed(each, heard.verdicts.get(each.signal_id), reads) for each in heard.signals)
    notes += [f"{what}: {count:,}" for what, count in noted.most_common()]
    return Preview(tuple(days), bars, signals, heard.count, dict(denials.most_common()), tuple(notes))


def _previewed(signal: SignalRaised, verdict: Verdict | None, reads: dict[str, tuple[str, ...]]) -> Previewed:
    why = {
        name: value
        for name in reads.get(signal.strategy, ())
        if math.isfinite(value := signal.features.get(name, math.nan))
    }
    if verdict is None:
        return Previewed(signal, why, "none", "")
    return Previewed(signal, why, "approved" if verdict.approved else "denied", verdict.denial)
