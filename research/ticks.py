"""A day's ticks, from a run's log or from a market feed, in beats: everything up to one clock record.

    ticks messages (or a feed's slices) -> Beat, Beat, ...

A beat is what the market flow reads and, beside it, what the exchange showed meanwhile. The log does not keep
when a packet left the exchange, only the clock records around it, so the packets of a beat are spread evenly
over it (over its last second, where it is longer).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.feed.port import MarketFeed
from kitepilot.market.ticks import (
    KIND_CLOCK,
    KIND_FEED,
    PACKET_DTYPE,
    RECORD_BYTES,
    RECORD_DTYPE,
    SEGMENT_INDICES,
    own_record,
    read_own_record,
    records,
)

SECOND_NS = 1_000_000_000
INDEX_BYTES = 32

Packets = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Beat:
    """Ticks up to one clock record.

    Attributes:
        until: session time of the clock record (ns UTC); grows from beat to beat.
        messages: `ticks` messages as they were written, the clock record included.
        packets: PACKET_DTYPE[k], the shares' packets among them in order.
        sent_at: int64[k], session ns, non-decreasing, below `until` and not below the beat before.
    """

    until: int
    messages: tuple[bytes, ...]
    packets: Packets
    sent_at: npt.NDArray[np.int64]


def beats_of_log(messages: Iterable[bytes]) -> Iterator[Beat]:
    """Cut a run's `ticks` messages at their clocks. What follows the last clock is a beat of its own."""
    begun, held = 0, []
    for message in messages:
        held.append(message)
        at = _last_clock(message)
        if at > begun:
            yield _beat(begun, at, tuple(held))
            begun, held = at, []
    if held:
        yield _beat(begun, begun + 1, tuple(held))


def beats_of_feed(feed: MarketFeed) -> Iterator[Beat]:
    """A feed's slices as the ingester would have written them, received when they left the exchange."""
    opened = False
    for piece in feed.slices():
        messages = []
        if not opened:
            first = piece.until - SECOND_NS
            messages.append(own_record(KIND_FEED, first, first, "up"))
            opened = True
        if len(piece.packets):
            frame = np.zeros(len(piece.packets), dtype=RECORD_DTYPE)
            frame["received_at"], frame["packet"] = piece.sent_at, piece.packets
            messages.append(frame.tobytes())
        stamp = (piece.until - 1).to_bytes(8)
        indices = [(stamp + raw).ljust(RECORD_BYTES, b"\0") for raw in piece.raw if len(raw) == INDEX_BYTES]
        if indices:
            messages.append(b"".join(indices))
        messages.append(own_record(KIND_CLOCK, piece.until, piece.until))
        yield Beat(piece.until, tuple(messages), piece.packets, piece.sent_at)


def shares_of(message: bytes) -> Packets:
    """The packets of shares in one `ticks` message; none of one that cannot be read."""
    try:
        found: Packets = records(message)["packet"]
    except ValueError:
        return np.zeros(0, dtype=PACKET_DTYPE)
    token = found["token"]
    shares: Packets = found[(token != 0) & ((token & 0xFF) != SEGMENT_INDICES)]
    return shares


def _last_clock(message: bytes) -> int:
    """Session time of the newest clock record in a message; 0 without one."""
    if len(message) % RECORD_BYTES:
        return 0
    clocks = [0]
    for row in np.flatnonzero(records(message)["packet"]["token"] == 0).tolist():
        kind, at, _, _ = read_own_record(message[row * RECORD_BYTES : (row + 1) * RECORD_BYTES])
        if kind == KIND_CLOCK:
            clocks.append(at)
    return max(clocks)


def shown_by(market: Iterable[Beat], received: Iterable[Beat]) -> Iterator[Beat]:
    """What was received, beside what the exchange showed meanwhile by another telling of the day."""
    source, packets, sent_at = iter(market), shares_of(b""), np.zeros(0, dtype=np.int64)
    told = 0
    for beat in received:
        while told < beat.until and (more := next(source, None)) is not None:
            packets = _joined([packets, more.packets])
            sent_at = np.concatenate([sent_at, more.sent_at])
            told = more.until
        upto = int(np.searchsorted(sent_at, beat.until, side="left"))
        yield replace(beat, packets=packets[:upto], sent_at=sent_at[:upto])
        packets, sent_at = packets[upto:], sent_at[upto:]


def _joined(pieces: list[Packets]) -> Packets:
    """One array; numpy's own concatenation would turn the byte order."""
    joined = np.empty(sum(map(len, pieces)), dtype=PACKET_DTYPE)
    filled = 0
    for piece in pieces:
        joined[filled : filled + len(piece)] = piece
        filled += len(piece)
    return joined


def _beat(begun: int, until: int, messages: tuple[bytes, ...]) -> Beat:
    found = [shares for message in messages if len(shares := shares_of(message))]
    packets = _joined(found)
    return Beat(until, messages, packets, _spread(begun, until, len(packets)))


def _spread(begun: int, until: int, count: int) -> npt.NDArray[np.int64]:
    """Instants strictly inside the beat, or inside its last second."""
    span = min(until - begun, SECOND_NS)
    return until - span + np.arange(1, count + 1, dtype=np.int64) * span // (count + 1)
