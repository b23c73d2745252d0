"""What a process says -> lines of its log, without secrets: as they are, or one JSON object each.

Installed once, when a process begins. It takes the place of standard output and error, so what is written
there by anybody, a library or a crash in Python, goes through the mask. A crash in native code does not: the
interpreter writes its stack past us.
"""

from __future__ import annotations

import atexit
import io
import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, TextIO

from infra.masking import mask, note_environment
from kitepilot.market.calendar import to_ist, to_utc
from kitepilot.run import Run

Sink = Callable[[int, str], None]  # (machine ns, a line)
MOST_OF_A_LINE = 64 << 10


class Speaker:
    """One process's voice. Any thread may speak; a line is never torn."""

    def __init__(
        self, out: TextIO, process: str, form: Literal["text", "json"], run_id: str, config_hash: str
    ) -> None:
        self._out = out
        self._about = {"process": process, "run_id": run_id, "config_hash": config_hash}
        self._form = form
        self._turn = threading.Lock()
        self.sinks: list[Sink] = []

    def say(self, text: str, level: str = "info", *, out: TextIO | None = None, **more: str) -> None:
        """One thing, which may have several lines; on standard error unless `out` is another."""
        out = out or self._out
        at, text = time.time_ns(), mask(text)[:MOST_OF_A_LINE]
        told = {"at": to_utc(at).isoformat(), "at_ist": to_ist(at).isoformat(), "level": level}
        line = json.dumps(told | self._about | {"message": text} | more, ensure_ascii=False)
        with self._turn:
            out.write((text if self._form == "text" else line) + "\n")
            out.flush()
        for sink in self.sinks:
            sink(at, line)


class Lines(io.TextIOBase):
    """Stands for standard output or error: whole lines are said."""

    def __init__(self, speaker: Speaker, raw: TextIO) -> None:
        self._speaker = speaker
        self._raw = raw
        self._rest = ""
        self._turn = threading.RLock()

    def write(self, text: str) -> int:
        """A very long line is said in pieces."""
        with self._turn:
            *lines, self._rest = (self._rest + text).split("\n")
            if len(self._rest) > MOST_OF_A_LINE:
                lines, self._rest = [*lines, self._rest], ""
            for line in lines:
                self._speaker.say(line, out=self._raw)
        return len(text)

    def flush(self) -> None:
        """Half a line waits for its other half: a secret may be cut in two."""

    def finish(self) -> None:
        """The last line, though nobody ended it."""
        with self._turn:
            if self._rest:
                self._speaker.say(self._rest, out=self._raw)
            self._rest = ""

    def fileno(self) -> int:
        return self._raw.fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]  # of the stream behind
        return self._raw.encoding


class Records(logging.Handler):
    """Libraries that log: by level and name, an exception with its trace."""

    def __init__(self, speaker: Speaker) -> None:
        super().__init__()
        self._speaker = speaker

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._speaker.say(self.format(record), record.levelname.lower(), logger=record.name)
        except (ValueError, TypeError, OSError):
            self.handleError(record)


def install(run: Run, process: str) -> Speaker:
    """From now on everything this process writes is masked, and goes where the configuration says."""
    note_environment()
    wanted = run.config.telemetry
    raw_out, raw_err = sys.stdout, sys.stderr
    speaker = Speaker(raw_err, process, wanted.logging, run.run_id, run.config_hash)
    for name, raw in (("stdout", raw_out), ("stderr", raw_err)):
        lines = Lines(speaker, raw)
        setattr(sys, name, lines)
        atexit.register(lines.finish)
    logging.basicConfig(handlers=[Records(speaker)], level=logging.WARNING, force=True)
    sys.excepthook = fatal = _excepthook(speaker)
    threading.excepthook = _of_threads(fatal)
    if wanted.loki_url:
        from infra.telemetry.loki import Loki

        speaker.sinks.append(Loki(wanted.loki_url, process, run.run_id).started().hear)
    if wanted.sentry_at:
        from infra.telemetry.failures import tell_failures

        tell_failures(wanted.sentry_at, process, run)
    return speaker


def _excepthook(speaker: Speaker) -> Callable[..., Any]:
    def told(kind: type[BaseException], err: BaseException | None, trace: TracebackType | None) -> None:
        speaker.say("".join(traceback.format_exception(kind, err, trace)).rstrip(), "critical")

    return told


def _of_threads(told: Callable[..., Any]) -> Callable[[threading.ExceptHookArgs], None]:
    def died(of: threading.ExceptHookArgs) -> None:
        if of.exc_type is not SystemExit:  # which ends a thread, and nothing is wrong
            told(of.exc_type, of.exc_value, of.exc_traceback)

    return died
