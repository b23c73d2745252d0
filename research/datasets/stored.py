"""A dataset -> `SessionBars`, one session at a time; prices on the basis that is asked for.

StoredBars(home / "datasets" / "nse-2016").read(date(2016, 8, 16)) -> SessionBars
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.feed.tick_sizes import tick_size_paise
from kitepilot.market import calendar
from kitepilot.market.calendar import CalendarError
from kitepilot.market.ticks import SEGMENT_INDICES
from research.bars import MINUTE_NS, SessionBars
from research.closing_auctions import listed_auctions, shown_auctions
from research.datasets.actions import Actions, Factors, actions_of
from research.datasets.grid import minutes_of
from research.datasets.manifest import DatasetError, folder_of, read_manifest
from research.datasets.session_files import SessionRows, read_session

Ints = npt.NDArray[np.int64]
PRICES = ("open", "high", "low", "close")


class StoredBars:
    """A `BarSource` over a dataset's folder. Memory holds one session, and the closes of the one before.

    Without `as_known_on` prices are as they are stored. With it they are on the basis of that date, by the
    corporate actions whose ex-date had come and that were known by then; an action announced later changes
    nothing. Adjusted prices are rounded to whole paise and need not lie on the tick grid.

    The previous close is the last bar's close of the calendar's previous session, on the session's basis; 0
    where the dataset lacks that session or the symbol in it. The exchange's official close differs a little.
    Tick sizes follow the exchange's table by that close (by the first price where there is none), 0 for an
    index. Special sessions (Muhurat, disaster recovery) are left out unless `specials`. `listings` is a
    folder of dated instruments files: which stocks have a closing auction (see `closing_auctions`).

    Raises:
        DatasetError: no such dataset, an unknown symbol, no session in the range; `as_known_on` for a dataset
            whose basis nobody stated.
    """

    def __init__(
        self,
        path: Path,
        symbols: Collection[str] | None = None,
        first: date | None = None,
        last: date | None = None,
        as_known_on: date | None = None,
        *,
        actions: Actions | None = None,
        specials: bool = False,
        listings: Path | None = None,
    ) -> None:
        self.folder = path
        self.manifest = read_manifest(path)
        self._symbols = _known(self.manifest.name, symbols, self.manifest.tokens)
        self._as_known_on = as_known_on
        self._listings = listings
        self._actions = actions_of(path.parent) if actions is None else actions
        self._all = [each.session for each in self.manifest.sessions]
        self._sessions = tuple(
            day
            for day in self._all
            if (first or day) <= day <= (last or day) and (specials or minutes_of(day).kind != "special")
        )
        self._closes: tuple[date, dict[int, tuple[str, int]]] | None = None
        if as_known_on is not None and self.manifest.basis == "unknown":
            raise DatasetError(
                f"{self.manifest.name}: nobody said whether its prices are raw or already adjusted, so they "
                f"cannot be adjusted: `kitepilot datasets adjust {self.manifest.name} --basis raw` says so"
            )
        if not self._sessions:
            raise DatasetError(
                f"{self.manifest.name} has no session from {first} to {last}: it holds "
                f"{self.manifest.first} to {self.manifest.last}"
            )

    @property
    def name(self) -> str:
        basis = f" as known on {self._as_known_on}" if self._as_known_on else ""
        return f"{self.manifest.title}{basis}"

    @property
    def sessions(self) -> Sequence[date]:
        return self._sessions

    def read(self, session: date) -> SessionBars:
        """See `BarSource.read`. In order of date a session's file is read once."""
        if session not in self._sessions:
            raise LookupError(f"{self.name} has no session {session}")
        rows = self._rows(session)
        previous = self._previous_closes(session)
        self._closes = session, self._last_closes(rows)
        return with_auctions(self._bars(rows, previous), self._listings)

    def _rows(self, session: date) -> SessionRows:
        rows = read_session(self.folder, session)
        return rows if self._symbols is None else _only(rows, self._symbols)

    def _bars(self, rows: SessionRows, previous: dict[int, tuple[str, int]]) -> SessionBars:
        minutes = minutes_of(rows.session).begins_at
        tokens = np.array([self.manifest.tokens[symbol] for symbol in rows.symbols], dtype=np.int64)
        place = np.searchsorted(minutes, rows.begins_at)
        shape = (len(minutes), len(rows.symbols))
        filled: dict[str, Any] = {name: np.zeros(shape, dtype=np.int64) for name in rows.values}
        present = np.zeros(shape, dtype=np.bool_)
        present[place, rows.code] = True
        for name, values in rows.values.items():
            filled[name][place, rows.code] = values
        first = filled["open"][present.argmax(axis=0), np.arange(shape[1])]
        closes = [self._carried(previous.get(token), rows.session) for token in tokens.tolist()]
        firsts: list[int] = first.tolist()
        ticks = [tick_of(*each, rows.session) for each in zip(tokens.tolist(), closes, firsts, strict=True)]
        for k, symbol in enumerate(rows.symbols):
            factors = self._factors(symbol, rows.session)
            for name in PRICES:
                filled[name][:, k] = divided(filled[name][:, k], factors.price)
            filled["volume"][:, k] = divided(filled["volume"][:, k], 1 / factors.volume)
            closes[k] = int(divided(np.array([closes[k]]), factors.price)[0])
        return SessionBars(
            session=rows.session,
            symbols=rows.symbols,
            tokens=tokens,
            close_at=minutes + MINUTE_NS,
            present=present,
            tick_size_paise=np.array(ticks, dtype=np.int64),
            previous_close_paise=np.array(closes, dtype=np.int64),
            **filled,
        )

    def _basis(self, session: date) -> date:
        return (self.manifest.basis_as_of or session) if self.manifest.basis == "adjusted" else session

    def _factors(self, symbol: str, session: date) -> Factors:
        """From the stored basis to the wanted one."""
        known = self._as_known_on
        basis = self._basis(session)
        return self._actions.factors(symbol, basis, known or basis, known or basis)

    def _carried(self, previous: tuple[str, int] | None, session: date) -> int:
        """The previous close on the stored basis of `session`; raw data crosses an ex-date here."""
        if previous is None:
            return 0
        symbol, close = previous
        if self.manifest.basis == "unknown":
            return close
        before = calendar.previous_session(session) or session
        factors = self._actions.factors(symbol, self._basis(before), self._basis(session), session)
        return int(divided(np.array([close]), factors.price)[0])

    def _previous_closes(self, session: date) -> dict[int, tuple[str, int]]:
        """Token -> (symbol, close) of the calendar's session before, as stored."""
        try:
            before = calendar.previous_session(session)
        except CalendarError:
            before = None
        if before is None or before not in self._all:
            return {}
        if self._closes is None or self._closes[0] != before:
            self._closes = before, self._last_closes(self._rows(before))
        return self._closes[1]

    def _last_closes(self, rows: SessionRows) -> dict[int, tuple[str, int]]:
        ends = np.flatnonzero(np.diff(rows.code, append=-1))
        return {
            self.manifest.tokens[rows.symbols[code]]: (rows.symbols[code], int(close))
            for code, close in zip(rows.code[ends], rows.values["close"][ends], strict=True)
        }


def open_bars(
    home: Path,
    name: str,
    symbols: Collection[str] | None = None,
    first: date | None = None,
    last: date | None = None,
    as_known_on: date | None = None,
) -> StoredBars:
    """A dataset of a home by its name, for commands' `--data NAME`. Raises as `StoredBars`."""
    folder = folder_of(home, name)
    return StoredBars(folder, symbols, first, last, as_known_on, listings=home / "instruments")


def with_auctions(bars: SessionBars, listings: Path | None = None) -> SessionBars:
    """The session with its auction stocks: by the dated instruments files in `listings`, else by its bars."""
    try:
        session = calendar.session(bars.session, allow_special=True)
    except CalendarError:
        return bars
    if session.auction_continuous_close_at >= session.continuous_close_at:
        return replace(bars, auction_tokens=frozenset())
    told = None if listings is None else listed_auctions(listings, bars.session)
    return replace(bars, auction_tokens=shown_auctions(bars, session) if told is None else told)


def tick_of(token: int, close: int, first: int, session: date) -> int:
    """Paise by the exchange's table of that day; `first` price where the close before is 0; 0 of an index."""
    if token & 0xFF == SEGMENT_INDICES:
        return 0
    return tick_size_paise(close or first, session)


def divided(values: Ints, by: Fraction) -> Ints:
    """Whole numbers by an exact fraction, to the nearest (a tie goes up)."""
    if by == 1:
        return values
    up, down = 2 * by.denominator, 2 * by.numerator
    found: Ints = (values * up + by.numerator) // down
    return found


def _only(rows: SessionRows, wanted: frozenset[str]) -> SessionRows:
    keep = np.array([symbol in wanted for symbol in rows.symbols], dtype=np.bool_)
    renumbered = np.cumsum(keep) - 1
    mine = keep[rows.code] if len(rows) else np.zeros(0, dtype=np.bool_)
    return SessionRows(
        rows.session,
        tuple(symbol for symbol in rows.symbols if symbol in wanted),
        renumbered[rows.code[mine]],
        rows.begins_at[mine],
        {name: column[mine] for name, column in rows.values.items()},
    )


def _known(name: str, wanted: Collection[str] | None, tokens: dict[str, int]) -> frozenset[str] | None:
    if wanted is None:
        return None
    for symbol in wanted:
        if symbol not in tokens:
            near = difflib.get_close_matches(symbol, tokens, 3) or sorted(tokens)[:3]
            raise DatasetError(f"{name} has no symbol {symbol!r}; it has {', '.join(near)}, ...")
    return frozenset(wanted)
