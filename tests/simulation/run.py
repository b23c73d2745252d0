"""Play simulated days: `python tests/simulation/run.py --seeds 0:300 [--jobs 2] [--stop-first]`.

Prints what happened over all of them, and for each violation the invariant, the seed and the command that
plays that day again. Exit 0: all held; 1: a violation; 2: seeds that cannot be read.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

from simulated_day import Report, play  # noqa: E402

REGRESSIONS = Path(__file__).parent / "regressions.txt"
LAST_LINES = 60


def seeds_of(text: str) -> list[int]:
    """`7`, `0:300` (the end is not in it), `1,5,9`, or `regressions`.

    Raises:
        ValueError: none of these.
    """
    if text == "regressions":
        lines = (line.partition("#")[0].strip() for line in REGRESSIONS.read_text().splitlines())
        return [int(line) for line in lines if line]
    if ":" in text:
        first, last = text.split(":")
        return list(range(int(first), int(last)))
    return [int(part) for part in text.split(",")]


def play_all(seeds: Iterable[int], jobs: int = 1) -> Iterator[Report]:
    """One report per seed, in their order."""
    if jobs <= 1:
        yield from map(_play, seeds)
        return
    with multiprocessing.Pool(jobs) as pool:
        yield from pool.imap(_play, seeds, chunksize=4)


def _play(seed: int) -> Report:
    """A day leaves a heap of cycles behind: they are collected between days, not during them."""
    gc.disable()
    try:
        return play(seed)
    finally:
        gc.collect(1)
        gc.enable()


def first_violation(seeds: Iterable[int], jobs: int = 1) -> Report | None:
    """The first day on which something does not hold; None when all hold."""
    return next((report for report in play_all(seeds, jobs) if report.violation), None)


def main(words: list[str] | None = None) -> int:
    options = _options().parse_args(words)
    try:
        seeds = seeds_of(options.seeds)
    except (ValueError, OSError) as err:
        sys.stderr.write(f"seeds {options.seeds!r}: {err}; say 7, 0:300, 1,5,9 or regressions\n")
        return 2
    if options.trace:
        return _traced(seeds, options.lines)
    counts: Counter[str] = Counter()
    broken: list[Report] = []
    began, done = time.perf_counter(), 0
    for done, report in enumerate(play_all(seeds, options.jobs), 1):
        counts += report.counts
        if report.violation:
            broken.append(report)
            _tell(report)
            if options.stop_first:
                break
        if sys.stderr.isatty() and done % 5 == 0:
            sys.stderr.write(f"\r{done}/{len(seeds)} days, {len(broken)} broken ")
    took = time.perf_counter() - began
    sys.stderr.write("\r" if sys.stderr.isatty() else "")
    print(f"{done} days in {took:.1f} s: {done / took * 60:.0f} days/min with {options.jobs} job(s)")
    if options.digest:
        print("digests:", " ".join(report.digest for report in play_all(seeds[:3])))
    if not options.quiet:
        _table(counts, done)
    if broken:
        print(f"{len(broken)} of {done} days broken: {Counter(r.violation.split(':')[0] for r in broken)}")
    return 1 if broken else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", default="0:300", help="7, 0:300, 1,5,9 or regressions")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--stop-first", action="store_true", help="end at the first violation")
    parser.add_argument("--trace", action="store_true", help="print the history of each day")
    parser.add_argument("--lines", type=int, default=0, help="with --trace: the last so many; 0: all")
    parser.add_argument("--digest", action="store_true", help="print digests of the first three histories")
    parser.add_argument("--quiet", action="store_true", help="no table")
    return parser


def _traced(seeds: list[int], lines: int) -> int:
    broken = 0
    for seed in seeds:
        report = play(seed, trace=True)
        print("\n".join(report.trace[-lines:]))
        print(f"seed {seed}: {report.violation or 'all held'}; digest {report.digest}")
        broken += bool(report.violation)
    return 1 if broken else 0


def _tell(report: Report) -> None:
    print(f"seed {report.seed}: {report.violation}")
    print(f"  again: make simulate SEEDS={report.seed} TRACE=1")


def _table(counts: Counter[str], days: int) -> None:
    print(f"{'what happened':44} {'times':>9} {'per day':>9}")
    for name, times in sorted(counts.items()):
        print(f"{name:44} {times:9} {times / max(days, 1):9.2f}")


if __name__ == "__main__":
    sys.exit(main())
