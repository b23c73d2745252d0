"""What is known of one run's day: the marts' rows, how the checks ended, what it traded under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Changed:
    """A figure or a row that the version before said otherwise. Amounts in paise, as text already."""

    what: str
    before: str
    after: str
    difference: str = ""


@dataclass(frozen=True)
class DayBook:
    """`marts` has only those that were read; `result` is the run's own conclusion, empty where there is none.

    `session` says what kind of day it was, in words. `changes` are those since version `version - 1`.
    """

    run_id: str
    session_date: str
    mode: str
    config_hash: str
    version: int
    session: str
    failed: tuple[str, ...] = ()
    checks: tuple[tuple[str, str, str], ...] = ()  # name, state, words
    marts: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    other_runs: tuple[str, ...] = ()
    changes: tuple[Changed, ...] = ()
    records: Mapping[str, int] = field(default_factory=dict)  # rows by file
    audit: str = ""
    cap_paise: int = 0  # the day's loss cap in force at the open; 0 where it is not known
    cards: tuple[Mapping[str, Any], ...] = ()
    cards_lacking: tuple[str, ...] = ()

    def rows(self, mart: str) -> Sequence[Row]:
        """The rows of a mart, none where it was not read."""
        return self.marts.get(mart, ())
