"""A recorded day in short: states, orders with their fills, and P&L by time."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from kitepilot import events as e
from kitepilot.cli.report import EquityCurve, ist_clock
from kitepilot.money import rupees
from kitepilot.orders.permission import permitted
from kitepilot.risk.admission import admit
from kitepilot.topics import DECISIONS, INTENTS, SESSION

if TYPE_CHECKING:
    from flows.replay import RecordedRun
    from flows.replay.recorded import Progress

LINES_SHOWN = 60


@dataclass
class Filling:
    """What came of one intent."""

    quantity: int = 0
    paise: int = 0

    def average(self) -> str:
        return rupees(self.paise // self.quantity) if self.quantity else "-"


@dataclass
class DayAccount:
    """What the three small topics of a run say. Bounded by the day's orders, minutes and changes of state."""

    intents: dict[str, e.ApprovedIntent] = field(default_factory=dict)
    fillings: dict[str, Filling] = field(default_factory=dict)
    trades: set[tuple[str, str]] = field(default_factory=set)
    changes: dict[int, e.StateChanged] = field(default_factory=dict)  # by number: repetitions count once
    denials: dict[str, str] = field(default_factory=dict)  # verdict id -> code
    signals: set[str] = field(default_factory=set)
    curve: EquityCurve = field(default_factory=EquityCurve)
    last: e.AccountMarked | None = None

    def session(self, event: e.AnyEvent) -> None:
        if isinstance(event, e.SignalRaised):
            self.signals.add(event.signal_id)
        elif isinstance(event, e.Filled) and (event.order_id, event.trade_id) not in self.trades:
            self.trades.add((event.order_id, event.trade_id))
            filling = self.fillings.setdefault(event.intent_id, Filling())
            filling.quantity += event.quantity
            filling.paise += event.quantity * event.price_paise

    def decided(self, event: e.AnyEvent) -> None:
        if isinstance(event, e.StateChanged):
            self.changes[event.seq] = event
        elif isinstance(event, e.Verdict) and not event.approved:
            self.denials[event.verdict_id] = event.denial
        elif isinstance(event, e.AccountMarked) and (self.last is None or event.seq > self.last.seq):
            self.last = event
            self.curve.add(event.event_at, net_paise(event), event.open_positions)

    def lines(self) -> list[dict[str, Any]]:
        """Orders and changes of state in order of time, each with the day's net P&L as last marked."""
        marks = self.curve.all()
        times = [point.at for point in marks]
        found: list[e.ApprovedIntent | e.StateChanged] = [*self.intents.values(), *self.changes.values()]
        lines = []
        for event in sorted(found, key=lambda each: (each.event_at, each.seq)):
            place = bisect_right(times, event.event_at) - 1
            net = marks[place].net_paise if place >= 0 else 0
            lines.append({"time": ist_clock(event.event_at), "net_paise": net} | self._line(event))
        return lines

    def _line(self, event: e.ApprovedIntent | e.StateChanged) -> dict[str, Any]:
        if isinstance(event, e.StateChanged):
            return {"what": "state", "state": event.state.value, "reason": event.reason}
        filling = self.fillings.get(event.intent_id, Filling())
        return {
            "what": event.purpose.value,
            "intent_id": event.intent_id,
            "side": event.side.value,
            "quantity": event.quantity,
            "symbol": event.tradingsymbol,
            "strategy": event.strategy,
            "filled": filling.quantity,
            "average": filling.average(),
        }


def net_paise(mark: e.AccountMarked) -> int:
    return mark.realised_paise + mark.unrealised_paise - mark.charges_paise


def account_of(run: RecordedRun, progress: Progress) -> dict[str, Any]:
    """Read the run's record; plain data for people and scripts."""
    day = DayAccount()
    for record in run.records(INTENTS.name, progress):
        try:
            intent = permitted(record.value, run.run_id, run.config_hash)
        except e.UndecodableError:
            continue
        day.intents[intent.intent_id] = intent
    for topic, read, hear in (
        (SESSION.name, admit, day.session),
        (DECISIONS.name, e.decode, day.decided),
    ):
        for record in run.records(topic, progress):
            try:
                hear(read(record.value))
            except ValueError:
                continue
    return _told(run, day)


def _told(run: RecordedRun, day: DayAccount) -> dict[str, Any]:
    last = day.last
    return {
        "run_id": run.run_id,
        "signals": len(day.signals),
        "denials": dict(Counter(day.denials.values()).most_common()),
        "orders": len(day.intents),
        "fills": len(day.trades),
        "gross_pnl_paise": last.realised_paise + last.unrealised_paise if last else 0,
        "charges_paise": last.charges_paise if last else 0,
        "net_pnl_paise": net_paise(last) if last else 0,
        "open_positions": last.open_positions if last else 0,
        "state": max(day.changes.values(), key=lambda each: each.seq).state.value if day.changes else "",
        "last_mark": ist_clock(last.event_at) if last else "",
        "lines": day.lines(),
    }


def show_account(console: Console, told: dict[str, Any]) -> None:
    """For a person at a terminal."""

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    say(f"[b]{told['run_id']}[/b] of {told['session']}, read from {told['read_from']}")
    table = Table("time", "", "what", "filled", "net ₹", box=SIMPLE_HEAD, padding=(0, 2, 0, 0))
    lines = told["lines"]
    for line in lines[:LINES_SHOWN]:
        table.add_row(line["time"], line["what"], _what(line), _filled(line), rupees(line["net_paise"]))
    console.print(table)
    if len(lines) > LINES_SHOWN:
        say(f"... and {len(lines) - LINES_SHOWN} more lines; --json has all")
    denied = ", ".join(f"{code} {count}" for code, count in told["denials"].items()) or "none"
    say(f"Signals {told['signals']}; denied: {denied}")
    say(
        f"Orders  {told['orders']}, {told['fills']} fills; {told['open_positions']} positions open, "
        f"{told['state']} at {told['last_mark']}"
    )
    say(
        f"P&L     ₹{rupees(told['gross_pnl_paise'])} before charges, "
        f"₹{rupees(told['charges_paise'])} charges, "
        f"[b]₹{rupees(told['net_pnl_paise'])} net[/b]"
    )
    say("`kitepilot replay DATE --verify` computes all of it again and compares")


def _what(line: dict[str, Any]) -> str:
    if line["what"] == "state":
        return f"{line['state']}: {line['reason']}"
    return f"{line['side']} {line['quantity']} {line['symbol']} ({line['strategy']})"


def _filled(line: dict[str, Any]) -> str:
    return "" if line["what"] == "state" else f"{line['filled']} at {line['average']}"
