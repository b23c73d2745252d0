"""A day's pack over a real ClickHouse, dbt, PostgreSQL and log: made twice, the same bytes."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from book_of_a_day import free_address
from ledger_days import MINUTE, SECOND, TOKENS, TradedDay
from traded_day import RUN_ID

from flows.archive import open_archive
from infra.analytics.book import opened_book
from infra.analytics.outcome import Outcome
from infra.audit.verification import verify_file
from infra.clickhouse.client import connect
from infra.postgres.embedded import Server
from kitepilot import config as configuration
from kitepilot.cli.pack.making import Made, make
from kitepilot.config import Config
from kitepilot.run import Run
from kitepilot.topics import TOPICS

DAY = "2026-11-20"
ODD = {
    "no trades": TradedDay("paper-20261105-0001", date(2026, 11, 5)),
    "half": TradedDay("paper-20240302-0001", date(2024, 3, 2), hours=("09:15", "12:30")),
    "muhurat": TradedDay("paper-20251021-0001", date(2025, 10, 21), hours=("13:45", "14:45")),
    "crashed": TradedDay("paper-20261109-0001", date(2026, 11, 9)),
    "renamed": TradedDay("paper-20261112-0001", date(2026, 11, 12), symbols=TOKENS | {408065: "INFOSYS"}),
}


@dataclass
class House:
    """A home with a recorded day, archived; and the days out of the ordinary in its ClickHouse."""

    home: Path
    config: Config
    first: Made

    def make(self, out: Path | None = None) -> Made:
        return make(self.home, DAY, None, out, "decisions", lambda _: None)


@pytest.fixture(scope="module")
def house(book_template: tuple[Path, Outcome], tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The first pack of the day is made in it, and with it the book of all days is built."""
    home = tmp_path_factory.mktemp("pack") / "home"
    shutil.copytree(book_template[0], home, symlinks=True)
    path = home / "runs" / RUN_ID / "config.yaml"
    config = configuration.override(
        configuration.load(path), **{"storage.clickhouse_url": free_address(), "session.date": DAY}
    )
    path.write_text(configuration.dump(config))
    with Server(home):
        pass  # the book of record, with an audit in which nothing was recorded yet
    with opened_book(config, home):
        for told in ODD.values():
            mark(told, 200 if told is ODD["crashed"] else None)
            archive(told, home, config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KITEPILOT_HOME", str(home))
        yield House(home, config, make(home, DAY, None, None, "decisions", lambda _: None))


def mark(told: TradedDay, until: int | None) -> None:
    """A mark in every minute to the close, or for so many minutes."""
    for minute in range((told.close_at - told.open_at) // MINUTE if until is None else until):
        told.mark(told.open_at + minute * MINUTE + SECOND, {408065: 150_000})


def archive(told: TradedDay, home: Path, config: Config) -> None:
    dated = configuration.override(config, **{"session.date": told.day.isoformat()})
    run = Run(told.run_id, home / "elsewhere" / told.run_id, dated)
    run.folder.mkdir(parents=True)
    (run.folder / "start_offsets.json").write_text(json.dumps({topic.name: 0 for topic in TOPICS}))
    sink = open_archive(run, None)
    sink.add(told.records())
    sink.flush()
    sink.close()


def content(made: Made, name: str) -> bytes:
    with zipfile.ZipFile(made.path) as zipped:
        return zipped.read(name)


def rows(made: Made, name: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in content(made, name).splitlines()]


def test_every_part_of_the_day_is_drawn_from_the_marts_as_they_are(house: House) -> None:
    """No column that the page reads is missing, and nothing that was asked for was left out."""
    why = [each for each in house.first.manifest.why if "could not be drawn" in each or "not there" in each]
    assert why == []
    text = content(house.first, "report.html").decode()
    assert "could not be drawn" not in text
    for title in ("Money", "Trades", "Costs", "Limits", "Compliance", "Books compared", "Checks"):
        assert f">{title}<" in text
    assert content(house.first, "report.pdf").startswith(b"%PDF")
    names = {each.name for each in house.first.manifest.files}
    assert {
        "configuration/config.yaml",
        "records/fills.csv",
        "records/verdicts.jsonl",
        "checks.json",
    } <= names


def test_the_records_are_the_archives_and_the_replay_came_out_the_same(house: House) -> None:
    with opened_book(house.config, house.home) as book, connect(book, "dbt", database="kitepilot") as client:
        for table in ("signals", "verdicts", "intents", "orders", "fills"):
            query = f"SELECT count() FROM {table} WHERE run_id = {{run:String}}"
            [[stored]] = client.query(query, parameters={"run": RUN_ID}).result_rows
            assert len(rows(house.first, f"records/{table}.jsonl")) == stored, table
    checks = {
        each["name"]: each["state"] for each in msgspec.json.decode(content(house.first, "checks.json"))
    }
    assert checks["replay of the decisions"] == "passed"
    assert checks["audit"] == "passed"


def test_made_again_after_a_restart_of_everything_it_is_the_same_bytes(house: House, tmp_path: Path) -> None:
    again = house.make(tmp_path)
    assert again.fresh
    assert again.path.read_bytes() == house.first.path.read_bytes()
    with zipfile.ZipFile(again.path) as zipped:
        zipped.extract("records/audit.jsonl", tmp_path)
    assert verify_file(tmp_path / "records" / "audit.jsonl", house.home).flaw is None
