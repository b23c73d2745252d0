"""How fast the synthetic market is made: packets a second and peak memory, for 50 and 300 instruments.

The day is streamed as the sandbox streams it (half-second slices). Against: the asked pace, 120 times session
time. Usage: `python benchmarks/feed.py [--quick]`.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from datetime import date

from broker_adapter.sandbox.feed.synthetic import SyntheticMarket

DAY = date(2026, 11, 20)
AIM_TICKS_PER_S = 300_000
PACE = 120.0


def play(instruments: int, slices: int) -> tuple[int, float, float]:
    """(packets, session seconds, seconds) for the day's first `slices`; the kernel is compiled before."""
    market = SyntheticMarket(DAY, seed=1, instruments=instruments)
    next(iter(market.slices()))
    began, packets, first, last = time.perf_counter(), 0, 0, 0
    for k, one in enumerate(market.slices()):
        packets += len(one.packets)
        first, last = first or one.until, one.until
        if k >= slices:
            break
    return packets, (last - first) / 1e9, time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="the first hour instead of the whole day")
    slices = 7_200 if parser.parse_args().quick else 60_000
    line: dict[str, float | str] = {"benchmark": "feed"}
    for instruments in (50, 300):
        packets, session_s, seconds = play(instruments, slices)
        rate = packets / seconds
        needed = packets / session_s * PACE
        print(
            f"{instruments:4d} instruments: {packets:,} packets in {seconds:.2f} s = {rate:,.0f}/s"
            f" ({rate / AIM_TICKS_PER_S:.1f} x the aim, {rate / needed:.1f} x what a pace of {PACE:g} needs)"
        )
        line[f"ticks_per_s_{instruments}"] = round(rate)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB")
    print(json.dumps(line | {"peak_mb": round(peak)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
