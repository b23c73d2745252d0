"""What retrainings came to: their records in `<home>/retraining`, one at a time, and one line for `status`.

<home>/retraining/2026-11-20.json   the record, written anew after each step
<home>/retraining/2026-11-20.log    what it said, when a day's end started it
<home>/retraining/lock              held while one is under way; names its process
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from kitepilot.config import ConfigError

FOLDER = "retraining"
DONE: Final = "done"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"


class Step(msgspec.Struct, frozen=True):
    """`detail` is one line: what came of it, or why not."""

    name: str
    state: Literal["done", "failed", "skipped"]
    detail: str


class Retraining(msgspec.Struct, frozen=True, kw_only=True):
    """One retraining. Times are IST; `ended` is empty while it is under way, and when it was broken off.

    `gates`: those before the model's next stage. `rows`: folders of labelled rows it made.
    """

    session: str
    began: str
    ended: str = ""
    steps: tuple[Step, ...] = ()
    model_id: str = ""
    gates: tuple[dict[str, Any], ...] = ()
    rows: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.state == FAILED)

    @property
    def went_well(self) -> bool:
        return bool(self.ended) and not self.failed


def folder_of(home: Path) -> Path:
    return home / FOLDER


def keep(home: Path, told: Retraining) -> None:
    """Write the record of its session; a kill leaves the one before."""
    path = folder_of(home) / f"{told.session}.json"
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1))
    draft.replace(path)


def records(home: Path) -> list[Retraining]:
    """In the order in which they began. A record that cannot be read is passed over."""
    found = []
    for path in folder_of(home).glob("????-??-??.json"):
        with contextlib.suppress(msgspec.MsgspecError, OSError):
            found.append(msgspec.json.decode(path.read_bytes(), type=Retraining))
    return sorted(found, key=lambda each: each.began)


def rows_of(home: Path, session: str) -> tuple[str, ...]:
    """Rows of an earlier try after the same session, whose record is written over."""
    return next((each.rows for each in records(home) if each.session == session), ())


def last_done(home: Path) -> date | None:
    """The newest session whose retraining went well."""
    return max((date.fromisoformat(each.session) for each in records(home) if each.went_well), default=None)


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the lock. A process that is gone, however it went, holds none.

    Raises:
        ConfigError: another is under way; names its process.
    """
    folder_of(home).mkdir(parents=True, exist_ok=True)
    with (folder_of(home) / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            lock.seek(0)
            raise ConfigError(
                f"a retraining is under way in {home} (process {lock.read().strip() or 'unknown'}); "
                "`kitepilot status` tells how it ends"
            ) from err
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def under_way(home: Path) -> bool:
    try:
        with (folder_of(home) / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def last(home: Path) -> dict[str, Any]:
    """The newest one for `status`: its record with `state` and `line`; empty where there was none."""
    busy = under_way(home)  # before the record: one that ends in between has written it
    told = records(home)
    if not told:
        return {}
    newest = told[-1]
    state = "done" if newest.ended else "running" if busy else "broken off"
    if newest.ended and newest.failed:
        state = "failed"
    return {**msgspec.to_builtins(newest), "state": state, "line": line(newest, state)}


def line(told: Retraining, state: str) -> str:
    """When, and what came of it; a failure is an alarm."""
    head = f"retraining after {told.session}"
    if state == "running":
        return f"{head}: under way since {told.began}, {len(told.steps)} steps behind it"
    if state == "broken off":
        reached = told.steps[-1].name if told.steps else "the beginning"
        return f"alarm: {head} was broken off after {reached}; `kitepilot retrain --now` makes it again"
    if told.failed:
        return f"alarm: {head} failed: " + "; ".join(f"{each.name}: {each.detail}" for each in told.failed)
    refusing = sum(not gate["passed"] for gate in told.gates)
    gates = f"{refusing} of {len(told.gates)} gates refuse it" if refusing else "its gates pass"
    return f"{head} ended {told.ended}: {told.model_id}, {gates}"
