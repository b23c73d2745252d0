"""Who may do what: the accounts of the embedded server, their passwords and their engine roles.

Passwords are drawn at the first start and kept in `<home>/clickhouse/credentials.json` (mode 0600). The
rights themselves are in `users.xml` and enforced by the engine, not by this code.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from string import Template

HERE = Path(__file__).parent
CREDENTIALS = "credentials.json"
PASSWORD_VARIABLE = "KITEPILOT_CLICKHOUSE_PASSWORD"  # noqa: S105 - a name, not a password


@dataclass(frozen=True)
class Account:
    """One account. `role` is a role of `users.xml`; readers cannot change settings that protect others."""

    name: str
    role: str
    readonly: bool = False


ACCOUNTS = {
    account.name: account
    for account in (
        Account("owner", "kitepilot_owner"),  # migrations
        Account("sink", "kitepilot_sink"),  # the archive flow: inserts, no DDL
        Account("dbt", "kitepilot_dbt"),  # builds the databases <database>_*
        Account("superset", "kitepilot_reader", readonly=True),
        Account("api", "kitepilot_reader", readonly=True),
    )
}


def folder_of(home: Path) -> Path:
    """Where the embedded server of this home keeps everything."""
    return home / "clickhouse"


def credentials(folder: Path) -> dict[str, str]:
    """Account -> password, drawn on first use; accounts added since are filled in.

    Raises:
        ValueError: the file is not what was written there.
    """
    path = folder / CREDENTIALS
    known = known_credentials(folder)
    missing = [name for name in ACCOUNTS if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(24) for name in missing}
        _write_private(path, json.dumps(known, indent=1))
    return known


def known_credentials(folder: Path) -> dict[str, str]:
    """Account -> password as the server of this home wrote them; empty before its first start.

    Raises:
        ValueError: the file is not what was written there.
    """
    path = folder / CREDENTIALS
    try:
        known = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as err:
        raise ValueError(
            f"{path} is damaged ({err}); delete it, a new one is made at the next start"
        ) from err
    return {str(name): str(password) for name, password in known.items()}


def password(folder: Path, name: str) -> str:
    """`$KITEPILOT_CLICKHOUSE_PASSWORD_<NAME>`, else `$KITEPILOT_CLICKHOUSE_PASSWORD`, else the file's."""
    given = os.environ.get(f"{PASSWORD_VARIABLE}_{name.upper()}") or os.environ.get(PASSWORD_VARIABLE)
    return given or known_credentials(folder).get(name, "")


def _write_private(path: Path, text: str) -> None:
    """Whole or not at all, readable by the owner only."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def write_engine_files(folder: Path, database: str) -> Path:
    """Render `config.xml` and `users.xml` into `folder`; returns the path of the former.

    The sink may insert into `database`, dbt builds in databases whose names begin with `<database>_`.
    """
    for name in ("config.xml", "users.xml"):
        text = Template((HERE / name).read_text()).substitute(folder=folder, database=database)
        (folder / name).write_text(text)
    return folder / "config.xml"
