"""The 192-byte tick record: what the exchange sent, kept byte for byte, plus when we received it.

One message on `ticks` is a concatenation of records. A record is 8 bytes of receive time (machine clock,
ns UTC, big-endian) followed by Kite's 184-byte full packet as it came off the wire (big-endian). Index
packets (32 bytes, token & 0xFF == 9) are zero-padded to 184. A record with token 0 is ours: time and
control travel in the tick partition so that they have a place in the order.

Layout of our own records after the receive time: u32 token = 0, u32 kind (1 clock, 2 feed state,
3 a model to follow, 4 a word about a strategy),
u64 event_at (session time, ns UTC), u16 text length, text (UTF-8, at most 166 bytes).
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

RECORD_BYTES = 192
PACKET_BYTES = 184
KIND_CLOCK = 1
KIND_FEED = 2
KIND_MODEL = 3
KIND_STRATEGY = 4
SEGMENT_INDICES = 9

_LEVEL = [("quantity", ">u4"), ("price", ">u4"), ("orders", ">u2"), ("_pad", ">u2")]

#: Kite's full packet, big-endian, prices in paise, times in epoch seconds UTC.
PACKET_DTYPE = np.dtype(
    [
        ("token", ">u4"),
        ("last_price", ">u4"),
        ("last_quantity", ">u4"),
        ("average_price", ">u4"),
        ("volume", ">u4"),
        ("total_buy_quantity", ">u4"),
        ("total_sell_quantity", ">u4"),
        ("open", ">u4"),
        ("high", ">u4"),
        ("low", ">u4"),
        ("close", ">u4"),
        ("last_trade_time", ">u4"),
        ("oi", ">u4"),
        ("oi_high", ">u4"),
        ("oi_low", ">u4"),
        ("exchange_time", ">u4"),
        ("bids", _LEVEL, (5,)),
        ("asks", _LEVEL, (5,)),
    ]
)
RECORD_DTYPE = np.dtype([("received_at", ">u8"), ("packet", PACKET_DTYPE)])
assert PACKET_DTYPE.itemsize == PACKET_BYTES
assert RECORD_DTYPE.itemsize == RECORD_BYTES

_OWN = struct.Struct(">QIIQH")
MAX_TEXT_BYTES = RECORD_BYTES - _OWN.size


def own_record(kind: int, event_at: int, received_at: int, text: str = "") -> bytes:
    """A clock, feed-state or model record (192 bytes). `event_at` is session time, ns UTC.

    Raises:
        ValueError: the text is longer than `MAX_TEXT_BYTES` in UTF-8.
    """
    raw = text.encode()
    if len(raw) > MAX_TEXT_BYTES:
        raise ValueError(f"text of an own record is {len(raw)} bytes; at most {MAX_TEXT_BYTES}")
    head = _OWN.pack(received_at, 0, kind, event_at, len(raw))
    return (head + raw).ljust(RECORD_BYTES, b"\0")


def model_record(model_id: str, why: str, received_at: int) -> bytes:
    """The word that another model of the run is followed from here on; of a long `why` what has room."""
    text = f"{model_id} {why}".strip().encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
    return own_record(KIND_MODEL, 0, received_at, text)


def read_own_record(record: bytes) -> tuple[int, int, int, str]:
    """(kind, event_at, received_at, text) of a record whose token is 0.

    Raises:
        ValueError: not 192 bytes, not ours, or a length that points outside.
    """
    if len(record) != RECORD_BYTES:
        raise ValueError(f"a tick record has {RECORD_BYTES} bytes, this has {len(record)}")
    received_at, token, kind, event_at, length = _OWN.unpack_from(record)
    if token != 0 or length > MAX_TEXT_BYTES:
        raise ValueError(f"not a record of ours: token {token}, text length {length}")
    return kind, event_at, received_at, record[_OWN.size : _OWN.size + length].decode()


def records(message: bytes) -> npt.NDArray[np.void]:
    """View a `ticks` message as an array of `RECORD_DTYPE` (no copy).

    Raises:
        ValueError: the length is not a multiple of 192.
    """
    if len(message) % RECORD_BYTES:
        raise ValueError(f"a ticks message of {len(message)} bytes is not a multiple of {RECORD_BYTES}")
    return np.frombuffer(message, dtype=RECORD_DTYPE)
