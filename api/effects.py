"""A command on `session` -> what the decisions made of it, and whether the account has been flat since.

Our own run of the decisions' fold says which line of `decisions` answers a command; once that very line has
been read from the log, the process that trades has done it. What a command did elsewhere (a model's stage in
the registry) is told here too, by whoever did it; it waits for the decisions' word only where it names one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from api.live.board import Board
from kitepilot import events as e
from kitepilot.ports import LogRecord

KEPT = 1_000


@dataclass
class Effect:
    """One command as the log has it. Times ns UTC: session time, but `said_at` by the machine; 0: not yet."""

    command_id: str
    command: str
    argument: str
    by: str
    said_at: int
    words: list[str] = field(default_factory=list)  # the decisions' own
    answered_by: int = -1  # number of the line on `decisions` that answers it
    decided_at: int = 0
    flat_at: int = 0
    awaited: str = ""  # how the decisions' word begins that ends the wait of one done elsewhere

    @property
    def refused(self) -> bool:
        return any(" refused: " in each or " is not known" in each for each in self.words)


class Effects:
    """A listener of the view, behind the board's. Lookups from other threads read single attributes."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._known: OrderedDict[str, Effect] = OrderedDict()
        self._waiting: list[Effect] = []
        self._not_flat: list[Effect] = []
        self._answers: deque[tuple[int, int]] = deque(maxlen=KEPT)  # number and time of lines read
        self._elsewhere: OrderedDict[str, Effect] = OrderedDict()
        self._turn = threading.Lock()  # of what is done elsewhere: by any thread
        #: command -> which processes have not taken it yet, where others than the decisions must
        self.waits: dict[str, Callable[[Effect], str]] = {}

    def get(self, command_id: str) -> Effect | None:
        return self._known.get(command_id) or self._elsewhere.get(command_id)

    def state(self, effect: Effect) -> str:
        """said (in the log) | decided (done) | refused (the decisions say why)."""
        if not effect.decided_at:
            return "said"
        if effect.refused:
            return "refused"
        waits = self.waits.get(effect.command)
        return "said" if waits is not None and waits(effect) else "decided"

    def newest(self, limit: int) -> list[Effect]:
        with self._turn:
            elsewhere = list(self._elsewhere.values())
        return sorted([*self._known.values(), *elsewhere], key=lambda each: -each.said_at)[:limit]

    def done_elsewhere(self, effect: Effect) -> None:
        """From any thread. Say it before the word is asked for that it waits for, or that may come first."""
        with self._turn:
            self._elsewhere[effect.command_id] = effect
            if len(self._elsewhere) > KEPT:
                self._elsewhere.popitem(last=False)

    def hear(self, record: LogRecord, event: e.AnyEvent) -> None:
        """Take one message, after the board has."""
        match event:
            case e.Commanded():
                self._begin(record, event.command_id, event.command, event.argument, event.by)
            case e.ProfileActivated():
                self._begin(record, event.command_id, "risk_profile", str(event.profile.version), event.by)
            case e.StateChanged():
                self._answer(event)
            case e.AccountMarked():
                self._look_whether_flat(event)

    def settle(self) -> None:
        """Nothing waits for the end of a batch."""

    def _begin(self, record: LogRecord, command_id: str, command: str, argument: str, by: str) -> None:
        """A repeated command is the one it was."""
        if command_id in self._known:
            return
        effect = Effect(command_id, command, argument, by, record.appended_at)
        changes = [each for each in self._board.decided if isinstance(each, e.StateChanged)]
        effect.words = [each.reason for each in changes]
        effect.answered_by = changes[-1].seq if changes else -1
        self._known[command_id] = effect
        if changes:
            self._await(effect)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)

    def _await(self, effect: Effect) -> None:
        """The line that answers may have been read already: nothing orders one topic by another."""
        read = next((at for seq, at in self._answers if seq >= effect.answered_by), 0)
        if read:
            self._decided(effect, read)
        else:
            self._waiting = [*self._waiting, effect][-KEPT:]

    def _answer(self, event: e.StateChanged) -> None:
        self._end_wait(event)
        at = event.event_at or event.emitted_at
        self._answers.append((event.seq, at))
        for effect in [each for each in self._waiting if event.seq >= each.answered_by]:
            self._waiting.remove(effect)
            self._decided(effect, at)

    def _decided(self, effect: Effect, at: int) -> None:
        effect.decided_at = at
        if not effect.refused:
            self._not_flat = [*self._not_flat, effect][-KEPT:]

    def _end_wait(self, event: e.StateChanged) -> None:
        with self._turn:
            waiting = [each for each in self._elsewhere.values() if each.awaited and not each.decided_at]
        for effect in waiting:
            if event.reason.startswith(effect.awaited):
                effect.words.append(event.reason)
                effect.decided_at = event.event_at or event.emitted_at

    def _look_whether_flat(self, event: e.AccountMarked) -> None:
        if event.open_positions or event.working_orders:
            return
        for effect in self._not_flat:
            effect.flat_at = event.event_at
        self._not_flat = []
