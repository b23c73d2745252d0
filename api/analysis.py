"""Queries over the book of analysis (ClickHouse) as the account `api`, which can only read.

Few at a time, each with a bound on rows and time. What does not answer is told as the problem
`analysis_unreachable`, at once while it is known to be away; never a hang.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, fail_after, to_thread

from api.problems import Problem
from infra.clickhouse.client import ClickHouseUnreachableError, connect
from kitepilot.run import Run

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

AT_ONCE = 4
WITHIN_S = 5.0
CONNECT_S = 1.0
AWAY_S = 2.0

Row = dict[str, Any]


class Analysis:
    """Connected at the first question; `close` it at the end."""

    def __init__(self, run: Run, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._monotonic = monotonic
        self._client: Client | None = None
        self._away_until = 0.0
        self._threads = CapacityLimiter(AT_ONCE)
        self._opening = threading.Lock()

    async def rows(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        """All rows of a query that bounds itself.

        Raises:
            Problem: analysis_unreachable.
        """
        if self._monotonic() < self._away_until:
            raise _away("it did not answer a moment ago")
        try:
            with fail_after(WITHIN_S):
                return await to_thread.run_sync(
                    self._rows, query, values, limiter=self._threads, abandon_on_cancel=True
                )
        except TimeoutError as err:
            self._away_until = self._monotonic() + AWAY_S
            raise _away(f"{WITHIN_S:.0f} s") from err

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _rows(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        from clickhouse_connect.driver.exceptions import Error

        try:
            with self._opening:
                client = self._client = self._client or connect(self._run, "api", wait_s=CONNECT_S)
            found = client.query(query, parameters=dict(values))
        except (ClickHouseUnreachableError, Error, ConnectionError) as err:
            self._away_until = self._monotonic() + AWAY_S
            raise _away(type(err).__name__) from err
        names: Sequence[str] = found.column_names
        return [dict(zip(names, row, strict=True)) for row in found.result_rows]


def _away(why: str) -> Problem:
    return Problem("analysis_unreachable", f"ClickHouse did not answer in time ({why}): ask again later.")
