"""The book of people as the API reaches it: in threads, with short patience, one error when it is away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import sqlalchemy as sa
from anyio import CapacityLimiter, fail_after, to_thread
from sqlalchemy.exc import SQLAlchemyError

from infra.postgres.binaries import PostgresError

Found = TypeVar("Found")
AT_ONCE = 4
CONNECT_S = 2
STATEMENT_MS = 3_000
WITHIN_S = 10.0  # a server that is frozen keeps no time-out of its own


class AccountsAwayError(RuntimeError):
    """PostgreSQL does not answer: nobody can sign in, and the home's token still stops trading."""


class Accounts:
    """One small pool, made at first use. `url`: the SQLAlchemy URL, asked for when it is needed."""

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url
        self._engine: sa.Engine | None = None
        self._making = threading.Lock()
        self._turns = CapacityLimiter(AT_ONCE)

    async def __call__(self, work: Callable[[sa.Connection], Found]) -> Found:
        """`work` within one transaction.

        Raises:
            AccountsAwayError: no server, none that answers in time: `work` may still have been done.
        """
        asked = partial(to_thread.run_sync, abandon_on_cancel=True, limiter=self._turns)
        try:
            with fail_after(WITHIN_S):
                return await asked(self.now, work)
        except TimeoutError as err:
            raise AccountsAwayError("PostgreSQL does not answer") from err

    def now(self, work: Callable[[sa.Connection], Found]) -> Found:
        """The same in this thread."""
        try:
            with self._pool().begin() as connection:
                return work(connection)
        except (SQLAlchemyError, PostgresError) as err:
            raise AccountsAwayError("PostgreSQL does not answer") from err

    def close(self) -> None:
        """The pool's connections end; a later use makes another pool."""
        with self._making:
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    def _pool(self) -> sa.Engine:
        with self._making:
            if self._engine is None:
                self._engine = sa.create_engine(
                    self._url(),
                    pool_size=AT_ONCE,
                    max_overflow=0,
                    pool_timeout=CONNECT_S,
                    pool_pre_ping=True,
                    connect_args={
                        "connect_timeout": CONNECT_S,
                        "options": f"-c statement_timeout={STATEMENT_MS}",
                    },
                )
            return self._engine
