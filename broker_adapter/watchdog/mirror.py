"""The journal's lines about orders -> `watchdog_orders` in PostgreSQL, whenever it is there.

The file is the record; this is its copy in the book of record. Nobody waits for it, and a line that is there
already is left as it is.
"""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import sqlalchemy as sa

from broker_adapter.watchdog.journal import ORDER_KINDS, Line, read
from infra.postgres.embedded import PostgresError, database_url
from kitepilot.run import Run

EVERY_S = 1.0
CONNECT_TIMEOUT_S = 5
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ADD = """
    INSERT INTO watchdog_orders (run_id, seq, at, session_at_ns, kind, config_hash, intent_id, tag, order_id,
        token, tradingsymbol, side, quantity, protection_bps, reason, detail)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (run_id, seq) DO NOTHING"""


class Mirror:
    """A thread of its own, which may hang in a database that does not answer."""

    def __init__(self, run: Run, path: Path) -> None:
        self._run = run
        self._path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="mirror", daemon=True)
        self._copied = -1
        self._size = 0
        self._trouble = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float = 2.0) -> None:
        """Copies what is left if that takes no longer than `within_s`."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(within_s)

    def _follow(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._try()
        self._try()

    def _try(self) -> None:
        try:
            self._copy()
            self._trouble = ""
        except (PostgresError, psycopg.Error, OSError) as err:
            trouble = (str(err).splitlines() or [type(err).__name__])[0]
            if trouble != self._trouble:
                sys.stderr.write(f"watchdog: not copied to PostgreSQL yet: {trouble}\n")
            self._trouble = trouble

    def _copy(self) -> None:
        size = self._path.stat().st_size
        if size == self._size:
            return
        lines = [line for line in read(self._path) if line.seq > self._copied]
        wanted = [_row(line) for line in lines if line.kind in ORDER_KINDS and line.intent_id]
        if wanted:
            url = sa.make_url(database_url(self._run)).set(drivername="postgresql")
            dsn = url.render_as_string(hide_password=False)
            with psycopg.connect(dsn, connect_timeout=CONNECT_TIMEOUT_S) as connection:
                connection.cursor().executemany(_ADD, wanted)
        self._size = size
        self._copied = lines[-1].seq if lines else self._copied


def _row(line: Line) -> tuple[object, ...]:
    at = EPOCH + timedelta(microseconds=line.at // 1_000)
    who = (line.run_id, line.seq, at, line.session_at, line.kind, line.config_hash, line.intent_id, line.tag)
    what = (line.order_id, line.token, line.tradingsymbol, line.side, line.quantity, line.protection_bps)
    return (*who, *what, line.reason, line.detail)
