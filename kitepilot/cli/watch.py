"""Watching a day: follow the decisions, keep the exchange's clock within reach, show where we are."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from kitepilot import events as e
from kitepilot.cli.opening import SOURCE, Exchange
from kitepilot.cli.report import ist_clock
from kitepilot.money import rupees
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import DECISIONS, INTENTS, ORDERS

POLL_S = 0.003
STATE_EVERY_S = 0.5
PLAIN_EVERY_S = 10.0
ORDER_PATIENCE_NS = 10_000_000_000  # session time may not run further past an order without an outcome
HOLD_AT_MOST_S = 10.0
STALL_S = 120.0


class StalledError(RuntimeError):
    """Session time has stood still for too long; says where."""


@dataclass
class Watch:
    """What is known of the day so far."""

    account: e.AccountMarked | None = None
    ticks: int = 0
    ticks_per_s: float = 0.0
    state: str = "waiting"
    began: float = field(default_factory=time.monotonic)
    trading_state: str = "active"

    @property
    def session_time(self) -> int:
        return self.account.event_at if self.account else 0

    @property
    def flat(self) -> bool:
        return self.account is not None and not (self.account.open_positions or self.account.working_orders)


class Meter(Protocol):
    """Something that shows a watch to a person."""

    def show(self, watch: Watch) -> None: ...


class Follower:
    """Reads `decisions`, acknowledges session time to the exchange, feeds the meter."""

    def __init__(self, run: Run, log: EventLog, exchange: Exchange, meter: Meter) -> None:
        starts = run.start_offsets()
        self._reader = log.reader({(t.name, 0): starts[t.name] for t in (DECISIONS, INTENTS, ORDERS)})
        self._outstanding: dict[str, int] = {}  # intent id -> event_at, until its order is final
        self._final: set[str] = set()  # a final word may be read before its intent; at most one a day's order
        self._children: dict[str, set[int]] = {}  # intent id -> its child orders that are not final
        self._exchange = exchange
        self._meter = meter
        self._acked = 0
        self._held_since = 0.0
        self._state_at = 0.0
        self._moved_at = time.monotonic()
        self._last: dict[str, int] = {}
        self.watch = Watch()

    def step(self) -> None:
        """One round: read, acknowledge, refresh, show. Never longer than a few milliseconds of work."""
        records = self._reader.poll(5000)
        for record in records:
            try:
                event = e.decode(record.value)
            except e.UndecodableError:
                continue  # the archive keeps it with its bytes
            if event.seq > self._last.get(event.source, -1):
                self._last[event.source] = event.seq
                self._fold(event)
        self._acknowledge()
        if time.monotonic() - self._state_at > STATE_EVERY_S:
            self._refresh()
        self._meter.show(self.watch)
        if not records:
            time.sleep(POLL_S)

    def close(self) -> None:
        self._reader.close()

    def _fold(self, event: e.AnyEvent) -> None:
        if isinstance(event, e.AccountMarked):
            self.watch.account = event
            self.watch.trading_state = event.state.value
            self._moved_at = time.monotonic()
        elif isinstance(event, e.StateChanged):
            self.watch.trading_state = event.state.value
        elif isinstance(event, e.ApprovedIntent):
            if event.intent_id not in self._final:
                self._outstanding[event.intent_id] = event.event_at
        elif isinstance(event, e.OrderJournaled):
            self._order(event)

    def _order(self, line: e.OrderJournaled) -> None:
        """All children of an intent are journaled before any is sent, so none is missed here."""
        live = self._children.setdefault(line.intent_id, set())
        if not line.status.terminal:
            live.add(line.slice)
            return
        live.discard(line.slice)
        if not live:
            self._children.pop(line.intent_id)
            self._final.add(line.intent_id)
            self._outstanding.pop(line.intent_id, None)

    def _acknowledge(self) -> None:
        """Session time is released as far as the decisions have come, unless an order waits too long."""
        account = self.watch.account
        if account is None or account.event_at <= self._acked:
            return
        oldest = min(self._outstanding.values(), default=account.event_at)
        if account.event_at - oldest > ORDER_PATIENCE_NS:
            self._held_since = self._held_since or time.monotonic()
            if time.monotonic() - self._held_since < HOLD_AT_MOST_S:
                return
        else:
            self._held_since = 0.0
        self._exchange.post("/admin/ack", {"session_time_ns": account.event_at})
        self._acked = account.event_at

    def _refresh(self) -> None:
        asked = time.monotonic()
        state = self._exchange.get("/admin/state")
        now = time.monotonic()
        self._moved_at += now - asked  # while an exchange that died plays its day again, nothing can move
        elapsed = now - self._state_at
        if self._state_at:
            self.watch.ticks_per_s = (state["ticks_sent"] - self.watch.ticks) / elapsed
        self.watch.ticks, self.watch.state, self._state_at = state["ticks_sent"], state["state"], now
        if now - self._moved_at > STALL_S:
            at = ist_clock(self.watch.session_time) if self.watch.session_time else "the start"
            raise StalledError(f"session time has stood at {at} for {STALL_S:.0f} s: see `kitepilot logs`")


class _DayColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields.get("line", ""))


class Bar:
    """A live bar for a terminal; a plain line every ten seconds for anything else."""

    def __init__(self, console: Console, opens: int, closes: int) -> None:
        self._console = console
        self._opens, self._closes = opens, closes
        self._live = console.is_terminal
        self._said_at = 0.0
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), _DayColumn())
        self._progress = Progress(*columns, console=console, transient=True, auto_refresh=False)
        self._task = self._progress.add_task("session", total=closes - opens, line="")
        self._shown_at = 0.0

    def __enter__(self) -> Bar:
        if self._live:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._progress.stop()

    def show(self, watch: Watch) -> None:
        now = time.monotonic()
        if self._live and now - self._shown_at > 0.1:
            self._shown_at = now
            done = max(0, watch.session_time - self._opens)
            self._progress.update(self._task, completed=done, line=day_line(watch), refresh=True)
        elif not self._live and now - self._said_at > PLAIN_EVERY_S:
            self._said_at = now
            self._console.print(day_line(watch), highlight=False)


def day_line(watch: Watch) -> str:
    """`11:42:10  9,120 ticks/s  4 open  net ₹-312.40  active`."""
    account = watch.account
    if account is None:
        return f"waiting for the first mark  ({watch.state})"
    net = account.realised_paise + account.unrealised_paise - account.charges_paise
    return (
        f"{ist_clock(account.event_at)}  {watch.ticks_per_s:,.0f} ticks/s  {account.open_positions} open  "
        f"{account.orders} orders  net ₹{rupees(net)}  {watch.trading_state}"
    )


def stderr_console() -> Console:
    """Progress and remarks go to standard error, so that --json output stays clean."""
    return Console(file=sys.stderr)


def speaker(console: Console) -> Callable[[str], None]:
    """Says one line after the other."""
    return partial(console.print, highlight=False, soft_wrap=True)


def command(log: EventLog, seq: int, at: int, name: str, argument: str = "") -> None:
    """Append one command of the owner's to `session`."""
    event = e.Commanded(
        source=SOURCE,
        seq=seq,
        event_at=at,
        command_id=f"cli-{os.getpid()}-{time.time_ns()}",
        command=name,
        argument=argument,
        by="cli",
    )
    log.append("session", [e.encode(event, emitted_at=time.time_ns())])
