"""A tiny hand-made market for tests of the sandbox: two stocks and an index, packets written by the test."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from broker_adapter.sandbox.feed.port import SLICE_NS, FeedInstrument, Packets, Slice
from kitepilot.market import calendar
from kitepilot.market.ticks import PACKET_DTYPE

DAY = date(2026, 11, 20)
SESSION = calendar.session(DAY)
OPEN = SESSION.open_at
SECRET = "test_secret"
MS = 1_000_000
S = 1_000_000_000

ALPHA = FeedInstrument(1001 * 256 + 1, 1001, "KPALPHA", "ALPHA", 5, 1, 500_00, True, 450_00, 550_00)
BETA = FeedInstrument(1002 * 256 + 1, 1002, "KPBETA", "BETA", 10, 1, 2000_00, False, 1800_00, 2200_00)
INDEX = FeedInstrument(777 * 256 + 9, 777, "KP 50", "KP 50", 0, 0, 100_00, False, 0, 0, "INDICES")


def ist(clock: str) -> int:
    return calendar.ist_ns(DAY, clock)


def packet(
    instrument: FeedInstrument,
    last: int,
    bids: Sequence[tuple[int, int]] = (),
    asks: Sequence[tuple[int, int]] = (),
    at: int = OPEN,
) -> np.ndarray:
    """One PACKET_DTYPE row; levels are (price in paise, quantity), best first."""
    row = np.zeros(1, dtype=PACKET_DTYPE)
    for name, value in (("token", instrument.token), ("last_price", last), ("volume", 1000), ("open", last)):
        row[name] = value
    row["close"] = instrument.previous_close_paise
    row["exchange_time"] = row["last_trade_time"] = at // S
    for side, levels in (("bids", bids), ("asks", asks)):
        for number, (price, quantity) in enumerate(levels):
            row[side][0, number] = (quantity, price, 1, 0)
    return row


@dataclass
class SmallMarket:
    """Packets at chosen instants: `sends` is [(session ns, row or raw bytes)]."""

    sends: list[tuple[int, np.ndarray | bytes]] = field(default_factory=list)
    begins_at: int = SESSION.pre_open_at
    ends_at: int = OPEN + 60 * S
    instruments: tuple[FeedInstrument, ...] = (ALPHA, BETA)
    indices: tuple[FeedInstrument, ...] = (INDEX,)
    description: str = "two stocks by hand"
    depth: str = "synthetic"

    def slices(self, start_at: int | None = None) -> Iterator[Slice]:
        pending = sorted(self.sends, key=lambda send: send[0])
        until, sent = self.begins_at, 0
        while until < self.ends_at:
            until += SLICE_NS
            begins, sent = sent, bisect_left(pending, until, lo=sent, key=lambda send: send[0])
            now = pending[begins:sent]
            rows = [(at, row) for at, row in now if not isinstance(row, bytes)]
            packets = np.concatenate([row for _, row in rows]) if rows else np.zeros(0, PACKET_DTYPE)
            yield Slice(
                until,
                packets,
                np.array([at for at, _ in rows], dtype=np.int64),
                [row for _, row in now if isinstance(row, bytes)],
            )

    def packets_of(self, token: int) -> Iterator[Packets]:
        for piece in self.slices():
            yield (
                piece.packets[piece.packets["token"] == token],
                [raw for raw in piece.raw if int.from_bytes(raw[:4]) == token],
            )
