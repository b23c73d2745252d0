"""How much memory importing and reading bars takes, beside how many sessions there are.

    python benchmarks/dataset_memory.py              300 instruments, 20 and 60 sessions (about a minute)
    python benchmarks/dataset_memory.py --quick      60 instruments, 10 and 40 sessions
    python benchmarks/dataset_memory.py --full       300 instruments, 250 and 1,250 sessions: five years

Each size runs in a process of its own. Peak memory of the larger over that of the smaller is what counts: it
stays near 1 however many sessions there are.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kitepilot.market import calendar
from research.bars import MINUTE_NS
from research.datasets.importing import Plan, import_bars
from research.datasets.reading import Told, planned
from research.datasets.sources import sources_in
from research.datasets.stored import open_bars
from research.generated_bars import GeneratedBars

FIRST = date(2017, 1, 2)
SIZES = {"--quick": (60, 10, 40), "": (300, 25, 75), "--full": (300, 250, 1_250)}
NAMES = ("open", "high", "low", "close")


def open_days(count: int) -> list[date]:
    found: list[date] = []
    day = FIRST
    while len(found) < count:
        if calendar.is_open(day):
            found.append(day)
        day += timedelta(days=1)
    return found


def write_files(folder: Path, instruments: int, days: list[date]) -> None:
    """One file of bars per session, in the shape that vendors sell: naive IST, rupees."""
    source = GeneratedBars(instruments, days, seed=3)
    for day in days:
        bars = source.read(day)
        at = (bars.close_at - MINUTE_NS + 19_800_000_000_000).repeat(instruments)
        columns = {
            "symbol": list(bars.symbols) * len(bars.close_at),
            "time": pa.array(at).cast(pa.timestamp("ns")),
        }
        prices = {name: getattr(bars, name).ravel() / 100 for name in NAMES}
        pq.write_table(
            pa.table(columns | prices | {"volume": bars.volume.ravel()}), folder / f"{day}.parquet"
        )


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(step: str, home: Path) -> None:
    """The body of one process: import, or read, and what it took."""
    began, before = time.perf_counter(), peak_mb()
    if step == "import":
        files = planned(sources_in([home / "files"])[0], Told())
        rows = import_bars(Plan("d", files), home / "datasets" / "d").rows
    else:
        stored = open_bars(home, "d")
        rows = sum(stored.read(day).bars for day in stored.sessions)
    took = time.perf_counter() - began
    print(json.dumps({"rows": rows, "seconds": took, "peak_mb": peak_mb(), "grew_mb": peak_mb() - before}))


def main() -> None:
    if sys.argv[1:2] == ["--step"]:
        measure(sys.argv[2], Path(sys.argv[3]))
        return
    instruments, small, large = SIZES[sys.argv[1] if len(sys.argv) > 1 else ""]
    found: dict[tuple[str, int], dict[str, float]] = {}
    for sessions in (small, large):
        with tempfile.TemporaryDirectory() as name:
            home = Path(name)
            (home / "files").mkdir()
            write_files(home / "files", instruments, open_days(sessions))
            for step in ("import", "read"):
                command = [sys.executable, __file__, "--step", step, f"{home}"]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                it = found[step, sessions] = json.loads(done.stdout)
                print(
                    f"{step:6} {instruments} x {sessions:5,} sessions, {it['rows']:12,} bars: "
                    f"{it['seconds']:6.1f} s, {it['rows'] / it['seconds'] / 1e6:5.2f} million bars/s, "
                    f"peak {it['peak_mb']:6.0f} MB",
                    flush=True,
                )
    for step in ("import", "read"):
        ratio = found[step, large]["peak_mb"] / found[step, small]["peak_mb"]
        print(f"{step}: {large / small:.0f} times the sessions take {ratio:.2f} times the memory")


if __name__ == "__main__":
    main()
