"""Sessions of bars that are in memory already, as a source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from research.bars import SessionBars


class HeldBars:
    """A `BarSource` over sessions in memory: for what is small enough to be held."""

    def __init__(self, name: str, sessions: Iterable[SessionBars]) -> None:
        self._name = name
        self._held = {each.session: each for each in sessions}

    @property
    def name(self) -> str:
        return self._name

    @property
    def sessions(self) -> Sequence[date]:
        return sorted(self._held)

    def read(self, session: date) -> SessionBars:
        """See `BarSource.read`."""
        if session not in self._held:
            raise LookupError(f"{self._name} has no session {session}")
        return self._held[session]
