"""What the sandbox exchange plays: one session's packets, cut into half-second slices of session time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

SLICE_NS = 500_000_000

DepthOrigin = Literal["recorded", "synthetic", "modelled"]


class FeedError(ValueError):
    """A market that cannot be played; the text names file, column, row and remedy."""


class FeedInstrument(NamedTuple):
    """One instrument of a feed, as its instruments file would list it; money in paise.

    Index instruments have segment "INDICES" and a token whose low byte is 9; their tick size and lot
    size are 0 and nobody can order them.
    """

    token: int
    exchange_token: int
    tradingsymbol: str
    name: str
    tick_size_paise: int
    lot_size: int
    previous_close_paise: int
    closing_auction: bool
    lower_circuit_paise: int
    upper_circuit_paise: int
    segment: Literal["NSE", "INDICES"] = "NSE"
    sector: str = ""
    average_volume: int = 0  # shares of a usual day; 0: not known


class Slice(NamedTuple):
    """Packets that leave the exchange before `until` and were not in an earlier slice.

    Attributes:
        until: end of the slice, session time, ns UTC.
        packets: PACKET_DTYPE[k], in send order.
        sent_at: int64[k], session ns at which each packet leaves; non-decreasing, all < `until`.
        raw: other packets, to be sent as they are: index packets (32 bytes) and malformed ones.
    """

    until: int
    packets: npt.NDArray[np.void]
    sent_at: npt.NDArray[np.int64]
    raw: list[bytes]


#: PACKET_DTYPE[k] and other packets (see `Slice.raw`), each in send order.
Packets = tuple[npt.NDArray[np.void], list[bytes]]


class MarketFeed(Protocol):
    """A whole session, playable any number of times with the same bytes.

    `instruments` can be ordered; `indices` are only shown. `depth` says where the five levels come from.
    """

    @property
    def instruments(self) -> tuple[FeedInstrument, ...]: ...

    @property
    def indices(self) -> tuple[FeedInstrument, ...]: ...

    @property
    def description(self) -> str: ...

    @property
    def depth(self) -> DepthOrigin: ...

    def slices(self, start_at: int | None = None) -> Iterator[Slice]:
        """Half-second slices that cover the session in order, empty ones included.

        `start_at` (session ns UTC) skips slices that end at or before it; the rest is unchanged.
        """
        ...

    def packets_of(self, token: int) -> Iterator[Packets]:
        """The packets that `slices` holds of one instrument or index, in a few large pieces.

        Nothing for an unknown token.
        """
        ...
