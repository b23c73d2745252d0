"""What a `MinuteShard` remembers, and its one plain blob.

The running sums are not in the blob: they are made again from the ring of minutes, which fits in int32. Only
their differences count, and those are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from kitepilot.kernels import minute_layout as at
from kitepilot.kernels.compiled import kernel
from kitepilot.kernels.minute_market import sum_up_market
from kitepilot.kernels.minute_windows import back, sum_up
from kitepilot.kernels.snapshot_error import SnapshotError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
VERSION = 1


@dataclass
class MinuteState:
    """Blocks for n instruments, rows in `minute_layout`."""

    state: Floats  # [STATE, n]
    base: Floats  # [RING, BASE, n]
    sums: Floats  # [RING, SUMS, n]
    market: Floats  # [MARKET, RING]
    clock: Ints  # [CLOCK]

    @classmethod
    def empty(cls, n: int) -> MinuteState:
        return cls(
            state=np.zeros((at.STATE, n)),
            base=np.zeros((at.RING, at.BASE, n)),
            sums=np.zeros((at.RING, at.SUMS, n)),
            market=np.zeros((at.MARKET, at.RING)),
            clock=np.array([-1, 0, 0], dtype=np.int64),
        )


class _Blob(msgspec.Struct, frozen=True):
    version: int
    n: int
    state: bytes
    base: bytes
    market: bytes
    clock: list[int]


def pack(known: MinuteState) -> bytes:
    """State -> bytes; equal states of equal history give equal bytes."""
    blob = _Blob(
        VERSION,
        known.state.shape[1],
        known.state.astype("<f8").tobytes(),
        known.base.astype("<i4").tobytes(),
        known.market[at.M_MEAN].astype("<i4").tobytes(),
        known.clock.tolist(),
    )
    return msgspec.msgpack.encode(blob)


def unpack(raw: bytes, n: int) -> MinuteState:
    """Bytes -> state. Raises `SnapshotError`."""
    try:
        blob = msgspec.msgpack.decode(raw, type=_Blob)
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise SnapshotError(f"not a snapshot of minutes: {err}") from err
    if (blob.version, blob.n) != (VERSION, n):
        raise SnapshotError(
            f"the snapshot of minutes has version {blob.version} and {blob.n} instruments, "
            f"not {VERSION} and {n}"
        )
    known = MinuteState.empty(n)
    try:
        known.state[...] = np.frombuffer(blob.state, dtype="<f8").reshape(known.state.shape)
        known.base[...] = np.frombuffer(blob.base, dtype="<i4").reshape(known.base.shape)
        known.market[at.M_MEAN] = np.frombuffer(blob.market, dtype="<i4")
        known.clock[...] = blob.clock
    except ValueError as err:
        raise SnapshotError(f"the snapshot of minutes is damaged: {err}") from err
    sum_up_again(known.base, known.sums, known.market, known.clock[at.STEP])
    return known


@kernel
def sum_up_again(base: Floats, sums: Floats, market: Floats, step: int) -> None:
    """The running sums of the whole ring, from zero before its oldest minute."""
    for minutes in range(at.RING - 1, -1, -1):
        mean = market[at.M_MEAN, back(step, minutes)]
        sum_up(base, sums, mean, step - minutes)
        sum_up_market(market, step - minutes)
