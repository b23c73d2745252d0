"""The decision fold: the session's events, one by one, -> verdicts, permissions and the account.

`decide` is the whole of it and depends on nothing but its arguments; re-reading a session gives the same
records byte for byte. Time is the event time of `Marked`, once a second; no other event moves it. Events of
other runs and events seen before (same source, number not above the last) change nothing.
"""

from __future__ import annotations

from kitepilot.events import (
    Alarmed,
    BandsMarked,
    ClockMeasured,
    Commanded,
    DriftFound,
    FeedChanged,
    Filled,
    ForeignFilled,
    ForeignOrderUpdated,
    FundsMarked,
    Marked,
    ModelActivated,
    ModelJudged,
    OrderUpdated,
    ProfileActivated,
    Reconciled,
    RunStarted,
    SessionEvent,
    SignalRaised,
    StrategySwitched,
    TradingState,
)
from kitepilot.orders.order_machine import OrderEvent, hear
from kitepilot.risk import account, commands, entries, exits, facts, foreign, records, states
from kitepilot.risk.state import DeskState, Quote, begin

OF_ONE_RUN = (
    RunStarted
    | OrderUpdated
    | Filled
    | ForeignOrderUpdated
    | ForeignFilled
    | Alarmed
    | Reconciled
    | FundsMarked
    | BandsMarked
    | ClockMeasured
)


def decide(state: DeskState | None, event: SessionEvent) -> tuple[DeskState | None, list[records.Decided]]:
    """Fold one event in. The state passed in belongs to the fold afterwards: use the one returned.

    Everything before the run's `RunStarted` is ignored.
    """
    if state is None:
        return _start(event) if isinstance(event, RunStarted) else (None, [])
    if _of_another_run(state, event) or not _first_time(state, event):
        return state, []
    return state, _react(state, event)


def _start(event: RunStarted) -> tuple[DeskState, list[records.Decided]]:
    state = begin(event.run_id, event.config_hash, event.parameters, event.mode)
    state.now = event.event_at
    state.seen[event.source] = event.seq
    return state, [records.note(state, f"run started, {event.mode}")]


def _of_another_run(state: DeskState, event: SessionEvent) -> bool:
    """The log is shared by all runs of a home: what is said of another run is not about us."""
    return isinstance(event, OF_ONE_RUN) and event.run_id != state.run_id


def _first_time(state: DeskState, event: SessionEvent) -> bool:
    """Producers are at-least-once: after a crash they repeat numbers, never skip one."""
    if isinstance(event, Commanded | ProfileActivated):
        return True  # many hands write commands: they count by id, see `commands`
    last = state.seen.get(event.source, -1)
    if event.seq <= last:
        return False
    state.gaps += event.seq - last - 1
    state.seen[event.source] = event.seq
    return True


def _react(state: DeskState, event: SessionEvent) -> list[records.Decided]:
    match event:
        case Marked():
            return _mark(state, event)
        case SignalRaised():
            return _signal(state, event)
        case Commanded() | ProfileActivated():
            return commands.hear(state, event)
        case FeedChanged():
            return _feed(state, event)
        case Alarmed():
            return [_alarm(state, event)]
        case _:
            return _hear_gateway(state, event)


def _learn(state: DeskState, event: SessionEvent) -> list[records.Decided]:
    """What entries are judged by besides market and orders. A model's verdict leaves a line."""
    match event:
        case FundsMarked():
            facts.apply_funds(state, event)
        case BandsMarked():
            facts.apply_bands(state, event)
        case ClockMeasured():
            facts.apply_clock(state, event)
        case ModelJudged():
            facts.apply_judgement(state, event)
            return [records.note(state, f"model {event.model} is {event.state}: {event.detail}")]
        case ModelActivated():
            why = f": {event.reason}" if event.reason else ""
            return [records.note(state, f"model {event.model} is followed in place of {event.previous}{why}")]
        case StrategySwitched():
            text = f" with text {event.digest}" if event.digest else ""
            return [records.note(state, f"strategy {event.strategy} is {event.state}{text}")]
        case DriftFound():
            return [_drift(state, event)]
    return []


def _hear_gateway(state: DeskState, event: SessionEvent) -> list[records.Decided]:
    """What happened at the broker, and what else was measured."""
    match event:
        case Filled():
            paused_until = state.paused_until
            account.apply_filled(state, event)
            return _pause(state, paused_until)
        case OrderUpdated():
            account.apply_update(state, event)
            return _question_word(state, event.venue_status)
        case ForeignOrderUpdated():
            foreign.apply_update(state, event)
        case ForeignFilled():
            paused_until = state.paused_until
            return [*foreign.apply_fill_of(state, event), *_pause(state, paused_until)]
        case Reconciled():
            return _reconciliation(state, event)
        case _:
            return _learn(state, event)
    return []


def _pause(state: DeskState, paused_until: int) -> list[records.Decided]:
    """A line when the trade that just ended completed a streak of losers."""
    if state.paused_until == paused_until:
        return []
    limits = state.limits
    return [
        records.note(
            state, f"{limits.loss_streak} trades lost in a row: no entries for {limits.loss_pause_s} s"
        )
    ]


def _drift(state: DeskState, found: DriftFound) -> records.Decided:
    """Written down; as configured also no entries on its scores, or no entries at all."""
    what = f"feature {found.feature} of {found.model}" if found.feature else f"score {found.model}"
    said = f"{what} has drifted: {found.detector} {found.observed:.4f}, limit {found.limit:.4f}"
    if found.act == "reduce":
        return states.lower(state, states.MODEL_DRIFT, said)
    if found.act == "refuse_entries":
        state.drifted.update(found.scores)
        said += f"; no entries that rest on {', '.join(found.scores)} until the owner resumes"
    return records.note(state, said)


def _alarm(state: DeskState, alarm: Alarmed) -> records.Decided:
    """Written down; one that halts, or tells of an open breaker, also lowers the state."""
    said = f"alarm {alarm.kind} {alarm.subject}: {alarm.detail}"
    if alarm.halts:
        return states.lower(state, states.ALARM, said)
    if alarm.kind == "breaker" and alarm.state == "open":
        return states.lower(state, states.BREAKER, f"{alarm.subject}: {alarm.detail}")
    return records.note(state, said)


def _reconciliation(state: DeskState, found: Reconciled) -> list[records.Decided]:
    """A difference that halts is told again each minute; while halted it says nothing new."""
    if found.verdict != "halt" or state.trading is TradingState.HALTED:
        return []
    worst = found.differences[0] if found.differences else None
    what = f"{worst.rule} {worst.subject}: ours {worst.ours}, broker {worst.theirs}" if worst else ""
    return [states.lower(state, states.RECONCILIATION, f"({found.occasion}) {what}")]


def _question_word(state: DeskState, word: str) -> list[records.Decided]:
    """A status word of the venue that we do not know: open nothing more and call the owner."""
    if not word or hear(word) is not OrderEvent.STRANGE or state.trading is TradingState.HALTED:
        return []
    return [states.lower(state, states.UNKNOWN_STATUS, repr(word))]


def _mark(state: DeskState, event: Marked) -> list[records.Decided]:
    """A second has passed: new quotes, the rules, exits that are due, the account."""
    state.now = max(state.now, event.event_at)
    columns = zip(
        event.tokens, event.last_paise, event.bid_paise, event.ask_paise, event.quoted_at, strict=True
    )
    for token, *quote in columns:
        state.quotes[token] = Quote(*quote)
    state.newest_quote_at = max([state.newest_quote_at, *event.quoted_at])
    state.valuation = None
    if event.tokens or not state.fresh_at:
        state.fresh_at = state.now
    return [*states.watch(state), *exits.leave_due(state, state.now), records.account(state)]


def _signal(state: DeskState, signal: SignalRaised) -> list[records.Decided]:
    """A side asks for an entry. No side: leave what this strategy holds, if it holds anything."""
    if signal.side is not None:
        return entries.consider(state, signal, signal.side)
    holding = state.holdings.get(signal.token)
    if holding is None or holding.strategy != signal.strategy:
        return []
    holding.exit_wanted = holding.exit_wanted or "signal"
    return exits.leave(state, signal.token, max(state.now, signal.event_at))


def _feed(state: DeskState, event: FeedChanged) -> list[records.Decided]:
    facts.apply_feed(state, event)
    detail = f": {event.detail}" if event.detail else ""
    return [records.note(state, f"feed {event.state}{detail}")]
