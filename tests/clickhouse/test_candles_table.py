"""Files of candles in the table: each part once, whatever was killed in between."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from infra.clickhouse.candles import known_parts, load_part
from infra.clickhouse.client import connect
from kitepilot.run import Run

MINUTE_MS = 60_000
BEGIN_MS = 1_767_584_700_000  # 2026-01-05 09:15 IST


def candles(count: int, close: int = 10_005) -> pa.Table:
    begins = pa.array([BEGIN_MS + n * MINUTE_MS for n in range(count)], pa.int64())
    money = pa.array([close] * count, pa.int64())
    names = ["open_paise", "high_paise", "low_paise", "close_paise", "volume"]
    return pa.table(
        {"token": pa.array([257] * count, pa.int64()), "begins_at": begins.cast(pa.timestamp("ms", tz="UTC"))}
        | dict.fromkeys(names, money)
        | {"in_session": pa.array([True] * count)}
    )


def test_a_part_is_loaded_once_and_a_changed_part_takes_its_place(run: Run) -> None:
    symbol = run.run_id  # nobody else's rows
    part = f"interval=minute/symbol={symbol}/a"

    def load(content: str, table: pa.Table) -> int:
        known = known_parts(client, "minute", symbol)
        return load_part(client, "minute", symbol, part, content, table, known.get(part, set()))

    def there() -> tuple[int, int]:
        query = "SELECT count(), max(close_paise) FROM candles WHERE tradingsymbol = {s:String}"
        count, close = client.query(query, parameters={"s": symbol}).result_rows[0]
        return int(count), int(close)

    with connect(run, "owner") as client:
        assert load("one", candles(375)) == 375
        assert load("one", candles(375)) == 0
        assert there() == (375, 10_005)
        assert load("two", candles(370, 20_000)) == 370
        assert there() == (370, 20_000)
        # killed after the new rows and before the old ones went: the next load finishes it
        load_part(client, "minute", symbol, part, "three", candles(10, 30_000), set())
        assert there() == (380, 30_000)
        assert load("three", candles(10, 30_000)) == 0
        assert there() == (10, 30_000)
        assert known_parts(client, "minute", symbol) == {part: {"three"}}
        first = client.query(
            "SELECT min(begins_at) FROM candles WHERE tradingsymbol = {s:String}", parameters={"s": symbol}
        ).result_rows[0][0]
        assert first.replace(tzinfo=UTC) == datetime(2026, 1, 5, 3, 45, tzinfo=UTC)
