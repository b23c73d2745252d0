"""Acts of the command line -> the home's own topic `acts`, for the audit to take up when it next runs.

Always SQLite and always in the home: a login must not be forgotten because no database and no broker was up.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import time
from pathlib import Path

from infra.eventlog.sqlite_log import SqliteLog
from kitepilot.audit.acts import Acted, encode_act
from kitepilot.topics import ACTS

IDENTITY = "identity"


def acts_log(home: Path) -> SqliteLog:
    """The home's log of acts, made at first use. Close it."""
    log = SqliteLog(home / "log")
    log.create_topics((ACTS,))
    return log


def record_act(
    home: Path, act: str, subject: str = "", run_id: str = "", by: str = "", **facts: str | int | bool
) -> None:
    """Durable on return. Never give it a token or another secret. `by`: who, where it is not this user.

    Raises:
        LogError, OSError: it could not be written; what was done stands all the same.
    """
    now = time.time_ns()
    said = Acted(
        source=f"{'api' if by else 'cli'}-{os.getpid()}-{now}",
        seq=0,
        event_at=now,
        emitted_at=now,
        act=act,
        run_id=run_id,
        subject=subject,
        by=by or f"{who()}@{socket.gethostname()}",
        facts=facts,
    )
    log = acts_log(home)
    try:
        log.append(ACTS.name, [encode_act(said)])
    finally:
        log.close()


def who() -> str:
    """The operating system's name of the user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"


def log_names(home: Path, kind: str) -> tuple[str, str]:
    """What the audit calls the event log of this home, and its log of acts."""
    identity = home_identity(home)
    return f"{identity}/{kind}", f"{identity}/{ACTS.name}"


def home_identity(home: Path) -> str:
    """Sixteen hex digits, drawn once for a home: its logs keep their name if the folder is moved."""
    path = home / "log" / IDENTITY
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f"{IDENTITY}.{os.getpid()}")
        draft.write_text(secrets.token_hex(8))
        try:
            os.link(draft, path)  # the first one stays
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
