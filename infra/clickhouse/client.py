"""The one way KitePilot's processes reach ClickHouse: by URL, whether embedded or a server."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra.clickhouse import accounts
from kitepilot.run import Run

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

CONNECT_WAIT_S = 20.0
_PAUSE_S = 0.1


class ClickHouseUnreachableError(RuntimeError):
    """Nobody answers at the configured URL, or not with these credentials; the text says what to do."""


def connect(
    run: Run, role: str = "sink", *, database: str | None = None, wait_s: float = CONNECT_WAIT_S
) -> Client:
    """A connected client under one account: owner (migrations), sink, dbt, superset or api.

    The account has the role's name, or `$KITEPILOT_CLICKHOUSE_USER_<ROLE>`. Its password is in
    `$KITEPILOT_CLICKHOUSE_PASSWORD_<ROLE>`, else `$KITEPILOT_CLICKHOUSE_PASSWORD`, else in the file that the
    embedded server of this home wrote. No session is kept, so one client may serve several threads.

    Raises:
        ClickHouseUnreachableError: no connection within `wait_s`, or refused credentials.
        KeyError: no such role.
    """
    import clickhouse_connect
    from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

    if role not in accounts.ACCOUNTS:
        raise KeyError(f"no ClickHouse role {role!r}; there are: {', '.join(accounts.ACCOUNTS)}")
    url = run.config.storage.clickhouse_url
    parts = urlsplit(url)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return clickhouse_connect.get_client(
                host=parts.hostname or "127.0.0.1",
                port=parts.port or 0,
                interface=parts.scheme,
                username=os.environ.get(f"KITEPILOT_CLICKHOUSE_USER_{role.upper()}", role),
                password=password(run, role),
                database=database or run.config.storage.clickhouse_database,
                autogenerate_session_id=False,
                compress=False,  # loopback; a remote server is a local network away
                connect_timeout=5,
                send_receive_timeout=60,
                client_name="kitepilot",
            )
        except OperationalError as err:
            if time.monotonic() > deadline:
                raise ClickHouseUnreachableError(
                    f"no ClickHouse answers at {url} ({_first_line(err)}); is `clickhouse` running? "
                    "(`kitepilot status`)"
                ) from err
            time.sleep(_PAUSE_S)
        except DatabaseError as err:
            raise ClickHouseUnreachableError(
                f"ClickHouse at {url} refuses account {role!r}: {_first_line(err)}; "
                f"check ${accounts.PASSWORD_VARIABLE}"
            ) from err


def password(run: Run, role: str) -> str:
    """The password of one account, by the rule the embedded server follows too."""
    return accounts.password(accounts.folder_of(run.home), role)


def _first_line(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0][:200]
