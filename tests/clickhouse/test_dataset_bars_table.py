"""Sessions of a dataset in the table: each content once, and an old content may come back."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa

from infra.clickhouse.client import connect
from infra.clickhouse.dataset_bars import forget_sessions, known_sessions, load_session
from kitepilot.run import Run
from research.datasets.session_files import COLUMNS

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
