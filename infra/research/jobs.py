"""Backtests that were asked for: a folder each, written by who asks and by the process that makes them.

<home>/backtest_jobs/<id>/{wanted.json, upload.csv | .parquet, told.json, cancel, report.html, result.json}

A lock says whether the process that makes them is there: what is told to be running while nobody holds it
has died, and says so.
"""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from infra import replaced_file
from infra.research.words import Wanted

FOLDER = "backtest_jobs"
ID = re.compile(r"[a-z]+-[0-9a-f]{24}")
MOST_WAITING = 8
MOST_KEPT = 200  # folders; beyond them the oldest that are over go
WANTED, TOLD, CANCEL, REPORT, RESULT = "wanted.json", "told.json", "cancel", "report.html", "result.json"
LOCK = ".working"

State = Literal["waiting", "running", "done", "failed", "cancelled", "died"]
OVER: tuple[State, ...] = ("done", "failed", "cancelled", "died")


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a backtest came to. Amounts in paise."""

    title: str
    sessions: int
    trades: int
    signals: int
    gross_paise: int
    charges_paise: int
    net_paise: int
    left_out: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the process says of a job. `done` of `of` sessions; times ns, machine clock, 0: not yet."""

    state: State
    doing: str = ""
    done: int = 0
    of: int = 0
    began_at: int = 0
    ended_at: int = 0
    why: str = ""
    summary: Summary | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One backtest as it stands."""

    job_id: str
    wanted: Wanted
    told: Told
    has_report: bool


class ShelfFullError(RuntimeError):
    """As many wait as may."""


def folder_of(home: Path, job_id: str) -> Path | None:
    """Where a job lies; None: there is none, or that is no id."""
    path = home / FOLDER / job_id
    return path if ID.fullmatch(job_id) and (path / WANTED).is_file() else None


def put(home: Path, job_id: str, wanted: Wanted, upload: tuple[str, bytes] | None = None) -> Wanted:
    """Lay a job down, whole or not at all; what lies there already under that id stays and is given back.

    Raises:
        ShelfFullError: `MOST_WAITING` wait.
    """
    shelf = home / FOLDER
    if (known := folder_of(home, job_id)) is not None:
        return _wanted(known)
    standing = jobs(home)
    if sum(each.told.state == "waiting" for each in standing) >= MOST_WAITING:
        raise ShelfFullError(f"{MOST_WAITING} backtests wait: cancel one, or ask again when one is done.")
    _forget(shelf, standing)
    staged = shelf / f".new-{job_id}"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    if upload is not None:
        (staged / upload[0]).write_bytes(upload[1])
    replaced_file.replace(staged / WANTED, msgspec.json.encode(wanted))
    staged.rename(shelf / job_id)
    return wanted


def jobs(home: Path) -> list[Job]:
    """All of them, newest first."""
    folders = [each for each in (home / FOLDER).glob("*-*") if ID.fullmatch(each.name)]
    found = [_looked_at(home, each) for each in folders if (each / WANTED).is_file()]
    return sorted(found, key=lambda each: (each.wanted.asked_at, each.job_id), reverse=True)


def job(home: Path, job_id: str) -> Job | None:
    folder = folder_of(home, job_id)
    return None if folder is None else _looked_at(home, folder)


def tell(folder: Path, told: Told) -> None:
    """The process's word on its job, in one step."""
    replaced_file.replace(folder / TOLD, msgspec.json.encode(told))


def cancel(folder: Path) -> None:
    """Ask for its end: one that waits is not begun, one that runs ends after its session."""
    (folder / CANCEL).touch()


def cancelled(folder: Path) -> bool:
    return (folder / CANCEL).exists()


def next_waiting(home: Path) -> Path | None:
    """The folder of the one that was asked for first."""
    waiting = [each for each in jobs(home) if each.told.state == "waiting"]
    return home / FOLDER / waiting[-1].job_id if waiting else None


def working(home: Path) -> bool:
    """Whether the process that makes backtests is there."""
    path = home / FOLDER / LOCK
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextmanager
def alone(home: Path) -> Iterator[bool]:
    """Whether we are the one that makes backtests, until the end of the block."""
    path = home / FOLDER / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def bury(home: Path) -> None:
    """Whoever is alone tells that what is told to run died: nobody could say it later."""
    for each in (home / FOLDER).glob(f"*/{TOLD}"):
        told = _told(each.parent)
        if told.state == "running":
            tell(each.parent, _dead(told))


def _looked_at(home: Path, folder: Path) -> Job:
    told = _told(folder)
    if told.state == "running" and not working(home):
        told = _told(folder)  # it may have ended well between the two looks
        told = _dead(told) if told.state == "running" else told
    return Job(
        job_id=folder.name,
        wanted=_wanted(folder),
        told=told,
        has_report=(folder / REPORT).is_file(),
    )


def _wanted(folder: Path) -> Wanted:
    return msgspec.json.decode((folder / WANTED).read_bytes(), type=Wanted)


def _told(folder: Path) -> Told:
    """As it is written: whether the writer is still there is another question."""
    try:
        return msgspec.json.decode((folder / TOLD).read_bytes(), type=Told)
    except FileNotFoundError:
        return Told(state="cancelled" if cancelled(folder) else "waiting")


def _dead(told: Told) -> Told:
    return msgspec.structs.replace(told, state="died", why="its process ended before it was done")


def _forget(shelf: Path, standing: list[Job]) -> None:
    over = [each for each in standing if each.told.state in OVER]
    excess = len(standing) + 1 - MOST_KEPT
    for each in over[len(over) - excess :] if excess > 0 else []:
        shutil.rmtree(shelf / each.job_id, ignore_errors=True)
