"""The owner's commands -> trading state, and the limits in force. A command counts once, by its id."""

from __future__ import annotations

from collections.abc import Callable

from kitepilot.events import Commanded, ProfileActivated, TradingState
from kitepilot.risk import records
from kitepilot.risk.exits import leave_due
from kitepilot.risk.profiles import activation_refusal
from kitepilot.risk.state import RECENT_COMMANDS, DeskState
from kitepilot.risk.states import standing_against_resume


def hear(state: DeskState, said: Commanded | ProfileActivated) -> list[records.Decided]:
    """The owner speaks."""
    return obey(state, said) if isinstance(said, Commanded) else activate(state, said)


def obey(state: DeskState, command: Commanded) -> list[records.Decided]:
    """Apply a command. One that is not known, or refused, leaves a line in the record."""
    if not _first_time(state, command.command_id):
        return []
    action = _ACTIONS.get(command.command)
    if action is None:
        return [records.note(state, f"command {command.command!r} is not known; {_said(command)}")]
    return action(state, command)


def activate(state: DeskState, said: ProfileActivated) -> list[records.Decided]:
    """Another version of the limits from now on, or a line that says why not.

    What is already used beyond the new limits stays and denies entries; a lower cap on the day's loss acts at
    the next mark.
    """
    if not _first_time(state, said.command_id):
        return []
    by = f"{said.reason}; by {said.by or 'an unnamed person'}"
    version = said.profile.version
    if refusal := activation_refusal(said.profile, state.profile, state.ceiling):
        return [records.note(state, f"risk profile {version} refused: {refusal} ({by})")]
    state.profile, state.valuation = said.profile, None
    return [records.note(state, f"risk profile {version} in force: {by}")]


def _first_time(state: DeskState, command_id: str) -> bool:
    if command_id in state.commands:
        return False
    state.commands[command_id] = None
    if len(state.commands) > RECENT_COMMANDS:
        del state.commands[next(iter(state.commands))]
    return True


def _halt(state: DeskState, command: Commanded) -> list[records.Decided]:
    return [records.move(state, TradingState.HALTED, _said(command))]


def _reduce(state: DeskState, command: Commanded) -> list[records.Decided]:
    return [records.move(state, _no_looser(state), _said(command))]


def _resume(state: DeskState, command: Commanded) -> list[records.Decided]:
    """Back to active, unless the day is over or lost. The one way up; every rule may act again."""
    if state.ended:
        return [records.note(state, "resume refused: the day was ended")]
    if against := standing_against_resume(state):
        return [records.note(state, f"resume refused: {against}")]
    state.leaving = ""
    state.standing.clear()
    state.drifted.clear()
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


def _alert_seen(state: DeskState, command: Commanded) -> list[records.Decided]:
    """A person has seen an alert: for the record; nothing of trading follows from it."""
    return [records.note(state, f"alert {command.argument} seen; {_said(command)}")]


def _reloaded(state: DeskState, command: Commanded) -> list[records.Decided]:
    """The owner had the file read again: for the record. What can be taken so decides nothing here."""
    return [records.note(state, f"configuration {command.argument} beside the run's own; {_said(command)}")]


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
    "alert_ack": _alert_seen,
    "config_reload": _reloaded,
}
