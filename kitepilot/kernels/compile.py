"""Compile every kernel once, at bootstrap, so that no run pays for it."""

from __future__ import annotations

import time

import numpy as np

from kitepilot.kernels.shard import Shard, ShardSpec
from kitepilot.market.ticks import KIND_CLOCK, PACKET_BYTES, own_record, records

_OPEN_S = 1_795_146_300  # 2026-11-20 09:15 IST
_NS = 1_000_000_000


def compile_all() -> float:
    """Run each kernel on one tick and a few clock records; seconds it took (about 1 when cached)."""
    began = time.perf_counter()
    session = np.array([_OPEN_S]) * _NS
    spec = ShardSpec(np.array([256 + 1]), np.array([5]), session, session + 3600 * _NS, _NS)
    tick = (0).to_bytes(8, "big") + (256 + 1).to_bytes(4, "big") + bytes(PACKET_BYTES - 4)
    clocks = [own_record(KIND_CLOCK, (_OPEN_S + second) * _NS, 0) for second in (0, 2, 1000)]
    shard = Shard(spec)
    shard.on_records(records(b"".join([clocks[0], tick, *clocks[1:]])))
    Shard.restore(spec, shard.snapshot())
    return time.perf_counter() - began
