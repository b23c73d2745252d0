"""Sessions of a dataset in the table: each content once, and an old content may come back."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from infra.clickhouse.client import connect
from infra.clickhouse.dataset_bars import forget_sessions, known_sessions, load_session
from kitepilot.cli.dataset_loading import load
from kitepilot.run import Run
from research.datasets.importing import Plan, import_bars
from research.datasets.manifest import folder_of
from research.datasets.reading import Told, planned
from research.datasets.session_files import COLUMNS
from research.datasets.sources import sources_in

BEGINS_NS = 1_767_584_700_000_000_000  # 2026-01-05 09:15 IST
MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)


def bars(count: int, close: int) -> pa.Table:
    begins = pa.array([BEGINS_NS + n * 60_000_000_000 for n in range(count)], pa.int64())
    money = pa.array([close] * count, pa.int64())
    return pa.table(
        {
            "tradingsymbol": pa.array(["INFY"] * count).dictionary_encode(),
            "token": pa.array([257] * count, pa.int64()),
            "begins_at": begins.cast(pa.timestamp("ns", tz="UTC")),
        }
        | dict.fromkeys([*COLUMNS.values(), "volume"], money)
    )


def test_an_imported_dataset_is_in_the_table_as_it_is_on_disk_and_replaced_with_it(
    run: Run, tmp_path: Path
) -> None:
    """Three sessions, then two of which one changed: the table follows."""
    name = f"d{time.time_ns()}"

    def held() -> list[tuple[date, int, int]]:
        with connect(run, "owner") as client:
            query = "SELECT session, count(), sum(volume) FROM dataset_bars WHERE dataset = {d:String} "
            query += "GROUP BY session ORDER BY session"
            return [
                (day, int(n), int(v)) for day, n, v in client.query(query, parameters={"d": name}).result_rows
            ]

    def import_days(days: dict[date, int]) -> str:
        path = tmp_path / "bars.csv"
        lines = [
            f"A,{day} 10:{minute:02d},1,1,1,1,{minute}" for day, n in days.items() for minute in range(n)
        ]
        path.write_text("\n".join(["symbol,time,open,high,low,close,volume", *lines]))
        files = planned(sources_in([path])[0], Told())
        manifest = import_bars(Plan(name, files), folder_of(run.home, name), replace=True)
        return load(run.config, run.home, manifest, Console(quiet=True))

    wednesday = date(2026, 1, 7)
    assert import_days({MONDAY: 10, TUESDAY: 5, wednesday: 3}) == "18 rows loaded, 18 are there"
    assert held() == [(MONDAY, 10, 45), (TUESDAY, 5, 10), (wednesday, 3, 3)]
    assert import_days({MONDAY: 10, TUESDAY: 7}) == "7 rows loaded, 17 are there"
    assert held() == [(MONDAY, 10, 45), (TUESDAY, 7, 21)]


def test_a_session_is_held_once_whatever_was_loaded_before(run: Run) -> None:
    dataset = run.run_id  # nobody else's rows

    def load(session: date, content: str, table: pa.Table) -> int:
        known = known_sessions(client, dataset).get(session, set())
        return load_session(client, dataset, session, content, table, known)

    def there(session: date) -> tuple[int, int]:
        query = "SELECT count(), max(close_paise) FROM dataset_bars "
        query += "WHERE dataset = {d:String} AND session = {s:Date}"
        count, close = client.query(query, parameters={"d": dataset, "s": session}).result_rows[0]
        return int(count), int(close)

    with connect(run, "owner") as client:
        assert load(MONDAY, "one", bars(375, 10_000)) == 375
        assert load(MONDAY, "one", bars(375, 10_000)) == 0
        assert load(TUESDAY, "other", bars(300, 11_000)) == 300
        assert load(MONDAY, "two", bars(370, 20_000)) == 370
        assert there(MONDAY) == (370, 20_000)
        assert load(MONDAY, "one", bars(375, 10_000)) == 375, "a content that was replaced comes back"
        assert there(MONDAY) == (375, 10_000)
        # killed after the new rows and before the old ones went: the next load finishes it
        load_session(client, dataset, MONDAY, "three", bars(10, 30_000), set())
        assert there(MONDAY) == (385, 30_000)
        assert load(MONDAY, "three", bars(10, 30_000)) == 0
        assert there(MONDAY) == (10, 30_000)
        query = "SELECT min(begins_at) FROM dataset_bars WHERE dataset = {d:String}"
        first = client.query(query, parameters={"d": dataset}).result_rows[0][0]
        assert first.replace(tzinfo=UTC) == datetime(2026, 1, 5, 3, 45, tzinfo=UTC)
        forget_sessions(client, dataset, [TUESDAY])
        assert known_sessions(client, dataset) == {MONDAY: {"three"}}
