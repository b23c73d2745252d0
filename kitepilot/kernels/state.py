"""The arrays of a shard's state, and their one plain blob.

The blob is a msgpack map of raw little-endian arrays: no pickled classes. Of the seconds, only the open ones
are in it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from kitepilot.kernels import layout as at
from kitepilot.kernels.snapshot_error import SnapshotError

Floats = npt.NDArray[np.float64]
VERSION = 2
_DTYPES = {"packets": "<u4", "closes": "<i4", "flows": "<i4", "sums": "<f8"}


@dataclass
class State:
    """Blocks for n instruments, columns in `layout`; what `absorb` and `close_second` change in place."""

    inst: npt.NDArray[np.int64]  # [n, INST]
    slots: npt.NDArray[np.int64]  # [SLOTS, n, SLOT]
    packets: npt.NDArray[np.uint32]  # [n, 46]: each instrument's last packet
    closes: npt.NDArray[np.int32]  # [CLOSES, n]
    flows: npt.NDArray[np.int32]  # [2, FLOWS, n]: volume, signed volume
    sums: npt.NDArray[np.float64]  # [n, SUMS]
    clock: npt.NDArray[np.int64]  # [CLOCK]
    counts: npt.NDArray[np.int64]  # [len(REASONS)]

    @classmethod
    def empty(cls, n: int) -> State:
        state = cls(
            inst=np.zeros((n, at.INST), dtype=np.int64),
            slots=np.zeros((at.SLOTS, n, at.SLOT), dtype=np.int64),
            packets=np.zeros((n, at.PACKET_WORDS), dtype=np.uint32),
            closes=np.zeros((at.CLOSES, n), dtype=np.int32),
            flows=np.zeros((2, at.FLOWS, n), dtype=np.int32),
            sums=np.zeros((n, at.SUMS)),
            clock=np.zeros(at.CLOCK, dtype=np.int64),
            counts=np.zeros(len(at.REASONS), dtype=np.int64),
        )
        state.inst[:, at.BASELINE] = -1
        state.clock[at.WATERMARK_NS] = at.NO_CLOCK_YET
        return state


class _Blob(msgspec.Struct, frozen=True):
    version: int
    spec: bytes
    arrays: dict[str, bytes]
    open_slots: list[int]
    refused: list[tuple[int, bytes]]
    minutes: bytes
    held: bytes


_PLAIN = ("inst", "packets", "closes", "flows", "sums", "clock", "counts")


def _bytes(name: str, array: npt.NDArray[np.generic]) -> bytes:
    return array.astype(_DTYPES.get(name, "<i8"), copy=False).tobytes()


def pack(
    state: State, identity: bytes, refused: list[tuple[int, bytes]], minutes: bytes, held: Floats
) -> bytes:
    """State -> bytes. `identity` says what it is a state of, `refused` are (reason, record) held back.

    `minutes` is the snapshot of the `MinuteShard`, `held` the minute features of its last close.
    """
    open_slots = np.flatnonzero(state.slots[:, :, at.S_TICKS].any(axis=1)).tolist()
    arrays = {name: _bytes(name, getattr(state, name)) for name in _PLAIN}
    arrays["slots"] = _bytes("slots", state.slots[open_slots])
    digest = hashlib.sha256(identity).digest()
    return msgspec.msgpack.encode(
        _Blob(VERSION, digest, arrays, open_slots, refused, minutes, _bytes("sums", held))
    )


def unpack(blob: bytes, identity: bytes, n: int) -> tuple[State, list[tuple[int, bytes]], bytes, Floats]:
    """Bytes -> (state, refused, minutes, held).

    Raises:
        SnapshotError: not a snapshot, another version, another identity, or arrays of the wrong size.
    """
    try:
        found = msgspec.msgpack.decode(blob, type=_Blob)
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise SnapshotError(f"not a snapshot of a shard: {err}") from err
    if found.version != VERSION:
        raise SnapshotError(
            f"the snapshot has version {found.version}, this code reads {VERSION}; start afresh"
        )
    if found.spec != hashlib.sha256(identity).digest():
        raise SnapshotError("the snapshot is of other instruments, session times or grace; start afresh")
    state = State.empty(n)
    try:
        for name in _PLAIN:
            _fill(getattr(state, name), name, found.arrays[name])
        slots = np.zeros((len(found.open_slots), n, at.SLOT), dtype=np.int64)
        _fill(slots, "slots", found.arrays["slots"])
        state.slots[found.open_slots] = slots
        held = np.frombuffer(found.held, dtype="<f8").reshape(n, -1).copy()
    except (KeyError, IndexError, ValueError) as err:
        raise SnapshotError(f"the snapshot is damaged: {err}") from err
    return state, found.refused, found.minutes, held


def _fill(target: npt.NDArray[np.generic], name: str, raw: bytes) -> None:
    target[...] = np.frombuffer(raw, dtype=_DTYPES.get(name, "<i8")).reshape(target.shape)
