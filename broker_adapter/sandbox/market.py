"""What the sandbox's market looks like now: each instrument's last packet and the depth we left of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.feed.port import FeedInstrument, MarketFeed
from broker_adapter.sandbox.matching import Level
from kitepilot.market.ticks import PACKET_DTYPE

Packets = npt.NDArray[np.void]


class Market:
    """Last packets by token. `seen_at` is when each left the exchange (session ns), 0 before the first.

    Args:
        stale_after_ns: without a packet for so long an instrument counts as halted and nothing trades.
    """

    def __init__(self, feed: MarketFeed, stale_after_ns: int) -> None:
        self.instruments: dict[int, FeedInstrument] = {
            row.token: row for row in (*feed.instruments, *feed.indices)
        }
        self.by_symbol = {row.tradingsymbol: row for row in self.instruments.values()}
        self.tokens = np.array(sorted(self.instruments), dtype=np.int64)
        self.rows: Packets = np.zeros(len(self.tokens), dtype=PACKET_DTYPE)
        self.seen_at = np.zeros(len(self.tokens), dtype=np.int64)
        self.index_packets: dict[int, bytes] = {}
        self._left: dict[tuple[int, bool], tuple[Level, ...]] = {}
        self._stale_after_ns = stale_after_ns

    def positions_of(self, tokens: npt.NDArray[np.generic]) -> npt.NDArray[np.intp]:
        """Row of each token in `rows`; -1 for a token this market does not have."""
        wanted = tokens.astype(np.int64)
        if not len(self.tokens):
            return np.full(len(wanted), -1, dtype=np.intp)
        at = np.minimum(np.searchsorted(self.tokens, wanted), len(self.tokens) - 1)
        return np.where(self.tokens[at] == wanted, at, -1).astype(np.intp)

    def apply(self, packets: Packets, sent_at: npt.NDArray[np.int64]) -> None:
        """Take packets in send order; the last of an instrument stands, and its depth is whole again."""
        if not len(packets):
            return
        at = self.positions_of(packets["token"])
        known = at >= 0
        # numpy assigns in order, so the last packet of a repeated token wins
        self.rows[at[known]] = packets[known]
        self.seen_at[at[known]] = sent_at[known]
        if self._left:
            touched = set(packets["token"].tolist())
            self._left = {key: left for key, left in self._left.items() if key[0] not in touched}

    def apply_raw(self, packet: bytes) -> None:
        """Remember an index's last packet; other raw packets leave no trace."""
        if len(packet) == 32:
            self.index_packets[int.from_bytes(packet[:4])] = packet

    def row(self, token: int) -> np.void | None:
        """The last packet of an instrument as one PACKET_DTYPE scalar; None before the first."""
        at = int(np.searchsorted(self.tokens, token))
        if at >= len(self.tokens) or self.tokens[at] != token or not self.seen_at[at]:
            return None
        packet: np.void = self.rows[at]
        return packet

    def last_paise(self, token: int) -> int:
        """Last price; the previous close before the first packet."""
        if token in self.index_packets:
            return int.from_bytes(self.index_packets[token][4:8])
        row = self.row(token)
        last = int(row["last_price"]) if row is not None else 0
        return last or self.instruments[token].previous_close_paise

    def halted(self, token: int, at: int) -> bool:
        """No packet yet, or none for longer than the stale limit."""
        index = int(np.searchsorted(self.tokens, token))
        seen = int(self.seen_at[index])
        return not seen or at - seen > self._stale_after_ns

    def opposite(self, token: int, buy: bool) -> Sequence[Level]:
        """The side an order would trade against, best first: asks for a buy. What we took is gone."""
        left = self._left.get((token, buy))
        if left is not None:
            return left
        return self.side(token, not buy)

    def side(self, token: int, bids: bool) -> Sequence[Level]:
        """The five levels as last shown, best first; empty ones have price or quantity 0."""
        row = self.row(token)
        if row is None:
            return ()
        return [
            Level(int(level["price"]), int(level["quantity"])) for level in row["bids" if bids else "asks"]
        ]

    def volume(self, token: int) -> int:
        """Shares traded today; 0 before the first packet."""
        row = self.row(token)
        return int(row["volume"]) if row is not None else 0

    def turnover(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(volume, volume x average price in paise) of the day so far, by row."""
        volume = self.rows["volume"].astype(np.int64)
        return volume, volume * self.rows["average_price"].astype(np.int64)

    def leave(self, token: int, buy: bool, left: tuple[Level, ...]) -> None:
        """What an order (a buy or not) left on the opposite side; it stands until the next packet."""
        self._left[token, buy] = left
