"""The alerts of one run, shared by whoever folds them and whoever delivers them; saved as they change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from infra.alerts import state_file
from infra.alerts.state_file import State
from kitepilot.alerts import desk
from kitepilot.alerts.desk import Message, Policy, Target


class Room:
    """Any thread may call. `policy` is the configuration's in force; the state is the file's."""

    def __init__(self, folder: Path, state: State, policy: Policy) -> None:
        self.state = state
        self.policy = policy
        self._folder = folder
        self._turn = threading.Condition()
        self.trouble = ""  # with the file, if any

    def fold(self, work: Callable[[], bool]) -> None:
        """Let `work` change the state as one step: nobody reads, and no file holds, the half of it.

        `work` says whether there is anything to tell; then it is saved and whoever delivers wakes up.
        """
        with self._turn:
            if work():
                self._save()
                self._turn.notify_all()

    def follow(self, policy: Policy) -> None:
        """Tell by other terms from now on."""
        with self._turn:
            self.policy = policy
            self._turn.notify_all()

    def next_for(self, target: Target, at: int) -> Message | None:
        """What is due to `target` at machine time `at`."""
        with self._turn:
            return desk.due(self.state.desk, self.policy, target, at)

    def told(self, message: Message, at: int) -> None:
        """It was taken: saved before anything else is told to that target."""
        with self._turn:
            desk.told(self.state.desk, message, at)
            self._save()

    def save(self) -> None:
        """Offsets move without anything to tell: saved now and then."""
        with self._turn:
            self._save()

    def rest(self, seconds: float) -> None:
        """Until something was noticed, at most so long."""
        with self._turn:
            self._turn.wait(seconds)

    def wake(self) -> None:
        with self._turn:
            self._turn.notify_all()

    def _save(self) -> None:
        """A full disk must not keep a message from leaving: it is tried again with the next change."""
        try:
            state_file.write(self._folder, self.state, time.time_ns())
        except OSError as err:
            self.trouble = str(err)
        else:
            self.trouble = ""
