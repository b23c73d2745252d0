"""A traded day in ClickHouse with its marts: made once, copied for each who changes it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopback_ports import free_port
from traded_day import RUN_ID, TradedDay, archive, trade

from infra.analytics.book import opened_book
from infra.analytics.dbt import build
from infra.analytics.outcome import Outcome
from infra.clickhouse.client import connect
from kitepilot import config as configuration
from kitepilot.run import Run


@dataclass(frozen=True)
class Book:
    """A running ClickHouse with a day's marts, what dbt said when it built them, and the day they tell of."""

    run: Run
    outcome: Outcome
    day: TradedDay

    def rows(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        """What a query gives. The raw database is `kitepilot`; `kitepilot_marts` need not be named."""
        with connect(self.run, "dbt", database="kitepilot_marts") as client:
            return list(client.query(query, parameters or None).named_results())

    def write(self, statement: str) -> None:
        """Change the raw tables: only in a book of one's own."""
        with connect(self.run, "owner") as client:
            client.command(statement)


def made_book(home: Path) -> Outcome:
    """Trade, archive and build a day in `home`; nothing runs there afterwards."""
    day = trade(home, free_address())
    (home / "clickhouse" / "data").mkdir(parents=True)
    with opened_book(day.run.config, home) as run:
        archive(day)
        return build(run, tested="all")  # the one build in CI that runs the unit tests


@contextmanager
def copied_book(template: Path, outcome: Outcome, folder: Path) -> Iterator[Book]:
    """The same book in another home, its ClickHouse running."""
    home = folder / "home"
    shutil.copytree(template, home, symlinks=True)
    past = Run(RUN_ID, home / "runs" / RUN_ID, configuration.load(home / "runs" / RUN_ID / "config.yaml"))
    elsewhere = configuration.override(past.config, **{"storage.clickhouse_url": free_address()})
    with opened_book(elsewhere, home) as run:
        yield Book(run, outcome, TradedDay(past))


def free_address() -> str:
    return f"http://127.0.0.1:{free_port()}"
