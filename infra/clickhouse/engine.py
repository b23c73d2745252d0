"""The embedded engine and its connections: one engine per data folder, one connection per request or session.

Connections to one engine run in parallel and the interpreter lock is released during queries; a single
connection serialises. SET, USE, temporary tables and the active role belong to a connection.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from infra.clickhouse.accounts import Account
from infra.clickhouse.errors import RequestError
from infra.clickhouse.statements import identifier, quoted

#: Sessions kept at once; a client that opens more is refused, not remembered.
SESSIONS = 256


class EngineConnection:
    """One engine connection under one account's role."""

    def __init__(self, raw: Any, account: Account) -> None:
        self.raw = raw
        self.lock = threading.Lock()
        self.expires_at = 0.0  # monotonic; 0 for a connection that serves one request
        self.chosen_database: str | None = None  # by USE inside the session
        self._database: str | None = None
        self._settings: dict[str, str] = {}
        self._before: dict[str, str | None] = {}  # value a URL setting replaced; None: the default
        raw.query(f"SET ROLE {account.role}")
        if account.readonly:
            raw.query("SET readonly = 2")

    def apply(self, database: str | None, settings: dict[str, str]) -> None:
        """Bring the connection to what one request asks for: only the difference to the last request.

        Settings of an earlier request that this one does not name go back to what they were.

        Raises:
            RequestError: a setting whose name is no name.
        """
        for name in settings:
            if not name.isidentifier() or not name.isascii():
                raise RequestError(115, "UNKNOWN_SETTING", f"Unknown setting {name!r}")
        self._restore([name for name in self._settings if name not in settings])
        changed = {n: v for n, v in settings.items() if self._settings.get(n) != v}
        if changed:
            self._change(changed)
        if database and database != self._database:
            self.raw.query(f"USE {identifier(database)}")
            self._database = database

    def note_use(self) -> None:
        """After a USE statement: remember the database, later requests of the session start there."""
        current = self.raw.query("SELECT currentDatabase()", "TabSeparatedRaw").bytes().decode()
        self.chosen_database = self._database = current.rstrip("\n")

    def _restore(self, names: list[str]) -> None:
        for name in names:
            before = self._before.pop(name, None)
            del self._settings[name]
            value = "DEFAULT" if before is None else quoted(before)
            self.raw.query(f"SET {name} = {value}")

    def _change(self, settings: dict[str, str]) -> None:
        fresh = [name for name in settings if name not in self._settings]
        before = self._changed_by_hand(fresh) if self.expires_at and fresh else {}
        self.raw.query("SET " + ", ".join(f"{name} = {quoted(v)}" for name, v in settings.items()))
        self._before.update({name: before.get(name) for name in fresh})
        self._settings.update(settings)

    def _changed_by_hand(self, names: list[str]) -> dict[str, str]:
        wanted = ", ".join(map(quoted, names))
        rows = self.raw.query(
            f"SELECT name, value FROM system.settings WHERE changed AND name IN ({wanted})",  # noqa: S608
            "JSONCompactEachRow",
        )
        return dict(map(json.loads, rows.bytes().splitlines()))


def library() -> Callable[[str], Any]:
    """The engine's `connect`. Loading it starts threads. Raises `ImportError` where it is missing."""
    import chdb

    return cast(Callable[[str], Any], chdb.connect)


class Engine:
    """The engine of one data folder. The first connection keeps it alive."""

    def __init__(self, connect: Callable[[str], Any], data: Path, config: Path) -> None:
        self._connect = connect
        self._address = f"{data}?config-file={config}"
        self._base = self._connect(self._address)
        self.version = self._ask("SELECT version()")
        self.timezone = self._ask("SELECT timezone()")
        self._sessions: dict[tuple[str, str], EngineConnection] = {}
        self._mutex = threading.Lock()

    def _ask(self, question: str) -> str:
        return str(self._base.query(question, "TabSeparatedRaw").bytes().decode().strip())

    def connection(self, account: Account) -> EngineConnection:
        """A connection for one request, already locked."""
        made = EngineConnection(self._connect(self._address), account)
        made.lock.acquire()
        return made

    def session(self, account: Account, session_id: str, timeout_s: float, check: bool) -> EngineConnection:
        """The locked connection of a session, opened on first use.

        Raises:
            RequestError: in use by another request (373), unknown although `check` (372), too many (203).
        """
        now = time.monotonic()
        key = (account.name, session_id)
        with self._mutex:
            self._close_expired(now)
            session = self._sessions.get(key)
            if session is None:
                session = self._sessions[key] = self._new_session(account, session_id, check)
            if not session.lock.acquire(blocking=False):
                raise RequestError(
                    373, "SESSION_IS_LOCKED", f"Session {session_id} is locked by another query"
                )
            session.expires_at = now + timeout_s
            return session

    def _new_session(self, account: Account, session_id: str, check: bool) -> EngineConnection:
        if check:
            raise RequestError(372, "SESSION_NOT_FOUND", f"Session {session_id} not found")
        if len(self._sessions) >= SESSIONS:
            raise RequestError(203, "NO_FREE_CONNECTION", f"{SESSIONS} sessions are open", status=503)
        return EngineConnection(self._connect(self._address), account)

    def _close_expired(self, now: float) -> None:
        for key, session in list(self._sessions.items()):
            if session.expires_at < now and not session.lock.locked():
                self._sessions.pop(key).raw.close()

    def forget_session(self, account: Account, session_id: str) -> None:
        """End a session; its connection is the caller's to close."""
        with self._mutex:
            self._sessions.pop((account.name, session_id), None)

    def close(self) -> None:
        for session in self._sessions.values():
            session.raw.close()
        self._base.close()
