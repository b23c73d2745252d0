"""After a day's close: what is due, one thing after the other, as one process of the lowest priority.

The daily pack first (a minute or so, with the stores open), then the retraining. A pack gives way to a run
that begins: it is broken off, and `kitepilot daily-pack` makes it again.

<home>/after-close/<run>.log   what the process said
<home>/after-close/lock        held while the pack is made; names its process
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any, Final, TextIO

from kitepilot.cli import retraining
from kitepilot.cli.supervise import SupervisionError
from kitepilot.config import ConfigError
from kitepilot.ports import LogError
from kitepilot.run import HOME_VARIABLE, RUN_FOLDER_VARIABLE, Run

FOLDER: Final = "after-close"
GIVES_WAY_WITHIN_S: Final = 60.0
MADE_WITHIN_S: Final = 1_200.0
LOOK_EVERY_S: Final = 0.05
Say = Callable[[str], None]


def start(run: Run, result: dict[str, Any], say: Say) -> None:
    """A run has ended and its stores are down. The day stands, whatever becomes of this.

    `result` gets `daily_pack` and `retraining`, a line each, where they are configured. An interrupted day
    has its pack, but nothing is trained after it.
    """
    pack = run.config.daily_pack.enabled
    train = run.config.retrain.enabled and not result["interrupted"]
    words: dict[str, str] = {}
    try:
        told, due = retraining.due_now(run) if train else ("", False)
        child = _spawned(run) if pack or due else None
        if pack and child is not None:
            words["daily_pack"] = (
                f"the day's papers are being made by process {child}, in a minute or so: `kitepilot status` "
                f"says where they are, {log_of(run)} why not; `kitepilot daily-pack` makes them again"
            )
        if train:
            words["retraining"] = f"started as process {child} ({told})" if due else told
    except (OSError, ValueError) as err:
        names = [name for name, wanted in (("daily_pack", pack), ("retraining", train)) if wanted]
        words = dict.fromkeys(names, f"alarm: not started: {err}")
    result |= words
    for name, word in words.items():
        say(f"{name.replace('_', ' ')}: {word}")


def log_of(run: Run) -> Path:
    return run.home / FOLDER / f"{run.run_id}.log"


def _spawned(run: Run) -> int:
    log = log_of(run)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as text, _locked(run.home) as lock:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "kitepilot", "after-close", "--lock", str(lock.fileno())],
            cwd=run.home.parent,
            env={**os.environ, HOME_VARIABLE: str(run.home), RUN_FOLDER_VARIABLE: str(run.folder)},
            stdin=subprocess.DEVNULL,
            stdout=text,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock.fileno(),),  # it is held without a moment in between
        )
        _name(lock, child.pid)
    return child.pid


def carry_out(run: Run, lock: int, say: Say) -> None:
    """The body of that process. `lock`: the file descriptor it was handed, closed once the pack is made."""
    retraining.step_aside()
    with os.fdopen(lock, "w"), breaking_off():
        if run.config.daily_pack.enabled:
            say(_pack(run, say))
    if run.config.retrain.enabled:
        session = date.fromisoformat(run.config.session.date)
        with retraining.log_of(run.home, session).open("ab") as text:
            subprocess.run(retraining.command(run, session), stdout=text, stderr=text, check=False)


def _pack(run: Run, say: Say) -> str:
    """Its line; whatever goes wrong is one too."""
    from kitepilot.cli.pack.making import make

    try:
        made = make(run.home, run.config.session.date, run.run_id, None, None, say)
    except Exception as err:
        if not isinstance(err, ValueError | LogError):
            traceback.print_exc()
        return f"no pack: {str(err) or type(err).__name__}"
    return f"{made.manifest.status}: {made.path}"


def give_way(home: Path) -> None:
    """Before a run begins: a pack that is being made is broken off, as the stores are needed.

    Raises:
        SupervisionError: its process does not end; names it.
    """
    asked, deadline = 0, time.monotonic() + GIVES_WAY_WITHIN_S
    while (pid := under_way(home)) is not None:
        if pid and pid != asked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            asked = pid
        if time.monotonic() > deadline:
            raise SupervisionError(
                f"the daily pack is being made in {home} by process {pid} and does not give way; "
                "wait for it, or end that process"
            )
        time.sleep(LOOK_EVERY_S)


def wait_for(home: Path) -> None:
    """Until no pack is being made: for who would use the stores that it starts and stops.

    Raises:
        ConfigError: it does not end; names its process.
    """
    deadline = time.monotonic() + MADE_WITHIN_S
    while (pid := under_way(home)) is not None:
        if time.monotonic() > deadline:
            raise ConfigError(
                f"the daily pack is still being made in {home} (process {pid}) after {MADE_WITHIN_S:.0f} s; "
                f"see {home / FOLDER}, or end that process"
            )
        time.sleep(LOOK_EVERY_S)


def under_way(home: Path) -> int | None:
    """The process that makes a pack now (0: not yet known which); None while nobody does."""
    try:
        with (home / FOLDER / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
    except BlockingIOError:
        named = (home / FOLDER / "lock").read_text().strip()
        return int(named) if named.isdigit() else 0
    except OSError:  # nothing there, or a home that is none: who uses it says which
        return None


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """Make a pack by hand: no other is made meanwhile, and a run that begins breaks it off.

    Raises:
        ConfigError: another is being made; names its process.
    """
    with contextlib.ExitStack() as stack:
        try:
            lock = stack.enter_context(_locked(home))
        except BlockingIOError as err:
            raise ConfigError(
                f"a daily pack is being made in {home} (process {under_way(home)}); wait until it has ended"
            ) from err
        _name(lock, os.getpid())
        stack.enter_context(breaking_off())
        yield


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[TextIO]:
    """The lock, held; a process that is gone, however it went, holds none. Raises `BlockingIOError`."""
    (home / FOLDER).mkdir(parents=True, exist_ok=True)
    with (home / FOLDER / "lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.truncate(0)  # the holder before is gone: its number may be somebody else's by now
        yield lock


def _name(lock: TextIO, pid: int) -> None:
    lock.truncate(0)
    lock.write(f"{pid}\n")
    lock.flush()


@contextlib.contextmanager
def breaking_off() -> Iterator[None]:
    """SIGTERM ends what this process began, dbt among it, and the stores are stopped on the way out."""

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGTERM)
        print("broken off: a run began; `kitepilot daily-pack` makes the pack", flush=True)
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def last_pack(home: Path) -> str:
    """One line for `status`: the pack that is being made, else the newest one; "" where there is none."""
    from infra.daily_packs import packs_of
    from kitepilot.cli.pack.making import FOLDER as PACKS

    if under_way(home) is not None:
        return "daily pack: being made"
    days = sorted(path.name for path in (home / PACKS).glob("????-??-??"))
    packs = packs_of(home / PACKS, days[-1]) if days else []
    if not packs:
        return ""
    newest = packs[-1]
    alarm = "alarm: " if newest.failed else ""
    return f"{alarm}daily pack of {days[-1]}: version {newest.version}, {newest.path}"
