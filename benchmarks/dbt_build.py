"""How long the book of analysis takes: a whole month anew, one more day, and nothing new.

    python benchmarks/dbt_build.py --home HOME   where `kitepilot paper --instruments 50 --speed max` ran
    python benchmarks/dbt_build.py --quick       a short day of four instruments, made here

The one archived day is copied to the sessions after it inside ClickHouse, through the raw tables and their
materialized views: every stamp moves, the run gets another id, and orders and trades keep their names in it.
Prints the seconds of dbt and of each model, the ratio of one more day to the month, and how long a screen
waits for each live view (median of five). The home is copied first.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / place) for place in (".", "tests", "tests/analytics", "tests/replay")]

from book_of_a_day import free_address, made_book  # noqa: E402
from shifted_days import shift_run  # noqa: E402

from infra.analytics.book import opened_book  # noqa: E402
from infra.analytics.dbt import Days, build  # noqa: E402
from infra.analytics.outcome import Outcome  # noqa: E402
from infra.clickhouse.client import connect  # noqa: E402
from kitepilot import config as configuration  # noqa: E402
from kitepilot.config import Config  # noqa: E402
from kitepilot.market import calendar  # noqa: E402
from kitepilot.run import Run  # noqa: E402

TARGET_S = 60.0
SLOWEST = 15
LIVE = ("account", "feed", "latencies", "orders", "positions", "refusals")


def main() -> int:
    """0 when the month is built within the target and every test held."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="kitepilot-dbt-") as folder:
        home = Path(folder) / "home"
        if arguments.home:
            shutil.copytree(arguments.home, home, symlinks=True)
        else:
            made_book(home)
        config = configuration.override(Config(), **{"storage.clickhouse_url": free_address()})
        with opened_book(config, home) as run:
            return _measured(run, 3 if arguments.quick else arguments.days)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, help="home with one archived day; it is copied")
    parser.add_argument("--days", type=int, default=21, help="trading days of the month")
    parser.add_argument("--quick", action="store_true", help="three days")
    found = parser.parse_args()
    if not found.home and not found.quick:
        parser.error("name a --home with a day of `kitepilot paper --instruments 50`, or say --quick")
    return found


def _measured(run: Run, days: int) -> int:
    run_id, first = _first_day(run)
    sessions = _sessions(first, days + 1)
    _copy(run, run_id, first, sessions[1:-1])
    print(f"{run_id} on {days} trading days, {_rows(run):,} raw rows")
    month, month_wall = _timed(run, Days(full_refresh=True))
    _copy(run, run_id, first, sessions[-1:])
    day, day_wall = _timed(run, Days())
    nothing, nothing_wall = _timed(run, Days())
    tests = (
        f"{len(month.tested)} tests" if month.ok else f"FAILED: {[each.name for each in month.failures][:5]}"
    )
    print(f"month anew     {month.seconds:7.1f} s of dbt, {month_wall:7.1f} s in all, {tests}")
    print(f"one more day   {day.seconds:7.1f} s of dbt, {day_wall:7.1f} s in all")
    print(f"nothing new    {nothing.seconds:7.1f} s of dbt, {nothing_wall:7.1f} s in all")
    print(f"one more day / month: {_in_models(day) / _in_models(month):.2f} of the time spent in models")
    for made in sorted(month.made, key=lambda each: -each.seconds)[:SLOWEST]:
        later = next((each.seconds for each in day.made if each.name == made.name), 0.0)
        print(f"  {made.name:32} {made.seconds:7.2f} s, one more day {later:6.2f} s")
    for view in LIVE:
        print(f"  live_{view:27} {_live_ms(run, view):7.0f} ms")
    return 0 if month.ok and month_wall < TARGET_S else 1


def _first_day(run: Run) -> tuple[str, date]:
    with connect(run, "dbt") as client:
        query = (
            "SELECT run_id, session_date FROM events WHERE kind = 'run_started' ORDER BY emitted_at LIMIT 1"
        )
        [(run_id, day)] = client.query(query).result_rows
    return str(run_id), day


def _sessions(first: date, count: int) -> list[date]:
    found = [first]
    while len(found) < count:
        following = calendar.next_session(found[-1])
        if following is None:  # the table ends: go on before the first
            earlier = calendar.previous_session(min(found))
            assert earlier is not None
            found.insert(0, earlier)
            continue
        found.append(following)
    return [first, *(day for day in found if day != first)]


def _copy(run: Run, run_id: str, first: date, to: list[date]) -> None:
    with connect(run, "owner") as client:
        for day in to:
            shift_run(client, run_id, first, day, f"paper-{day:%Y%m%d}-9001")


def _rows(run: Run) -> int:
    query = "SELECT sum(total_rows) FROM system.tables WHERE database = currentDatabase()"
    with connect(run, "dbt") as client:
        [(rows,)] = client.query(query).result_rows
    return int(rows)


def _timed(run: Run, days: Days) -> tuple[Outcome, float]:
    began = time.perf_counter()
    outcome = build(run, days)
    return outcome, time.perf_counter() - began


def _in_models(outcome: Outcome) -> float:
    return sum(made.seconds for made in outcome.made if made.kind in ("incremental", "table"))


def _live_ms(run: Run, view: str) -> float:
    waits = []
    with connect(run, "superset", database=f"{run.config.storage.clickhouse_database}_marts") as client:
        for _ in range(5):
            began = time.perf_counter()
            client.query(f"SELECT * FROM live_{view}")
            waits.append(1000 * (time.perf_counter() - began))
    return statistics.median(waits)


if __name__ == "__main__":
    sys.exit(main())
