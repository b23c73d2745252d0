"""Ticks -> Kite's binary containers: u16 count, then for each packet u16 length and body, big-endian.

A full packet cut short is the packet of a lesser mode: 8 bytes ltp, 44 quote, 184 full (facts of Kite's
ticker documentation, 2026-07-14). Index packets are 8, 28 and 32 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kitepilot.market.ticks import PACKET_BYTES, SEGMENT_INDICES

LTP, QUOTE, FULL = 1, 2, 3
MODES = {"ltp": LTP, "quote": QUOTE, "full": FULL}
TRADABLE_BYTES = {LTP: 8, QUOTE: 44, FULL: PACKET_BYTES}
INDEX_BYTES = {LTP: 8, QUOTE: 28, FULL: 32}
MAX_PER_CONTAINER = 3000
HEARTBEAT = b"\0"


def uniform(packets: npt.NDArray[np.void], mode: int) -> list[bytes]:
    """Containers of PACKET_DTYPE[k] rows, all in one mode; vectorised."""
    length = TRADABLE_BYTES[mode]
    frame = np.dtype([("length", ">u2"), ("body", f"V{length}")])
    bodies = np.ascontiguousarray(packets).view(np.uint8).reshape(-1, PACKET_BYTES)[:, :length]
    whole = np.empty(len(packets), dtype=frame)
    whole["length"] = length
    whole["body"] = np.ascontiguousarray(bodies).view(f"V{length}").reshape(-1)
    return [
        len(part).to_bytes(2) + part.tobytes()
        for part in (whole[i : i + MAX_PER_CONTAINER] for i in range(0, len(whole), MAX_PER_CONTAINER))
    ]


def container(bodies: Sequence[bytes]) -> list[bytes]:
    """Containers of packets of any length, in order."""
    return [
        len(part).to_bytes(2) + b"".join(len(body).to_bytes(2) + body for body in part)
        for part in (bodies[i : i + MAX_PER_CONTAINER] for i in range(0, len(bodies), MAX_PER_CONTAINER))
    ]


def mixed(packets: npt.NDArray[np.void], modes: npt.NDArray[np.uint8]) -> list[bytes]:
    """Containers of rows that each have their own mode, in send order; rows of mode 0 are left out."""
    wanted = modes > 0
    packets, modes = packets[wanted], modes[wanted]
    if not len(packets):
        return []
    if (modes == modes[0]).all():
        return uniform(packets, int(modes[0]))
    whole = np.ascontiguousarray(packets).tobytes()
    starts = range(0, len(whole), PACKET_BYTES)
    return container(
        [
            whole[start : start + TRADABLE_BYTES[mode]]
            for start, mode in zip(starts, modes.tolist(), strict=True)
        ]
    )


def index_packet(packet: bytes, mode: int) -> bytes:
    """A 32-byte index packet in a mode."""
    return packet[: INDEX_BYTES[mode]]


def is_index(packet: bytes) -> bool:
    return len(packet) == INDEX_BYTES[FULL] and packet[3] == SEGMENT_INDICES
