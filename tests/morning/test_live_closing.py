"""A live day ends as a paper day does: every book against the broker's, a report, a result to remember."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from morning_desk import DAY, SECRET, Venue, open_venue
from typer.testing import CliRunner

from broker_adapter.kite import session as sessions
from broker_adapter.kite.instruments_file import Snapshots
from kitepilot.cli import background, readiness
from kitepilot.cli.main import app
from kitepilot.cli.readiness import books
from kitepilot.cli.supervise import Supervisor
from kitepilot.config import Config
from kitepilot.market.instruments import parse_instruments
from kitepilot.run import Run

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(600)]
SHARES = 40


@pytest.fixture
def venue() -> Iterator[Venue]:
    """Slow enough to be open when the system is up."""
    with open_venue(60) as opened:
        yield opened


def trade_by_hand(run: Run, side: str) -> None:
    """A market order of the account's owner: no tag."""
    listed = parse_instruments((run.folder / "instruments.csv").read_bytes())
    form = {
        "exchange": "NSE", "tradingsymbol": next(i.tradingsymbol for i in listed if i.tradable),
        "product": "MIS", "transaction_type": side, "quantity": SHARES, "order_type": "MARKET",
        "market_protection": 2, "validity": "DAY",
    }  # fmt: skip
    headers = {**sessions.KITE_VERSION, **sessions.load(run).authorization}
    url = f"{run.config.broker.rest_url}/orders/regular"
    reply = httpx.post(url, data=form, headers=headers, trust_env=False)
    assert reply.status_code == 200, reply.text


def await_seen(home: Path, orders: int) -> None:
    """Until the gateway has adopted that many orders, all of them filled."""
    deadline = time.monotonic() + 60
    while True:
        found = background.describe(home)["account"].get("foreign_orders", [])
        if [order["filled_quantity"] for order in found] == [SHARES] * orders:
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def end_session(venue: Venue) -> None:
    """The rest of the exchange's day, quickly: only then has the account been marked at the close."""
    with httpx.Client(base_url=venue.admin, trust_env=False) as admin:
        admin.post("/admin/speed", json={"speed": 4800}).raise_for_status()
        deadline = time.monotonic() + 120
        while admin.get("/admin/state").json()["state"] != "closed":
            assert time.monotonic() < deadline
            time.sleep(0.1)


def down() -> tuple[int, dict[str, Any]]:
    said = CliRunner().invoke(app, ["down", "--json"])
    assert said.exit_code in (0, 1), said.output
    return said.exit_code, json.loads(said.stdout)


@pytest.fixture
def brought_up(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Config, Path], Run]]:
    """A system that is stopped whatever becomes of the test. Its processes do not count for the coverage."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    yield background.bring_up
    if Supervisor(own_home).alive():
        Supervisor(own_home).shutdown()


@pytest.fixture
def rows(prepared: Config, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> list[books.LastRun | None]:
    """What PostgreSQL knew of the last run each time the stores were about to stop."""
    seen: list[books.LastRun | None] = []
    shutdown = Supervisor.shutdown

    def look_and_stop(supervisor: Supervisor) -> None:
        seen.append(books.last_run(prepared, own_home, ""))
        shutdown(supervisor)

    monkeypatch.setattr(Supervisor, "shutdown", look_and_stop)
    return seen


def test_a_live_day_is_proven_against_the_brokers_books_and_the_next_morning_knows(
    prepared: Config,
    own_home: Path,
    venue: Venue,
    brought_up: Callable[[Config, Path], Run],
    rows: list[books.LastRun | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All processes, against the exchange they were given by address. The clock is the machine's."""
    monkeypatch.setattr(background, "require_market", lambda config: None)
    run = brought_up(prepared, own_home)
    states = {p["name"]: p["state"] for p in background.describe(own_home)["processes"]}
    assert "sandbox" not in states
    assert set(states.values()) == {"RUNNING"}
    assert run.run_id.startswith("live-20261120-")
    listed = parse_instruments((run.folder / "instruments.csv").read_bytes())
    assert len(run.parameters().instruments) == len(listed)
    trade_by_hand(run, "BUY")
    await_seen(own_home, 1)
    trade_by_hand(run, "SELL")
    await_seen(own_home, 2)
    end_session(venue)
    code, result = down()
    assert (code, result["reconciled"]) == (0, True), result["first_difference"]
    heads, cells = result["reconciliation"]["heads"], result["reconciliation"]["rows"]
    assert heads[1:5] == ["broker", "PostgreSQL", "decisions", "ClickHouse"]
    told = {row[0].strip(): row[1:5] for row in cells}
    assert set(told["not ours"]) == {str(result["foreign_fills"])}
    assert result["foreign_fills"] >= 2
    assert set(told["shares bought"]) == set(told["shares sold"])
    assert "Reconciled: every book agrees" in (run.folder / "report.html").read_text()
    assert rows == [books.LastRun(run.run_id, True, 0)]
    assert books.last_run(prepared, own_home, "") == rows[0]  # the folder, now that PostgreSQL has stopped
    no_secret_lies_about(run, own_home)

    again = brought_up(prepared, own_home)  # the same day: its book has the first run's orders too
    token_gone = sessions.forget(own_home)
    code, result = down()
    assert token_gone
    assert (code, result["reconciled"], result["open_positions"]) == (1, False, 0)
    assert result["first_difference"].startswith("the broker's books could not be read: ")
    assert "a login is needed" in result["first_difference"]
    assert rows[1] == books.LastRun(again.run_id, False, 0, result["first_difference"])
    morning = {check.name: check for check in readiness.checks(prepared, own_home)}["last run"]
    assert (morning.colour, "could not be read" in morning.found) == ("red", True)


def no_secret_lies_about(run: Run, home: Path) -> None:
    token = sessions.load(run).access_token.encode()
    for path in home.rglob("*"):
        if path.is_file():
            assert token not in path.read_bytes(), path
            assert SECRET.encode() not in path.read_bytes(), path
    assert Snapshots.of(home, run.config.broker).days() == [DAY]
