"""A day's pack over a real ClickHouse, dbt, PostgreSQL and log: made twice, late fills, odd days."""

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
from infra.daily_packs import read_manifest
from infra.postgres.embedded import Server
from kitepilot import config as configuration
from kitepilot.cli.pack import marts
from kitepilot.cli.pack.making import Made, make
from kitepilot.cli.pack.session_words import session_words
from kitepilot.config import Config
from kitepilot.run import Run
from kitepilot.topics import TOPICS
from research.pack import day as pages
from research.pack import page
from research.pack.book import DayBook
from research.pack.document import Document

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


def test_without_clickhouse_there_is_a_failed_pack_with_the_same_records_from_the_log(
    house: House, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    for part in ("runs", "log", "postgres"):
        shutil.copytree(
            house.home / part, home / part, symlinks=True, ignore=shutil.ignore_patterns("socket")
        )
    for path in (home / "postgres").rglob("*"):
        shutil.copystat(path, path, follow_symlinks=False)
    made = make(home, DAY, None, tmp_path / "out", "none", lambda _: None)
    assert made.manifest.status == "FAILED" and "FAILED" in made.path.name
    assert any("ClickHouse" in why for why in made.manifest.why)
    assert "FAILED" in content(made, "report.html").decode()
    for table in ("signals", "verdicts", "intents", "orders", "fills"):
        name = f"records/{table}.jsonl"
        assert content(made, name) == content(house.first, name), table


@pytest.fixture(scope="module")
def odd_pages(house: House) -> dict[str, Document]:
    """The page of each day out of the ordinary, from its rows in the marts."""
    drawn = {}
    with opened_book(house.config, house.home) as book, connect(book, "dbt") as client:
        for name, told in ODD.items():
            dated = configuration.override(house.config, **{"session.date": told.day.isoformat()})
            found, lacking = marts.read(client, Run(told.run_id, book.folder, dated))
            assert not lacking
            words = session_words(told.day.isoformat(), told.open_at, told.close_at)
            kept = DayBook(told.run_id, told.day.isoformat(), "paper", "c", 1, words, marts=found)
            drawn[name] = pages.document(kept)
    return drawn


@pytest.mark.parametrize(
    ("name", "subtitle", "attention"),
    [
        ("no trades", "A regular session", ""),
        ("half", "09:15 to 12:30", ""),
        ("muhurat", "A Muhurat session", ""),
        ("crashed", "A regular session", "hours of the session are missing"),
        ("renamed", "A regular session", "INFY -> INFOSYS"),
    ],
)
def test_a_day_out_of_the_ordinary_is_drawn_and_says_what_it_is(
    odd_pages: dict[str, Document], name: str, subtitle: str, attention: str
) -> None:
    document = odd_pages[name]
    assert document.failed == ()
    assert page.html(document)
    assert subtitle in document.subtitle
    said = " ".join(each.text for each in document.attention)
    assert attention in said
    if not attention:
        assert "missing" not in said
    trades = next(tile for tile in document.tiles if tile.name == "Trades")
    assert (trades.figure, trades.note) == ("0", "a day without trades")


def test_a_late_fill_makes_a_second_version_that_names_it_and_the_first_one_stays(house: House) -> None:
    before = house.first.path.read_bytes()
    with opened_book(house.config, house.home) as book, connect(book, "owner") as client:
        client.command(
            "INSERT INTO fills SELECT * REPLACE ('late' AS trade_id, log_offset + 100000 AS log_offset, "
            f"now64(3) AS archived_at) FROM fills WHERE run_id = '{RUN_ID}' LIMIT 1"
        )
    made = house.make()
    assert made.fresh and made.manifest.version == 2 and made.changes is not None
    [fills] = [each for each in made.changes.files if each.name == "records/fills.jsonl"]
    assert [row.key.split()[1] for row in fills.rows] == ["late"]
    assert made.changes.figures
    text = content(made, "report.html").decode()
    assert "Changes since the version before" in text and "late" in text
    assert house.first.path.read_bytes() == before
    assert read_manifest(made.path).version == 2
