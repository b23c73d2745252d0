"""Raw SQL over the book of record (PostgreSQL), away from the event loop, and never for long.

A few connections and as many threads; a statement has two seconds, a free connection one. What does not
answer is told as the problem `record_unreachable`, at once while it is known to be away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, LiteralString, TypeVar

import psycopg
from anyio import CapacityLimiter, to_thread
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout
from sqlalchemy import make_url

from api.problems import Problem
from infra.postgres.binaries import PostgresError
from infra.postgres.embedded import database_url
from kitepilot.run import Run

CONNECTIONS = 4
STATEMENT_MS = 2_000
WAIT_S = 1.0
AWAY_S = 2.0  # how long it is believed to be away after it was

Row = dict[str, Any]
T = TypeVar("T")


class Record:
    """Opened at the first question; `close` it at the end."""

    def __init__(self, run: Run, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._monotonic = monotonic
        self._pool: ConnectionPool[psycopg.Connection[Row]] | None = None
        self._away_until = 0.0
        self._threads = CapacityLimiter(CONNECTIONS)
        self._opening = threading.Lock()

    async def rows(self, query: LiteralString, values: Mapping[str, Any]) -> list[Row]:
        """All rows of a query that bounds itself.

        Raises:
            Problem: record_unreachable.
        """
        return await self.within(lambda connection: connection.execute(query, values).fetchall())

    async def within(self, work: Callable[[psycopg.Connection[Row]], T]) -> T:
        """Do it with one connection, in a thread, in one transaction. Raises as `rows`."""
        return await to_thread.run_sync(self._within, work, limiter=self._threads)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def _within(self, work: Callable[[psycopg.Connection[Row]], T]) -> T:
        if self._monotonic() < self._away_until:
            raise _away("it did not answer a moment ago")
        try:
            with self._opened().connection(timeout=WAIT_S) as connection:
                return work(connection)
        except (PostgresError, PoolTimeout, psycopg.OperationalError) as err:
            if not isinstance(err, psycopg.errors.QueryCanceled):
                self._away_until = self._monotonic() + AWAY_S
            raise _away(type(err).__name__) from err

    def _opened(self) -> ConnectionPool[psycopg.Connection[Row]]:
        with self._opening:
            if self._pool is None:
                self._pool = ConnectionPool(
                    conninfo_of(database_url(self._run)),
                    connection_class=psycopg.Connection[Row],
                    min_size=1,
                    max_size=CONNECTIONS,
                    timeout=WAIT_S,
                    kwargs={"row_factory": dict_row, "options": f"-c statement_timeout={STATEMENT_MS}"},
                    open=True,
                )
            return self._pool


def conninfo_of(url: str) -> str:
    """SQLAlchemy's URL as libpq's words."""
    parts = make_url(url)
    words = {"user": parts.username, "password": parts.password, "dbname": parts.database}
    place = {"host": parts.host, "port": parts.port}
    given = {
        name: str(value) for name, value in {**words, **place, **parts.query}.items() if value is not None
    }
    return make_conninfo("", **given)


def _away(why: str) -> Problem:
    return Problem("record_unreachable", f"PostgreSQL did not answer in time ({why}): ask again in a moment.")
