"""Sessions cut, changed, reordered and made up: what the checks run a feature on again.

Nothing here touches its input; a session that comes back is always a valid one, on the tick grid, with each
bar's high and low around its open and close.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from research.bars import SessionBars

Ints = npt.NDArray[np.int64]
FINER = 1_000
PRICES = ("open", "high", "low", "close")
GRIDS = (*PRICES, "volume", "present")
BY_MINUTE = ("close_at", *GRIDS)
BY_INSTRUMENT = ("tokens", "tick_size_paise", "previous_close_paise")


@dataclass(frozen=True)
class Given:
    """A `BarSource` of sessions that are there already."""

    name: str
    given: tuple[SessionBars, ...]

    @property
    def sessions(self) -> Sequence[date]:
        return tuple(bars.session for bars in self.given)

    def read(self, session: date) -> SessionBars:
        for bars in self.given:
            if bars.session == session:
                return bars
        raise LookupError(f"{self.name} has no session {session}")


def minutes(bars: SessionBars, first: int, last: int) -> SessionBars:
    """Rows first..last - 1."""
    return replace(bars, **{name: getattr(bars, name)[first:last].copy() for name in BY_MINUTE})


def cut(bars: SessionBars, length: int) -> SessionBars:
    """The session as it was known after its first `length` minutes."""
    return minutes(bars, 0, length)


def instruments(bars: SessionBars, columns: Iterable[int]) -> SessionBars:
    """The chosen instruments, in the order chosen."""
    chosen = list(columns)
    return replace(
        bars,
        symbols=tuple(bars.symbols[j] for j in chosen),
        **{name: getattr(bars, name)[:, chosen] for name in GRIDS},
        **{name: getattr(bars, name)[chosen] for name in BY_INSTRUMENT},
    )


def changed_after(bars: SessionBars, row: int, rng: np.random.Generator) -> SessionBars:
    """Another market after minute `row`; the same up to and including it."""
    return _changed(bars, np.arange(len(bars.close_at)) > row, rng)


def changed_before(bars: SessionBars, row: int, rng: np.random.Generator) -> SessionBars:
    """Another market before minute `row`, its previous close too; the same from it on."""
    other = _changed(bars, np.arange(len(bars.close_at)) < row, rng)
    moved = bars.tick_size_paise * rng.integers(20, 2_000, len(bars.symbols))
    return replace(other, previous_close_paise=np.where(bars.previous_close_paise > 0, moved, 0))


def another_market(bars: SessionBars, rng: np.random.Generator) -> SessionBars:
    """The same instruments and minutes, and nothing else the same."""
    return changed_before(bars, len(bars.close_at), rng)


def untied(bars: SessionBars, rng: np.random.Generator) -> SessionBars:
    """The same market seen finer: no two bars of different instruments move by just the same.

    For comparing instruments in another order, where equal values may fairly come in either.
    """
    finer = rng.integers(0, FINER, bars.close.shape)
    columns = {name: np.where(bars.present, getattr(bars, name) * FINER + finer, 0) for name in PRICES}
    return replace(
        bars,
        open=columns["open"],
        high=columns["high"],
        low=columns["low"],
        close=columns["close"],
        volume=np.where(bars.volume > 0, bars.volume * FINER + finer, 0),
        previous_close_paise=bars.previous_close_paise * FINER,
    )


def _changed(bars: SessionBars, where: npt.NDArray[np.bool_], rng: np.random.Generator) -> SessionBars:
    """Where `where`: the minutes in another order, at 0.6 to 1.6 times the price, other bars missing."""
    rows = np.flatnonzero(where)
    k, n = len(rows), len(bars.symbols)
    if not k:
        return bars
    order = rng.permutation(rows)
    tick = np.maximum(bars.tick_size_paise, 1)
    level = _levels(bars)
    factor = rng.uniform(0.6, 1.6, n) * np.exp(np.cumsum(rng.normal(0, 0.003, (k, n)), axis=0))
    found: dict[str, npt.NDArray[Any]] = {}
    for name in PRICES:
        price = getattr(bars, name)[order]
        price = np.where(price > 0, price, level)
        found[name] = np.maximum(np.round(price * factor / tick), 1).astype(np.int64) * tick
    extremes = np.stack([found[name] for name in PRICES])
    found["high"], found["low"] = extremes.max(axis=0), extremes.min(axis=0)
    found["volume"] = bars.volume[order] * rng.integers(0, 5, (k, n)) + rng.integers(0, 500, (k, n))
    found["present"] = rng.random((k, n)) < 0.95
    columns = {}
    for name, new in found.items():
        columns[name] = getattr(bars, name).copy()
        columns[name][rows] = new if name == "present" else np.where(found["present"], new, 0)
    return replace(bars, **columns)


def _levels(bars: SessionBars) -> Ints:
    """int64[n]: some price of each instrument, for minutes that had none."""
    highest = bars.high.max(axis=0) if len(bars.close_at) else bars.previous_close_paise
    return np.where(highest > 0, highest, 10_000)


def digest(sessions: Iterable[SessionBars]) -> str:
    """SHA-256 over everything the sessions hold."""
    found = hashlib.sha256()
    for bars in sessions:
        found.update(f"{bars.session} {bars.symbols}".encode())
        for name in (*BY_MINUTE, *BY_INSTRUMENT):
            found.update(np.ascontiguousarray(getattr(bars, name)).tobytes())
    return found.hexdigest()
