"""The book of analysis for a pack: built, tested, and open for reading; or in words why not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kitepilot.cli.pack.checks import FAILED, Check
from kitepilot.run import Run

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

NEARBY_S = 0.5


@contextmanager
def analysed(home: Path, run: Run, checks: list[Check]) -> Iterator[Client | None]:
    from infra.clickhouse.client import ClickHouseUnreachableError, connect

    try:
        client = connect(run, "dbt", wait_s=NEARBY_S)
    except ClickHouseUnreachableError as err:
        checks.append(Check("analysis", FAILED, "ClickHouse did not answer", (str(err),)))
        yield None
        return
    with client:
        yield client
