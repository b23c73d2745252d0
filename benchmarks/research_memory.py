"""Memory of a sweep does not grow with the years: features and the desk over generated bars, streamed.

    python benchmarks/research_memory.py [--quick]

300 instruments; 1 month, 1 year, 5 years (--quick: 20 instruments; 5, 20 and 60 sessions). Nothing is stored:
each session is made from the seed when it is read. Prints the peak resident size of a process of its own for
each length. Exit code 1 when the longest takes over 10 % more than the shortest.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from datetime import date

from research_peers import PLAN

from kitepilot.market.calendar import is_open
from kitepilot.strategies.ma_cross import MaCross
from research.generated_bars import GeneratedBars, weekdays
from research.sweep.search import search

SETS = [{"fast": 10, "slow": 20}, {"fast": 10, "slow": 40}]
ALLOWED = 1.10


def days(count: int) -> tuple[date, ...]:
    """The newest `count` trading days before 2026-11-20."""
    found = [day for day in weekdays(date(2021, 1, 1), 1_550) if is_open(day)]
    return tuple(found[:count])


def peak(instruments: int, count: int, features: bool) -> tuple[float, float, int]:
    """(MB, seconds, bars) of a sweep over so many sessions."""
    from research.feature_rows import features_of  # type: ignore[import-not-found,unused-ignore]

    source = GeneratedBars(instruments, days(count), seed=3)
    began = time.perf_counter()
    if features:
        for _bars, rows in features_of(source):
            assert rows.shape[1] == instruments
    found = search(PLAN, source, MaCross, SETS)
    assert len(found.sessions) == len(source.sessions)
    seconds = time.perf_counter() - began
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, seconds, count * 375 * instruments


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-features", action="store_true", help="the sweep alone")
    asked = parser.parse_args()
    instruments, lengths = (20, (5, 20, 60)) if asked.quick else (300, (21, 250, 1_250))
    peaks = []
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        pool.apply(peak, (2, 2, not asked.no_features))  # compiling takes more memory than trading
        for count in lengths:
            size, seconds, bars = pool.apply(peak, (instruments, count, not asked.no_features))
            peaks.append(size)
            print(f"{count:>6} sessions {bars:>13,} bars {seconds:>8.1f} s  peak {size:>7.1f} MB", flush=True)
    growth = peaks[-1] / peaks[0]
    print(f"the longest takes {growth:.3f} times the memory of the shortest (at most {ALLOWED})")
    return 0 if growth <= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
