"""The owner's commands -> trading state. A command counts once, by its id."""

from __future__ import annotations

from collections.abc import Callable

from kitepilot.events import Commanded, TradingState
from kitepilot.risk import records
from kitepilot.risk.exits import leave_due
from kitepilot.risk.exposure import loss_paise
from kitepilot.risk.state import RECENT_COMMANDS, DeskState


def obey(state: DeskState, command: Commanded) -> list[records.Decided]:
    """Apply a command. One that is not known, or refused, leaves a line in the record."""
    if command.command_id in state.commands:
        return []
    state.commands[command.command_id] = None
    if len(state.commands) > RECENT_COMMANDS:
        del state.commands[next(iter(state.commands))]
    action = _ACTIONS.get(command.command)
    if action is None:
        return [records.note(state, f"command {command.command!r} is not known; {_said(command)}")]
    return action(state, command)


def _halt(state: DeskState, command: Commanded) -> list[records.Decided]:
    return [records.move(state, TradingState.HALTED, _said(command))]


def _reduce(state: DeskState, command: Commanded) -> list[records.Decided]:
    return [records.move(state, _no_looser(state), _said(command))]


def _resume(state: DeskState, command: Commanded) -> list[records.Decided]:
    """Back to active, unless the day is over or lost."""
    if state.ended:
        return [records.note(state, "resume refused: the day was ended")]
    if loss_paise(state) >= state.limits.daily_loss_paise:
        return [records.note(state, "resume refused: the daily loss cap is reached")]
    state.leaving = ""
    return [records.move(state, TradingState.ACTIVE, _said(command))]


def _flatten(state: DeskState, command: Commanded) -> list[records.Decided]:
    """Close everything now, and open nothing until told to resume."""
    state.leaving = state.leaving or command.command
    moved = records.move(state, _no_looser(state), _said(command))
    return [moved, *leave_due(state, state.now)]


def _end_of_day(state: DeskState, command: Commanded) -> list[records.Decided]:
    state.ended = True
    return _flatten(state, command)


def _enable(state: DeskState, command: Commanded) -> list[records.Decided]:
    state.enabled.add(command.argument)
    return [records.note(state, f"strategy {command.argument} enabled; {_said(command)}")]


def _disable(state: DeskState, command: Commanded) -> list[records.Decided]:
    """Its open positions keep their exits."""
    state.enabled.discard(command.argument)
    return [records.note(state, f"strategy {command.argument} disabled; {_said(command)}")]


def _acknowledge(state: DeskState, command: Commanded) -> list[records.Decided]:
    """The owner has looked: live orders of this session may go out. Paper needs no such word."""
    state.acknowledged = True
    return [records.note(state, f"live orders acknowledged; {_said(command)}")]


def _no_looser(state: DeskState) -> TradingState:
    """Reducing, unless already halted."""
    return TradingState.HALTED if state.trading is TradingState.HALTED else TradingState.REDUCING


def _said(command: Commanded) -> str:
    return f"{command.command} by {command.by or 'an unnamed person'}"


_ACTIONS: dict[str, Callable[[DeskState, Commanded], list[records.Decided]]] = {
    "halt": _halt,
    "reduce": _reduce,
    "resume": _resume,
    "flatten": _flatten,
    "end_of_day": _end_of_day,
    "strategy_enable": _enable,
    "strategy_disable": _disable,
    "acknowledge": _acknowledge,
}
