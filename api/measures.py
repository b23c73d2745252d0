"""Events of the log's tail -> the success metrics: how late, how near the limits, how often not known.

A listener of the view; nothing of it runs in a process that trades. Sizes are fixed: histograms have the same
buckets on the last day as on the first.
"""

from __future__ import annotations

import bisect
from collections import Counter
from dataclasses import dataclass, field

from kitepilot import events as e
from kitepilot.events import AccountMarked, RiskLimits
from kitepilot.ports import LogRecord

NS_PER_S = 1_000_000_000
BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
MOST_PROFILES = 64
MOST_UNKNOWN = 10_000
#: stage -> what lies between its two stamps; all are of one machine's clock
STAGES = {
    "bar_delay": "record that closed the second received -> its bars and mark on the log",
    "tick_to_signal": "record that closed the bar received -> signal on the log",
    "signal_to_enqueued": "signal on the log -> approved intent on the log",
    "tick_to_enqueued": "record that closed the bar received -> approved intent on the log",
    "order_ack": "request sent to the broker -> its reply read",
}


@dataclass
class Histogram:
    """Counts by bucket (seconds, upper bound included; the last one has none) and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0

    def add(self, ns: int) -> None:
        """A negative latency is a clock that was set back: counted as none."""
        seconds = max(ns, 0) / NS_PER_S
        self.counts[bisect.bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """(upper bound, samples up to it) as Prometheus wants them."""
        total, rows = 0, []
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self.counts, strict=True):
            total += count
            rows.append((bound, float(total)))
        return rows


@dataclass
class Measures:
    """Written by the thread that reads the log, read at a scrape."""

    latencies: dict[str, Histogram] = field(default_factory=lambda: {stage: Histogram() for stage in STAGES})
    unknown: dict[str, None] = field(default_factory=dict)  # intents whose outcome nobody knows now
    differences: Counter[str] = field(default_factory=Counter)  # of reconciliations, by rule
    quote_age_s: float | None = None  # of the newest quote, when its second closed; session time
    tick_received_at: int = 0  # machine ns
    account: AccountMarked | None = None
    _limits: dict[int, RiskLimits] = field(default_factory=dict)  # by version of the profile

    def hear(self, _record: LogRecord, event: e.AnyEvent) -> None:
        """One event, once, in the log's order."""
        match event:
            case e.Marked():
                self._mark(event)
            case e.SignalRaised() if event.received_at:
                self._late("tick_to_signal", event.received_at, event.emitted_at)
            case e.ApprovedIntent():
                self._late("signal_to_enqueued", event.signal_emitted_at, event.emitted_at)
                self._late("tick_to_enqueued", event.received_at, event.emitted_at)
            case e.OrderJournaled() if event.latency_ns:
                self.latencies["order_ack"].add(event.latency_ns)
            case e.OrderUpdated():
                self._order(event)
            case e.AccountMarked():
                self.account = event
            case e.Reconciled():
                self.differences.update(each.rule for each in event.differences)
            case e.RunStarted():
                self._keep(event.parameters.profile)
            case e.ProfileActivated():
                self._keep(event.profile)

    def settle(self) -> None:
        """Nothing waits for the end of a batch."""

    def limit_use(self) -> dict[str, float]:
        """Limit -> share of it that is used (1: at it); empty before the account's first mark."""
        account = self.account
        limits = self._limits.get(account.profile_version) if account else None
        if account is None or limits is None:
            return {}
        used = {
            "daily_loss": (max(account.worst_case_paise, account.loss_paise), limits.daily_loss_paise),
            "drawdown": (account.drawdown_paise, limits.drawdown_paise),
            "gross_exposure": (account.gross_exposure_paise, limits.gross_exposure_paise),
            "open_positions": (account.open_positions, limits.open_positions),
            "orders_per_day": (account.orders, limits.orders_per_day),
            "trades_per_day": (account.trades, limits.trades_per_day),
        }
        return {name: max(now, 0) / limit for name, (now, limit) in used.items() if limit}

    def _mark(self, event: e.Marked) -> None:
        self._late("bar_delay", event.received_at, event.emitted_at)
        self.tick_received_at = event.received_at
        if event.quoted_at:
            self.quote_age_s = max(event.event_at - max(event.quoted_at), 0) / NS_PER_S

    def _late(self, stage: str, begin: int, end: int) -> None:
        """Zero stamps are of what had no tick or signal behind it, such as an exit of the desk's own."""
        if begin and end:
            self.latencies[stage].add(end - begin)

    def _order(self, event: e.OrderUpdated) -> None:
        if event.status is not e.OrderStatus.UNKNOWN:
            self.unknown.pop(event.intent_id, None)
        elif len(self.unknown) < MOST_UNKNOWN:
            self.unknown[event.intent_id] = None

    def _keep(self, profile: e.RiskProfile) -> None:
        self._limits[profile.version] = profile.limits
        if len(self._limits) > MOST_PROFILES:
            del self._limits[next(iter(self._limits))]
