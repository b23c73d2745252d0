"""What the signal handler, the runner and the source of one flow process tell each other.

Bytewax dies at once on SIGTERM, without a last snapshot. A source that ends instead lets every step
finish, the sink flush and the last epoch commit; the next start resumes exactly there.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType


class Lifecycle:
    """One per process: signals are per process too."""

    def __init__(self) -> None:
        self.draining = False
        self._on_built: Callable[[], None] | None = None

    def drain_on_signals(self) -> None:
        """From now on SIGTERM and SIGINT end the sources at their next poll. Main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._drain)

    def call_when_built(self, on_built: Callable[[], None]) -> None:
        """`on_built` runs when the source has opened its reader at the right offsets."""
        self._on_built = on_built

    def source_built(self) -> None:
        if self._on_built is not None:
            self._on_built()

    def _drain(self, _number: int, _frame: FrameType | None) -> None:
        self.draining = True


PROCESS = Lifecycle()
