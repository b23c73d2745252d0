"""A seed -> one day's packets of a few instruments: walks with gaps, locks, halts and wide spreads.

Packets are dense where the plan wants something to happen and sparse elsewhere, so that a day is cheap.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.feed.port import FeedInstrument, Packets, Slice
from kitepilot.market.calendar import Session
from kitepilot.market.ticks import PACKET_DTYPE

S = 1_000_000_000
SPARSE_S, DENSE_S = 45, 1
BAND_BPS = 1_000  # circuit limits at ten per cent
MOST_GAP_BPS = 150
CALM_BEFORE_CLOSE_S = 45 * 60  # halts and locks end so long before the last square-off: see `liveness`


@dataclass(frozen=True)
class Window:
    """A stretch of session time (ns) in which every second is played."""

    start: int
    end: int

    def holds(self, at: int) -> bool:
        return self.start <= at < self.end


NAMES = ("KPALPHA", "KPBRAVO", "KPCHARLIE", "KPDELTA", "KPECHO")


def listed(number: int, close_paise: int) -> FeedInstrument:
    """The instrument of that number; every other one has a closing auction."""
    tick = 1 if close_paise < 25_000 else 5 if close_paise <= 100_000 else 10
    low, high = (close_paise * (10_000 + sign * BAND_BPS) // 10_000 for sign in (-1, 1))
    name, code = NAMES[number], 1_001 + number
    return FeedInstrument(code * 256 + 1, code, name, name, tick, 1, close_paise, number % 2 == 0, low, high)


class SimulatedMarket:
    """`MarketFeed` of one seed."""

    depth = "synthetic"
    indices: tuple[FeedInstrument, ...] = ()

    def __init__(self, seed: int, session: Session, windows: tuple[Window, ...]) -> None:
        self._draws = random.Random(f"{seed}:market")
        self._noise = np.random.default_rng(seed)
        self._session = session
        self.windows = windows
        self.description = f"simulated, seed {seed}"
        self.instruments = tuple(self._instrument(number) for number in range(self._draws.randint(3, 5)))
        self.troubles: list[str] = []
        pieces = [self._path(instrument) for instrument in self.instruments]
        packets = np.concatenate([rows for rows, _ in pieces])
        sent_at = np.concatenate([times for _, times in pieces])
        order = np.argsort(sent_at, kind="stable")
        self.packets, self.sent_at = packets[order].astype(PACKET_DTYPE), sent_at[order]

    def piece(self, since: int, until: int) -> Slice:
        """Packets that leave in [since, until)."""
        first, last = np.searchsorted(self.sent_at, [since, until], side="left")
        return Slice(until, self.packets[first:last], self.sent_at[first:last], [])

    def slices(self, start_at: int | None = None) -> Iterator[Slice]:
        yield self.piece(0, self._session.close_at)

    def packets_of(self, token: int) -> Iterator[Packets]:
        yield self.packets[self.packets["token"] == token], []

    def _instrument(self, number: int) -> FeedInstrument:
        close = self._draws.choice((12_000, 50_000, 150_000, 240_000)) + 500 * self._draws.randrange(10)
        return listed(number, close)

    def _times(self) -> npt.NDArray[np.int64]:
        session = self._session
        sparse = np.arange(session.pre_open_at, session.continuous_close_at, SPARSE_S * S, dtype=np.int64)
        dense = [np.arange(each.start, each.end, DENSE_S * S, dtype=np.int64) for each in self.windows]
        return np.unique(np.concatenate([sparse, *dense]))

    def _path(self, instrument: FeedInstrument) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
        at = self._times() + self._draws.randrange(1_000_000, 900_000_000)
        last_trade = self._session.continuous_close(instrument.closing_auction)
        at = at[at < last_trade]
        tick = instrument.tick_size_paise
        bps = self._noise.normal(0.0, 1.0, len(at)) * self._draws.choice((2.0, 4.0, 8.0))
        for _ in range(self._draws.randrange(4)):
            bps[self._draws.randrange(len(at))] += self._draws.choice((-1, 1)) * self._draws.randint(
                30, MOST_GAP_BPS
            )
        walk = instrument.previous_close_paise * np.exp(np.cumsum(bps) / 10_000)
        band = (instrument.lower_circuit_paise * 1.02, instrument.upper_circuit_paise * 0.98)
        last = (np.clip(walk, *band) // tick).astype(np.int64) * tick
        spread = self._noise.integers(1, 4, len(at)) * tick
        size = self._noise.integers(5, 400, (len(at), 5))
        rows = np.zeros(len(at), dtype=PACKET_DTYPE)
        rows["token"], rows["last_price"] = instrument.token, last
        rows["average_price"] = last
        rows["volume"] = np.cumsum(self._noise.integers(0, 300, len(at)))
        rows["open"] = rows["high"] = rows["low"] = last
        rows["close"] = instrument.previous_close_paise
        rows["exchange_time"] = rows["last_trade_time"] = at // S
        wide, locked, keep = self._bad_times(instrument, at)
        spread = np.where(wide, spread + last // 100 // tick * tick, spread)
        for level in range(5):
            rows["bids"]["price"][:, level] = last - spread - level * tick
            rows["asks"]["price"][:, level] = last + spread + level * tick
            for side in ("bids", "asks"):
                rows[side]["quantity"][:, level] = size[:, level]
                rows[side]["orders"][:, level] = 1
        rows["asks"]["price"][locked], rows["asks"]["quantity"][locked] = 0, 0
        return rows[keep], at[keep]

    def _bad_times(self, instrument: FeedInstrument, at: npt.NDArray[np.int64]) -> tuple[Any3, Any3, Any3]:
        """Where spreads are wide, where nobody sells, and what is sent at all; the close is calm."""
        wide, locked = np.zeros(len(at), dtype=bool), np.zeros(len(at), dtype=bool)
        keep = np.ones(len(at), dtype=bool)
        calm = self._session.square_off_at - CALM_BEFORE_CLOSE_S * S
        for _ in range(self._draws.randrange(4)):
            kind = self._draws.choice(("wide", "locked", "halted"))
            window = self._draws.choice(self.windows)
            start = window.start + self._draws.randrange(60) * S
            end = min(start + self._draws.randrange(10, 600) * S, calm)
            inside = (at >= start) & (at < end)
            if inside.any():
                self.troubles.append(kind)
            if kind == "halted":
                keep &= ~inside
            else:
                (wide if kind == "wide" else locked)[inside] = True
        return wide, locked, keep


Any3 = npt.NDArray[np.bool_]
