"""Orders, intents and fills of an earlier run come from the book of record, page by page."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from test_day_book import started

from api import past_rows
from api.app import create_app
from api.problems import Problem
from api.record import Record, conninfo_of
from api.services import made
from infra.eventlog import open_log
from infra.postgres.embedded import Server
from kitepilot.config import Config
from kitepilot.events import encode
from kitepilot.run import Run
from kitepilot.topics import TOPICS

pytestmark = pytest.mark.stack
AT = 1_795_150_800_000_000_000
ORDERS = 23


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("record-home")
    with Server(place) as server, psycopg.connect(conninfo_of(server.url)) as connection:
        connection.execute(
            "INSERT INTO runs (run_id, mode, session_date, seed, feed, config_hash, config, code_version) "
            "VALUES ('earlier', 'paper', %s, 1, 'synthetic', 'c', '', '0')",
            (date(2026, 11, 19),),
        )
        for number in range(ORDERS):
            write_order(connection, number)
        connection.commit()
        yield place


def intent_id(number: int) -> str:
    """Eighteen base32 characters, as the table asks."""
    return f"{'A' * 16}{chr(65 + number // 26)}{chr(65 + number % 26)}"


def write_order(connection: psycopg.Connection, number: int) -> None:
    connection.execute(
        "INSERT INTO intents (run_id, intent_id, seq, signal_id, verdict_id, config_hash, strategy, purpose, "
        "token, tradingsymbol, side, quantity, order_type, limit_price_paise, validity, "
        "decision_price_paise, event_at_ns) "
        "VALUES ('earlier', %s, %s, 's', 'v', 'c', 'own', 'entry', 1, 'INFY', 'BUY', 20, "
        "'LIMIT', 100, 'IOC', 100, %s)",
        (intent_id(number), number, AT + number),
    )
    for child, status in enumerate(("filled", "working", "cancelled")):
        connection.execute(
            "INSERT INTO orders (run_id, intent_id, slice, tag, order_id, status, quantity, filled_quantity) "
            "VALUES ('earlier', %s, %s, %s, %s, %s, 10, 5)",
            (intent_id(number), child, f"{intent_id(number)}{child:02d}", f"O{number}-{child}", status),
        )
    connection.execute(
        "INSERT INTO fills (run_id, order_id, trade_id, intent_id, token, tradingsymbol, side, quantity, "
        "price_paise, traded_at_ns) VALUES ('earlier', %s, 'T', %s, 1, 'INFY', 'BUY', 5, 100, %s)",
        (f"O{number}-0", intent_id(number), AT + number // 2),
    )


@pytest.fixture
def record(home: Path) -> Iterator[Record]:
    opened = Record(Run("now", home / "runs" / "now", Config()))
    yield opened
    opened.close()


@pytest.mark.parametrize("resource", ["orders", "intents", "fills"])
async def test_every_row_of_an_earlier_run_comes_once_newest_first(record: Record, resource: str) -> None:
    seen, cursor = [], None
    while True:
        rows, cursor = await getattr(past_rows, resource)(record, "earlier", 7, cursor)
        seen += [row.intent_id for row in rows]
        if cursor is None:
            break
    assert len(seen) == ORDERS and len(set(seen)) == ORDERS
    if resource != "fills":
        assert seen == [intent_id(number) for number in reversed(range(ORDERS))]


async def test_children_are_added_up_and_the_one_that_works_speaks(record: Record) -> None:
    (row,), _ = await past_rows.orders(record, "earlier", 1, None)
    assert (row.filled_quantity, row.status, row.order_id) == (15, "working", f"O{ORDERS - 1}-1")
    assert row.decided.ist is not None and row.decided.ist.startswith("2026-11-20T10:30:00")


async def test_a_database_that_is_away_is_told_at_once_and_not_waited_for(tmp_path: Path) -> None:
    record = Record(Run("now", tmp_path / "runs" / "now", Config()))
    for _ in range(2):
        with pytest.raises(Problem) as told:
            await past_rows.orders(record, "earlier", 1, None)
        assert told.value.code == "record_unreachable"


async def test_a_statement_that_takes_too_long_is_ended(record: Record) -> None:
    with pytest.raises(Problem) as told:
        await asyncio.wait_for(record.rows("SELECT pg_sleep(100)", {}), 60)
    assert told.value.code == "record_unreachable"
    assert await record.rows("SELECT 1 AS one", {}) == [{"one": 1}], "others are served all the same"


@pytest.fixture(scope="module")
def reader(home: Path) -> Iterator[TestClient[Litestar]]:
    """Signed in with the home's token, over that book of record."""
    folder = home / "runs" / "paper-20261120-0001"
    folder.mkdir(parents=True)
    (folder / "start_offsets.json").write_text(json.dumps({t.name: 0 for t in TOPICS}))
    (folder / "report.html").write_text("<p>the day</p>")
    run = Run(folder.name, folder, Config())
    log = open_log(run)
    log.create_topics(TOPICS)
    log.append("session", [encode(started())])
    services = made(run, log, api_secret="", token="t0ken")
    services.view.start()
    with TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        client.headers["authorization"] = "Bearer t0ken"
        yield client
    services.view.stop()
    services.close()
    log.close()


def test_runs_are_listed_and_one_is_told_with_its_configuration(reader: TestClient[Litestar]) -> None:
    (row,) = reader.get("/api/v1/runs").json()["items"]
    assert (row["run_id"], row["session_date"], row["result"]) == ("earlier", "2026-11-19", None)
    assert reader.get("/api/v1/runs/earlier").json() == {"run": row, "config": ""}
    assert reader.get("/api/v1/runs/nobody").json()["code"] == "not_found"


def test_an_earlier_runs_orders_are_paged_over_http(reader: TestClient[Litestar]) -> None:
    first = reader.get("/api/v1/orders", params={"run": "earlier", "limit": 20}).json()
    rest = reader.get("/api/v1/orders", params={"run": "earlier", "cursor": first["next"]}).json()
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (20, ORDERS - 20, None)
    wrong = reader.get("/api/v1/fills", params={"run": "earlier", "cursor": first["next"]})
    assert (wrong.status_code, wrong.json()["code"]) == (404, "bad_cursor")


def test_an_empty_registry_and_an_empty_chain_are_empty_lists(reader: TestClient[Litestar]) -> None:
    assert reader.get("/api/v1/models").json() == {"items": []}
    assert reader.get("/api/v1/models/nobody").status_code == 404
    assert reader.get("/api/v1/audit", params={"about": "x\0"}).json() == {"items": [], "next": None}


def test_a_report_is_downloaded_and_nothing_beside_it(reader: TestClient[Litestar]) -> None:
    (row,) = reader.get("/api/v1/reports").json()["items"]
    reply = reader.get(f"/api/v1/reports/{row['run_id']}/{row['name']}")
    assert (reply.status_code, reply.content) == (200, b"<p>the day</p>")
    assert reply.headers["content-disposition"].startswith("attachment")
    for name in ("start_offsets.json", "..%2Fstart_offsets.json", "%2e%2e%2f%2e%2e%2fapi.token"):
        assert reader.get(f"/api/v1/reports/{row['run_id']}/{name}").status_code == 404


def test_a_chart_without_its_engine_is_a_problem_and_not_a_wait(reader: TestClient[Litestar]) -> None:
    reply = reader.get("/api/v1/candles", params={"symbol": "INFY", "source": "history"})
    assert (reply.status_code, reply.json()["code"]) == (503, "analysis_unreachable")


def changed(client: TestClient[Litestar], **limits: str) -> Any:
    return client.post("/api/v1/risk/profile", json={"set": limits, "reason": "a thin market"})


def versions(client: TestClient[Litestar]) -> list[int]:
    return [each["version"] for each in client.get("/api/v1/risk/profiles").json()["items"]]


def until(client: TestClient[Litestar], version: int) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while (shown := client.get("/api/v1/risk").json())["version"] != version:
        assert time.monotonic() < deadline, shown
        time.sleep(0.02)
    return dict(shown)


def test_an_operator_tightens_a_limit_and_does_not_loosen_it(reader: TestClient[Litestar]) -> None:
    assert until(reader, 1)["limits"][0]["name"] == "daily_loss"
    tighter = changed(reader, daily_loss="1000", blocked="SBIN")
    assert tighter.status_code == 202
    shown = until(reader, 2)
    assert (shown["limits"][0]["value"], shown["blocked"]) == (100_000, ["SBIN"])
    made = reader.get(f"/api/v1/commands/{tighter.json()['command_id']}").json()
    assert made["words"] == ["risk profile 2 in force: a thin market; by service"]
    before = versions(reader)
    for looser in (
        {"daily_loss": "1001"},
        {"blocked": ""},
        {"sizing": "fixed_quantity", "sizing.shares": "1"},
    ):
        reply = changed(reader, **looser)
        assert (reply.status_code, reply.json()["code"]) == (403, "step_up_required")
    assert versions(reader) == before


def test_a_limit_that_is_none_and_a_value_that_is_no_number_are_refused(reader: TestClient[Litestar]) -> None:
    until(reader, max(versions(reader), default=1))
    for wrong in ({"daily_lost": "1"}, {"daily_loss": "much"}, {"daily_loss": "-5"}):
        reply = changed(reader, **wrong)
        assert (reply.status_code, reply.json()["code"]) == (422, "refused")
