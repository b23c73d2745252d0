"""One thread for each target: what is due to it leaves in order, and is tried again until it is taken."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from infra.alerts.room import Room
from infra.alerts.targets import UndeliveredError
from kitepilot.alerts.desk import Message, Target

LOOK_S = 0.5
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 60.0
Deliver = Callable[[Message], None]


class Courier:
    """Delivers to one target. `deliver` raises `UndeliveredError` for what was not taken."""

    def __init__(
        self, room: Room, target: Target, deliver: Deliver, first_retry_s: float = FIRST_RETRY_S
    ) -> None:
        self._room = room
        self._to = (target, deliver)
        self._first_retry_s = first_retry_s
        self._stop = threading.Event()
        self._moved = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"to-{target.name}", daemon=True)
        self.failures = 0  # in a row

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float = 5.0) -> None:
        """What is on its way may arrive; what is not is told by the next one."""
        self._stop.set()
        self._moved.set()
        self._room.wake()
        self._thread.join(within_s)

    def move(self, target: Target, deliver: Deliver) -> None:
        """The same name at another address, or with other terms: from the next attempt on, which is now."""
        self._to = (target, deliver)
        self.failures = 0
        self._moved.set()
        self._room.wake()

    def _run(self) -> None:
        while not self._stop.is_set():
            target, deliver = self._to
            message = self._room.next_for(target, time.time_ns())
            if message is None:
                self._room.rest(LOOK_S)
            else:
                self._try(message, deliver)

    def _try(self, message: Message, deliver: Deliver) -> None:
        try:
            deliver(message)
        except UndeliveredError as err:
            self.failures += 1
            if self.failures == 1:
                sys.stderr.write(f"alerts: {message.target}: {err}; it will be tried again\n")
            wait_s = min(self._first_retry_s * 2 ** min(self.failures - 1, 16), LONGEST_RETRY_S)
            if self._moved.wait(wait_s):
                self._moved.clear()
        else:
            self.failures = 0
            self._room.told(message, time.time_ns())
