"""The book of analysis for a pack: built, tested, and open for reading; or in words why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kitepilot.cli.pack.checks import FAILED, PASSED, Check
from kitepilot.config import Config

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from infra.analytics.outcome import Outcome

AWAY = (
    "ClickHouse or dbt was away, so the book of analysis was not built: "
    "what is here comes from the run's own record."
)


@contextmanager
def analysed(
    home: Path, config: Config, checks: list[Check], say: Callable[[str], None]
) -> Iterator[Client | None]:
    """Build what is new, test all of it, and give a client to read with; None where nobody can be asked.

    How it went is added to `checks`.
    """
    from clickhouse_connect.driver.exceptions import ClickHouseError

    from infra.analytics.book import BookError, opened_book
    from infra.analytics.dbt import build
    from infra.clickhouse.client import ClickHouseUnreachableError, connect
    from infra.clickhouse.migrate import MigrationError

    entered = False
    try:
        with opened_book(config, home) as book:
            try:
                outcome = build(
                    book, step=lambda done, total, name: say(f"book of analysis {done}/{total} {name}")
                )
                checks += of_outcome(outcome)
            except BookError as err:
                checks.append(Check("analysis", FAILED, AWAY, (str(err),)))
            with connect(book, "dbt") as client:
                entered = True
                yield client
    except (BookError, ClickHouseUnreachableError, MigrationError, ClickHouseError, OSError) as err:
        if entered:
            raise
        checks.append(Check("analysis", FAILED, AWAY, (str(err),)))
        yield None


def of_outcome(outcome: Outcome) -> list[Check]:
    """One for each model that could not be built and each test that failed, or one for all that held."""
    found = [
        Check(
            "analysis",
            FAILED,
            f"The part {made.name} of the book of analysis could not be built.",
            (made.message,),
        )
        for made in outcome.made
        if made.status == "error"
    ]
    found += [
        Check(
            f"test {each.name}",
            FAILED,
            f"A test failed: {each.meaning or each.name}.",
            (each.message, each.sql),
        )
        for each in outcome.failures
        if each.status != "skipped"
    ]
    states = [*(made.status for made in outcome.made), *(each.status for each in outcome.tested)]
    if skipped := states.count("skipped"):
        words = f"{skipped} parts and tests of the book of analysis were left out after that."
        found.append(Check("analysis", FAILED, words))
    held = sum(not each.failed for each in outcome.tested)
    words = f"The book of analysis is built; {held:,} of its {len(outcome.tested):,} tests held."
    return [*found, Check("tests of the book", PASSED if not found else FAILED, words)]
