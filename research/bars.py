"""A session of 1 m bars as columns: what every part of research reads, wherever the bars came from.

A `BarSource` gives sessions one at a time, so memory holds one session, never a year.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, eq=False)
class SessionBars:
    """All instruments of one session, minute by minute. Row i of a [m, n] array is one minute, column j one
    instrument.

    Prices are paise, 0 where there is no bar; volumes are shares. An instrument without a bar in a minute has
    `present` False there: nothing was shown, which is not the same as a flat bar with volume 0.

    Attributes:
        session: the trading date.
        symbols: n trading symbols as they were called on that date; `tokens` int64[n] name them for the core.
        close_at: int64[m] ns UTC, end of each minute (bars are labelled by their end inside the core).
        open, high, low, close, volume: int64[m, n].
        present: bool[m, n].
        tick_size_paise: int64[n].
        previous_close_paise: int64[n], on the same basis as the session's prices; 0 where it is not known.
        auction_tokens: those of stocks with a closing auction that day; None where the source does not know.

    Raises:
        ValueError: shapes that do not fit, times that do not grow by whole minutes.
    """

    session: date
    symbols: tuple[str, ...]
    tokens: Ints
    close_at: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    present: Flags
    tick_size_paise: Ints
    previous_close_paise: Ints
    auction_tokens: frozenset[int] | None = None

    def __post_init__(self) -> None:
        shape = (len(self.close_at), len(self.symbols))
        for name in ("open", "high", "low", "close", "volume", "present"):
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"{self.session}: {name} has shape {found}, not {shape}")
        for name in ("tokens", "tick_size_paise", "previous_close_paise"):
            found = getattr(self, name).shape
            if found != shape[1:]:
                raise ValueError(f"{self.session}: {name} has shape {found}, not {shape[1:]}")
        steps = np.diff(self.close_at)
        if np.any(steps <= 0) or np.any(steps % MINUTE_NS):
            raise ValueError(f"{self.session}: its minutes are not in order or not whole")

    @property
    def bars(self) -> int:
        """How many bars there are."""
        return int(self.present.sum())


class BarSource(Protocol):
    """Sessions of bars in order of date. Reading one does not read the others."""

    @property
    def name(self) -> str:
        """What it is called in results: a dataset's name, with its content hash where it has one."""
        ...

    @property
    def sessions(self) -> Sequence[date]: ...

    def read(self, session: date) -> SessionBars:
        """Raises `LookupError` for a session that is not among `sessions`."""
        ...
