"""Rows of the broker's book -> reports, read once per change: it is asked for whole, and most of it stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from broker_adapter.kite.parse import Row

Report = TypeVar("Report")


class UnchangedRows(Generic[Report]):
    """Remembers the rows of the last reading. A row that equals its predecessor has the report it had.

    Args:
        name: what tells the rows of one book apart, such as their order's id.
        read: a row -> its report; its errors pass through, and what was remembered stays.
    """

    def __init__(self, name: Callable[[Row], object], read: Callable[[Row], Report]) -> None:
        self._name = name
        self._read = read
        self._known: dict[object, tuple[Row, Report]] = {}

    def reports(self, rows: Iterable[Row]) -> list[Report]:
        """The reports of one whole reading, in its order. Several threads may ask at once."""
        known, found = self._known, []
        kept: dict[object, tuple[Row, Report]] = {}
        for row in rows:
            name = self._name(row)
            before = known.get(name)
            entry = before if before is not None and before[0] == row else (row, self._read(row))
            kept[name] = entry
            found.append(entry[1])
        self._known = kept
        return found
