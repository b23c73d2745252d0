"""The research process as whoever asks sees it: started when first asked, ended when it is too slow.

One question at a time over a socket that is the process's standard input. It ends when that closes, so it
never outlives who asks, and by itself when nobody has asked for a while.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from infra.research.words import MOST_ANSWER_BYTES, Answer, Question
from kitepilot.run import HOME_VARIABLE, RUN_FOLDER_VARIABLE, Run

NAME = "research"
STARTS_WITHIN_S = 300.0  # libraries are loaded and kernels compiled, on a busy machine
STARTING_IS_WAITED_FOR_S = 1.0  # by one question; whoever asked asks again
ANSWERS_WITHIN_S = 30.0
ENDS_WITHIN_S = 5.0
MOST_WAITING = 4
TRIES_AGAIN_AFTER_S = 30.0  # one that did not start
#: What it is told of our environment: it runs the owner's own code, and that gets no secret from us.
KEPT = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH")
KEPT_BEGINNINGS = ("NUMBA_", "OMP_", "LC_", "PYTHON")


class ResearchAwayError(RuntimeError):
    """It does not answer, or too many wait for it; says which."""


def environment(run: Run) -> dict[str, str]:
    """Of a research process of this run."""
    kept = {
        name: value for name, value in os.environ.items() if name in KEPT or name.startswith(KEPT_BEGINNINGS)
    }
    return kept | {RUN_FOLDER_VARIABLE: f"{run.folder}", HOME_VARIABLE: f"{run.home}", "OMP_NUM_THREADS": "1"}


def command(name: str) -> Sequence[str]:
    """As the supervisor starts the others."""
    return (sys.executable, "-P", "-m", "kitepilot", "run", name)


def log_file(run: Run, name: str) -> Path:
    path = run.folder / "logs" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


class ResearchProcess:
    """From any thread; `most_waiting` of them at once, the others are refused.

    `starting_within_s`: how long one question waits for a process that starts.
    """

    def __init__(
        self,
        run: Run,
        *,
        answers_within_s: float = ANSWERS_WITHIN_S,
        starting_within_s: float = STARTING_IS_WAITED_FOR_S,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._run = run
        self._answers_within_s = answers_within_s
        self._starting_within_s = starting_within_s
        self._places = threading.BoundedSemaphore(most_waiting)
        self._turn = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0
        self._starts_until: float | None = None  # None: it is ready, or there is none
        self._pipe: Connection | None = None

    def ask(self, question: Question) -> Answer:
        """Raises `ResearchAwayError`."""
        if not self._places.acquire(blocking=False):
            raise ResearchAwayError("Too many questions wait for the research process: ask again.")
        try:
            with self._turn:
                return self._asked(msgspec.msgpack.encode(question))
        finally:
            self._places.release()

    def close(self) -> None:
        """End it, and wait until it has ended."""
        with self._turn:
            self._end()

    @property
    def pid(self) -> int:
        """Of the process, 0 while there is none."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else 0

    def _asked(self, question: bytes) -> Answer:
        pipe = self._ready()
        try:
            pipe.send_bytes(question)
            if not pipe.poll(self._answers_within_s):
                self._end(at_once=True)
                raise ResearchAwayError(
                    f"The research process took longer than {self._answers_within_s:.0f} s and was ended."
                )
            return msgspec.msgpack.decode(pipe.recv_bytes(MOST_ANSWER_BYTES), type=Answer)
        except (OSError, EOFError, msgspec.MsgspecError) as err:
            self._end(at_once=True)
            raise ResearchAwayError("The research process ended over this question.") from err

    def _ready(self) -> Connection:
        """The pipe to a process that is ready; one that still starts is not waited for for long."""
        pipe = self._pipe
        if pipe is not None and self.pid and self._starts_until is None and not pipe.poll(0):
            return pipe
        if pipe is None or self._starts_until is None:
            pipe = self._started()
        try:
            if pipe.poll(self._starting_within_s):
                if pipe.recv_bytes(16) == b"ready":
                    self._starts_until = None
                    return pipe
            elif self._starts_until is not None and time.monotonic() < self._starts_until:
                raise ResearchAwayError("The research process is starting: ask again in a moment.")
        except (OSError, EOFError):
            pass
        self._end(at_once=True)
        self._not_before = time.monotonic() + TRIES_AGAIN_AFTER_S
        raise ResearchAwayError("The research process does not start: see its log.")

    def _started(self) -> Connection:
        self._end(at_once=True)
        if time.monotonic() < self._not_before:
            raise ResearchAwayError("The research process did not start a moment ago: see its log.")
        ours, theirs = socket.socketpair()
        with theirs, log_file(self._run, NAME).open("ab") as out:
            self._child = subprocess.Popen(
                command(NAME),
                env=environment(self._run),
                stdin=theirs.fileno(),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._pipe = pipe = Connection(ours.detach())
        self._starts_until = time.monotonic() + STARTS_WITHIN_S
        return pipe

    def _end(self, *, at_once: bool = False) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        self._starts_until = None
        if self._child is None:
            return
        if at_once:
            self._child.kill()
        try:
            self._child.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None
