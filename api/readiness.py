"""The morning's checks as the command line makes them, asked for over HTTP: a process of its own measures.

The API keeps no session with the broker and opens no ticker, so it asks `kitepilot readiness --json` of this
very home and configuration, at low priority, one at a time and never for longer than `WITHIN_S`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from api.commands import Accepted
from api.effects import Effect, Effects
from api.problems import Problem
from kitepilot.run import HOME_VARIABLE, Run

CHECK = "readiness"
WITHIN_S = 180.0
PRIORITY = 10  # behind whatever trades
LINE = 400  # characters of what went wrong
TOLD = (0, 3)  # exit codes with a table: ready or not
_LOG = logging.getLogger("kitepilot.api")


class Check(msgspec.Struct, frozen=True):
    """One line: what was found, and what to do where it is not green."""

    name: str
    colour: Literal["green", "amber", "red"]
    found: str
    remedy: str


class Answer(msgspec.Struct, frozen=True):
    """What the command prints."""

    ready: Literal["green", "amber", "red"]
    checks: list[Check]


@dataclass(frozen=True)
class Measured:
    """The last measurement. `trouble`: why there is no answer; `at` ns UTC by the machine."""

    at: int
    answer: Answer | None = None
    trouble: str = ""


class Readiness:
    """Asked from any thread. `words` is the command that measures."""

    def __init__(self, run: Run, effects: Effects) -> None:
        self.words: Sequence[str] = command_of(run)
        self.ask: Callable[[Sequence[str], Run], Answer | str] = asked
        self.last: Measured | None = None
        self._run = run
        self._effects = effects
        self._at_work = threading.Lock()

    @property
    def running(self) -> bool:
        return self._at_work.locked()

    def check(self, by: str, command_id: str) -> Accepted:
        """Begin to measure. Raises `Problem`: conflict while it is measured already."""
        if not self._at_work.acquire(blocking=False):
            raise Problem("conflict", "The checks are being made already: their answer is on its way.")
        effect = Effect(command_id, CHECK, "", by, time.time_ns(), [])
        self._effects.done_elsewhere(effect)
        threading.Thread(target=self._measure, args=(effect,), name="readiness", daemon=True).start()
        return Accepted(command_id, "here")

    def _measure(self, effect: Effect) -> None:
        try:
            told = self.ask(self.words, self._run)
            at = time.time_ns()
            self.last = Measured(at, trouble=told) if isinstance(told, str) else Measured(at, told)
            effect.words.append(told if isinstance(told, str) else f"readiness is {told.ready}")
        finally:
            self._at_work.release()
            effect.decided_at = time.time_ns()


def command_of(run: Run) -> tuple[str, ...]:
    """`-P`: what lies in the folder it works in is not imported."""
    config = str(run.folder / "config.yaml")
    return (sys.executable, "-P", "-m", "kitepilot", "readiness", "--json", "--config", config)


def asked(words: Sequence[str], run: Run) -> Answer | str:
    """The answer, or why there is none."""
    environment = {**os.environ, HOME_VARIABLE: str(run.home)}
    try:
        with subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, PRIORITY)
            try:
                told, wrong = process.communicate(timeout=WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                return f"no answer within {WITHIN_S:.0f} s"
        if process.returncode in TOLD:
            return msgspec.json.decode(told, type=Answer)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as err:
        _LOG.error("readiness cannot be asked: %s", err)
        return "the command `kitepilot readiness` could not be asked: see the API's log"
    return " ".join(wrong.decode(errors="replace").split())[-LINE:] or "it ended without a word"
