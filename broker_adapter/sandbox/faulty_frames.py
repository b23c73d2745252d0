"""Ticker frames that no client should believe: unreadable ones, and packets of another day."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

DAY_S = 86_400
_LTP = (256).to_bytes(4) + (100).to_bytes(4)  # a packet of 8 bytes
_ONE = (1).to_bytes(2)

#: Kind of poison -> the frame. Texts go out as text frames, bytes as binary ones.
POISON: dict[str, bytes | str] = {
    "cut": _ONE + (184).to_bytes(2) + _LTP,
    "count": (9).to_bytes(2) + (8).to_bytes(2) + _LTP,
    "length": _ONE + (17).to_bytes(2) + bytes(range(17)),
    "trailing": _ONE + (8).to_bytes(2) + _LTP + b"more",
    "token_zero": _ONE + (8).to_bytes(2) + bytes(8),
    "not_json": "{half a frame",
    "list": "[1, 2, 3]",
    "order": '{"type": "order", "data": {"status": "COMPLETE"}}',
    "clock": '{"type": "message", "data": "clock soon"}',
}


def poison(kind: str) -> bytes | str:
    """One frame of a kind."""
    return POISON[kind]


def stale(rows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """The instruments' last packets with the stamps of the day before. PACKET_DTYPE[k], copied."""
    old = rows.copy()
    for name in ("exchange_time", "last_trade_time"):
        old[name] = (rows[name].astype(np.int64) - DAY_S).clip(0)
    return old
