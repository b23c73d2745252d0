"""The log, and a look at the machine each second -> alerts, and whoever must be told.

Not a dataflow: it goes on when the log does not, because that is an alert as well. It knows no broker and no
database. What it remembers is in `infra.alerts.state_file`.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import FrameType

import msgspec

from flows.traces import Tracing
from infra import reloads
from infra.alerts import state_file
from infra.alerts.callers import Callers
from infra.alerts.room import Room
from infra.alerts.state_file import State
from infra.eventlog import open_log
from infra.fence import Fence
from infra.read_positions import Positions
from infra.run_processes import of_run
from infra.watchdog_words import last_alarm
from kitepilot import events as e
from kitepilot import reloading
from kitepilot.alerts import desk
from kitepilot.alerts.machine import Look, looked
from kitepilot.alerts.notices import Notice, notices
from kitepilot.config import Config, ConfigError
from kitepilot.ports import EventLog, LogError, LogReader, LogRecord
from kitepilot.run import Run
from kitepilot.topics import DECISIONS, INTENTS, SESSION

NAME = "alerts"
TOPICS = (SESSION, DECISIONS, INTENTS)
BATCH = 2_000
POLL_S = 0.25
LOOK_S = 1.0
RETRY_S = 1.0
ACKNOWLEDGE = "alert_ack"
OpenLog = Callable[[Run], EventLog]


class Follower:
    """Folds what is appended; `step` is one poll and, once a second, one look."""

    def __init__(self, run: Run, room: Room, opener: OpenLog = open_log) -> None:
        self._run = run
        self._room = room
        self._opener = opener
        self._log: EventLog | None = None
        self._reader: LogReader | None = None
        self._trouble = ""
        self._positions = Positions(run, NAME)
        self._look_at = 0.0
        self._retry_at = 0.0
        self.config = in_force(run, room.state.configured) or run.config
        self.turned_at = time.monotonic()

    def close(self) -> None:
        self._room.save()
        self._let_go()

    def step(self) -> bool:
        """Whether there is nothing more to read just now."""
        drained = self._read()
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_S
            self._look()
        self.turned_at = time.monotonic()
        return drained

    def _read(self) -> bool:
        if time.monotonic() < self._retry_at:
            return True
        try:
            reader = self._reader or self._open()
            records = reader.poll(BATCH)
        except (LogError, OSError) as err:
            self._trouble = f"{type(err).__name__}: {err}"
            self._let_go()
            self._retry_at = time.monotonic() + RETRY_S
            return True
        self._trouble = ""
        self._room.fold(partial(self._take_all, reader, records))
        self._positions.note(reader.positions())
        return len(records) < BATCH

    def _open(self) -> LogReader:
        self._log = self._opener(self._run)
        self._reader = self._log.reader({(t.name, 0): self._room.state.offsets[t.name] for t in TOPICS})
        return self._reader

    def _let_go(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._log is not None:
            self._log.close()
        self._reader = self._log = None

    def _take_all(self, reader: LogReader, records: Sequence[LogRecord]) -> bool:
        changed = [self._take(record) for record in records]
        for (topic, _), offset in reader.positions().items():
            self._room.state.offsets[topic] = offset
        return any(changed)

    def _take(self, record: LogRecord) -> bool:
        state = self._room.state
        try:
            event = e.decode(record.value)
        except e.UndecodableError:
            return False  # the archive keeps it
        source = f"{record.topic} {event.source}"
        if event.seq <= state.last.get(source, -1):
            return False
        state.last[source] = event.seq
        changed = self._notice(notices(state.heard, event, record.appended_at))
        if isinstance(event, e.Commanded) and event.command == ACKNOWLEDGE:
            changed |= desk.acknowledge(state.desk, event.argument, event.by, record.appended_at)
        if isinstance(event, e.Commanded) and event.command == reloading.COMMAND:
            self._reconfigure(event.command_id)
        return changed

    def _reconfigure(self, command_id: str) -> None:
        """What was in force stays where the new one cannot be read: somebody must still be told."""
        if (config := in_force(self._run, command_id)) is not None:
            self._room.state.configured, self.config = command_id, config

    def _notice(self, found: Iterable[Notice]) -> bool:
        listed = list(found)
        for notice in listed:
            desk.take(self._room.state.desk, notice, self._room.policy)
        return bool(listed)

    def _look(self) -> None:
        """The state is saved whatever was seen: the offsets have moved."""
        state, seen = self._room.state, look(self._run, self._trouble)
        self._room.fold(lambda: self._notice(looked(state.seen, seen, state.heard, self._dead_man_s)))
        self._room.save()

    @property
    def _dead_man_s(self) -> float:
        return self.config.alerts.dead_man_s


def in_force(run: Run, command_id: str) -> Config | None:
    """The configuration since that command; None, and said so, where it cannot be had."""
    try:
        return reloads.in_force(run, command_id)
    except ConfigError as err:
        sys.stderr.write(f"{NAME}: the configuration read again is not taken: {err}\n")
        return None


def look(run: Run, trouble: str) -> Look:
    """The machine as it is now. Processes of containers cannot be seen: one sees only itself there."""
    fence = Fence(run.folder).raised()
    running = {name: seen.pid for name, seen in of_run(run).items()}
    return Look(
        at=time.time_ns(),
        free_bytes=shutil.disk_usage(run.home).free,
        processes=running if len(running) > 1 else None,
        fence=fence.reason if fence else "",
        watchdog=last_alarm(run.folder),
        log_trouble=trouble,
    )


def begin(run: Run) -> State:
    """What an earlier process of this run left, else a fresh state at the run's beginning."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        if kept := state_file.read(run.folder):
            return kept
    starts = run.start_offsets()
    return State(offsets={topic.name: starts[topic.name] for topic in TOPICS})


def main(run: Run) -> int:
    """Follow until SIGTERM."""
    stopping = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    serve(run, stopping)
    return 0


def serve(run: Run, stopping: threading.Event, opener: OpenLog = open_log) -> None:
    """The process's whole life."""
    room = Room(run.folder, begin(run), run.config.alerts.policy())
    follower = Follower(run, room, opener)
    callers = Callers(room, run.run_id, lambda: follower.turned_at)
    callers.follow(follower.config.alerts)
    tracing = (
        Tracing(run) if run.config.telemetry.traces_url else None
    )  # reads the same log, trades as little
    if tracing is not None:
        tracing.start()
    run.mark_ready(NAME)
    try:
        while not stopping.is_set():
            drained = follower.step()
            callers.follow(follower.config.alerts)
            if drained:
                stopping.wait(POLL_S)
            if room.trouble:
                sys.stderr.write(f"{NAME}: what was told cannot be kept: {room.trouble}\n")
                room.trouble = ""
    finally:
        follower.step()
        callers.stop()
        if tracing is not None:
            tracing.stop()
        follower.close()
