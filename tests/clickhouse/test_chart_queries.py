"""What a chart is drawn from: bars of a run put together from 09:15 IST, page by page, over a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from api.analysis import Analysis
from api.problems import Problem
from api.resources.chart import _FEATURES, _KEPT, _OF_RUN, LATEST_NS, OPENS_S
from infra.clickhouse.client import connect
from kitepilot.config import Config, StorageSection
from kitepilot.run import Run

pytestmark = pytest.mark.stack
OPEN = datetime(2026, 11, 20, 3, 45, tzinfo=UTC)  # 09:15 IST
OPEN_S = int(OPEN.timestamp())


@pytest.fixture
def analysis(run: Run) -> Iterator[Analysis]:
    client = connect(run, "sink")
    columns = ["run_id", "session_date", "interval_s", "close_at", "token", "open_paise", "high_paise",
               "low_paise", "close_paise", "volume", "backfilled"]  # fmt: skip
    rows = [
        [run.run_id, OPEN.date(), 60, datetime.fromtimestamp(OPEN_S + 60 * (minute + 1), UTC), 1,
         100 + minute, 110 + minute, 90 - minute, 101 + minute, 10, False]
        for minute in range(75)
    ]  # fmt: skip
    rows.append([*rows[0][:9], 999, True])
    client.insert("bars", rows, column_names=columns)
    client.close()
    opened = Analysis(run)
    yield opened
    opened.close()


def asked(run: Run, step: int, **more: int) -> dict[str, object]:
    wanted = {"run": run.run_id, "token": 1, "made": 60, "step": step, "opens": OPENS_S, "since": 0}
    return wanted | {"until": LATEST_NS, "after": -1, "limit": 1_000, **more}


async def test_a_minute_is_as_it_closed_and_a_backfilled_one_is_not_shown(
    run: Run, analysis: Analysis
) -> None:
    rows = await analysis.rows(_OF_RUN, asked(run, 60))
    assert [row["begins_s"] for row in rows] == [OPEN_S + 60 * minute for minute in range(75)]
    assert rows[0]["volume"] == 10


async def test_longer_ones_begin_at_the_open_and_lose_nothing(run: Run, analysis: Analysis) -> None:
    rows = await analysis.rows(_OF_RUN, asked(run, 3_600))
    assert [row["begins_s"] - OPEN_S for row in rows] == [0, 3_600]
    first = rows[0]
    assert (first["open_paise"], first["high_paise"], first["low_paise"], first["close_paise"]) == (
        100, 110 + 59, 90 - 59, 101 + 59,
    )  # fmt: skip
    assert sum(row["volume"] for row in rows) == 750


async def test_a_span_and_a_place_to_go_on_bound_the_rows(run: Run, analysis: Analysis) -> None:
    since = (OPEN_S + 600) * 10**9
    rows = await analysis.rows(_OF_RUN, asked(run, 60, since=since, until=since + 300 * 10**9, limit=3))
    again = await analysis.rows(
        _OF_RUN, asked(run, 60, since=since, until=since + 300 * 10**9, after=rows[-1]["begins_s"])
    )
    assert [row["begins_s"] - OPEN_S for row in [*rows, *again]] == [600, 660, 720, 780, 840]


async def test_where_nothing_was_kept_there_is_nothing(run: Run, analysis: Analysis) -> None:
    none = {"since": 0, "until": LATEST_NS, "after": -1, "limit": 10}
    assert await analysis.rows(_KEPT, none | {"interval": "minute", "symbol": "NOBODY"}) == []
    assert await analysis.rows(_FEATURES, none | {"run": "nobody", "token": 1, "made": 60}) == []


async def test_an_engine_that_is_away_is_told_at_once(run: Run) -> None:
    away = Config(storage=StorageSection(clickhouse_url="http://127.0.0.1:1"))
    analysis = Analysis(Run(run.run_id, run.folder, away))
    for _ in range(2):
        with pytest.raises(Problem) as told:
            await analysis.rows("SELECT 1", {})
        assert told.value.code == "analysis_unreachable"
