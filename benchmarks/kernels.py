"""Kernel speed on one core: ticks to bars and features, against a plain Python loop that makes bars only.

300 instruments, 2 ticks a second each, a clock record every 500 ms of session time; one message per call, cut
to the given number of records. Both read the same bytes and must close the same bars. Best of the rounds is
shown, with the median: the box may be busy. Usage: `python benchmarks/kernels.py [--quick]`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

import numpy as np
import numpy.typing as npt
from plain_bars import PlainBars

from kitepilot.kernels.compile import compile_all
from kitepilot.kernels.shard import FEATURE_NAMES, BarClose, Shard, ShardSpec
from kitepilot.market.ticks import KIND_CLOCK, RECORD_BYTES, RECORD_DTYPE, own_record, records

NS = 1_000_000_000
OPEN_S = 1_795_146_300  # 2026-11-20 09:15 IST
INSTRUMENTS = 300
BATCHES = (50, 300, 1_000)
AIM_TICKS_PER_S, AIM_RECORDS = 5_000_000, 300


def session_spec() -> ShardSpec:
    opens = np.full(INSTRUMENTS, OPEN_S * NS)
    tokens = (np.arange(INSTRUMENTS) + 1) * 256 + 1
    return ShardSpec(tokens, np.full(INSTRUMENTS, 5), opens, opens + 22_500 * NS, 1_500_000_000)


def tape(seconds: int, spec: ShardSpec) -> bytes:
    """Full packets with a two-sided book of five levels, in random order of instruments, and clocks."""
    rng = np.random.default_rng(20_261_120)
    price = rng.integers(2_000, 60_000, INSTRUMENTS) * 5
    previous = price.copy()
    volume = np.zeros(INSTRUMENTS, dtype=np.int64)
    parts = [own_record(KIND_CLOCK, (OPEN_S - 1) * NS, 0)]
    for half in range(2 * seconds):
        price = price + 5 * rng.integers(-1, 2, INSTRUMENTS)
        volume = volume + rng.integers(0, 500, INSTRUMENTS)
        order = rng.permutation(INSTRUMENTS)
        message = np.zeros(INSTRUMENTS, dtype=RECORD_DTYPE)
        packet = message["packet"]
        packet["token"], packet["last_price"] = spec.tokens[order], price[order]
        packet["volume"], packet["close"] = volume[order], previous[order]
        packet["exchange_time"] = packet["last_trade_time"] = OPEN_S + half // 2
        for side, sign in (("bids", -5), ("asks", 5)):
            packet[side]["price"] = price[order, None] + sign * np.arange(1, 6)
            packet[side]["quantity"] = rng.integers(1, 5_000, (INSTRUMENTS, 5))
        parts += [message.tobytes(), own_record(KIND_CLOCK, OPEN_S * NS + (half + 1) * NS // 2, 0)]
    return b"".join(parts)


def kernel_rate(messages: list[bytes], spec: ShardSpec) -> float:
    """Seconds taken; what closes is looked at and let go, as the flow does."""
    shard, bars = Shard(spec), 0
    began = time.perf_counter()
    for message in messages:
        for out in shard.on_records(records(message)):
            if isinstance(out, BarClose):
                bars += len(out.rows)
    return time.perf_counter() - began


def plain_rate(messages: list[bytes], spec: ShardSpec) -> float:
    plain, bars = PlainBars(spec), 0
    began = time.perf_counter()
    for message in messages:
        for _, _, rows in plain.take(message):
            bars += len(rows)
    return time.perf_counter() - began


def check_same_bars(messages: list[bytes], spec: ShardSpec) -> int:
    """How many bars both make of the messages; raises AssertionError at the first close that differs."""
    shard, plain, bars = Shard(spec), PlainBars(spec), 0
    for message in messages:
        closed = [out for out in shard.on_records(records(message)) if isinstance(out, BarClose)]
        for out, (interval_s, close_at, rows) in zip(closed, plain.take(message), strict=True):
            columns = (out.rows, out.open, out.high, out.low, out.close, out.volume, out.tick_count)
            found = [tuple(row) for row in np.stack(columns, axis=1).tolist()]
            if (out.interval_s, out.close_at, found) != (interval_s, close_at, rows):
                raise AssertionError(f"different {interval_s} s bars at {close_at}")
            bars += len(rows)
    return bars


def cut(whole: bytes, size: int) -> list[bytes]:
    return [whole[at : at + size * RECORD_BYTES] for at in range(0, len(whole), size * RECORD_BYTES)]


def close_cost_us(whole: bytes, spec: ShardSpec) -> float:
    """Median cost of one 1 s close with features for all instruments, microseconds."""
    shard = Shard(spec)
    shard.on_records(records(whole))
    start = shard.watermark
    taken = []
    for second in range(1, 200):
        message: npt.NDArray[np.void] = records(own_record(KIND_CLOCK, start + second * NS, 0))
        began = time.perf_counter()
        shard.on_records(message)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e6


def measure(
    whole: bytes, part: bytes, spec: ShardSpec, rounds: int
) -> dict[int, tuple[list[float], list[float]]]:
    """Batch size -> (kernel rates, plain rates), ticks/s, the sizes taking turns so that noise is shared."""
    rates: dict[int, tuple[list[float], list[float]]] = {size: ([], []) for size in BATCHES}
    for _ in range(rounds):
        for size, (kernel, plain) in rates.items():
            kernel.append(ticks_in(whole) / kernel_rate(cut(whole, size), spec))
            plain.append(ticks_in(part) / plain_rate(cut(part, size), spec))
    return rates


def ticks_in(whole: bytes) -> int:
    return int(np.count_nonzero(records(whole)["packet"]["token"]))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="a shorter tape and fewer rounds (a few seconds)"
    )
    quick = parser.parse_args().quick
    seconds, plain_seconds, rounds = (120, 10, 3) if quick else (600, 20, 9)
    print(f"kernels compiled or loaded in {compile_all():.1f} s")
    spec = session_spec()
    whole, part = tape(seconds, spec), tape(plain_seconds, spec)
    bars = check_same_bars(cut(tape(70, spec), 300), spec)
    print(f"the kernels and the plain loop close the same {bars:,} bars")
    print(f"{ticks_in(whole):,} ticks, {INSTRUMENTS} instruments, {len(FEATURE_NAMES)} features, one core")
    result: dict[str, object] = {"benchmark": "kernels", "instruments": INSTRUMENTS, "ticks": ticks_in(whole)}
    print(f"\n{'ticks/s by batch':>17} {'kernels best':>14} {'median':>12} {'plain best':>12} {'ratio':>6}")
    for size, (kernel, plain) in measure(whole, part, spec, rounds).items():
        best, median, slow = max(kernel), statistics.median(kernel), max(plain)
        print(f"{size:>17,} {best:>14,.0f} {median:>12,.0f} {slow:>12,.0f} {best / slow:>5.1f}x")
        names = ("ticks_per_s", "median_ticks_per_s", "plain_ticks_per_s")
        result |= {
            f"{name}_{size}": round(rate) for name, rate in zip(names, (best, median, slow), strict=True)
        }
        result[f"ratio_{size}"] = round(best / slow, 1)
        if size == AIM_RECORDS:
            result["aim_met"] = best > AIM_TICKS_PER_S
    result["close_us"] = round(close_cost_us(whole, spec), 1)
    print(f"\none 1 s close with features for all: {result['close_us']} us")
    print(
        f"aim, above {AIM_TICKS_PER_S:,} ticks/s at {AIM_RECORDS}: {'met' if result['aim_met'] else 'missed'}"
    )
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
