"""What the decisions and the gateway say -> how long they have been silent.

The decisions' word is the newest record on `decisions`, read by a thread that may hang, fail and begin again
without anybody waiting for it: a log that cannot be read is silence. The gateway's is its beat.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from infra.eventlog import open_log
from infra.fence import Fence
from kitepilot.events import UndecodableError, decode
from kitepilot.ports import EventLog, LogError, LogRecord
from kitepilot.risk.deadman import Word
from kitepilot.run import Run
from kitepilot.topics import DECISIONS

LOOK_S = 0.2
RETRY_S = 1.0
BATCH = 2_000
MOST_BETWEEN_LOOKS_NS = 2_000_000_000
GATEWAY = "gateway"
OpenLog = Callable[[Run], EventLog]


class Silence:
    """Machine time (ns) since a word changed, as far as we were awake to hear it.

    A machine that slept, or stopped us, has stopped the others as well: of the time between two looks of ours
    no more than two seconds count.
    """

    def __init__(self, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic_ns = monotonic_ns
        self._looked_at = monotonic_ns()
        self._word: object = None
        self._ns = 0

    def look(self, word: object) -> int:
        """How long it has been this word."""
        now = self._monotonic_ns()
        self._ns += min(now - self._looked_at, MOST_BETWEEN_LOOKS_NS)
        self._looked_at = now
        if word != self._word:
            self._word, self._ns = word, 0
        return self._ns


class DecisionsEar:
    """Follows the end of `decisions`. `heard` is (records so far, session time of the newest), or None."""

    def __init__(self, run: Run, opener: OpenLog = open_log) -> None:
        self._run = run
        self._opener = opener
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="decisions-ear", daemon=True)
        self.heard: tuple[int, int] | None = None
        self.trouble = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Does not wait: the thread may hang in a log that does not answer."""
        self._stop.set()

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except (LogError, OSError) as err:
                self.trouble = f"{type(err).__name__}: {err}"
                self._stop.wait(RETRY_S)

    def _listen(self) -> None:
        log = self._opener(self._run)
        try:
            start = self._run.start_offsets()[DECISIONS.name]
            reader = log.reader({(DECISIONS.name, 0): max(log.end_offset(DECISIONS.name) - 1, start)})
            try:
                while not self._stop.is_set():
                    records = reader.poll(BATCH)
                    self.trouble = ""
                    if records:
                        self._take(records)
                    else:
                        self._stop.wait(LOOK_S)
            finally:
                reader.close()
        finally:
            log.close()

    def _take(self, records: Sequence[LogRecord]) -> None:
        """The newest that can be read; what cannot is the archive's business."""
        before = self.heard[1] if self.heard else 0
        for record in reversed(records):
            with contextlib.suppress(UndecodableError):
                self.heard = (record.offset, max(before, decode(record.value).event_at))
                return


class Words:
    """Both ears. `session_at` is session time, ns."""

    def __init__(self, fence: Fence, ear: DecisionsEar) -> None:
        self._fence = fence
        self._ear = ear
        self._decisions, self._gateway = Silence(), Silence()

    def decisions(self, session_at: int) -> Word | None:
        """The decisions' last word; None before the first of this run."""
        heard = self._ear.heard
        silent_ns = self._decisions.look(heard)
        return Word(silent_ns, max(session_at - heard[1], 0)) if heard else None

    def gateway(self) -> Word | None:
        """The gateway's last beat; None before the first of this run."""
        beat = self._fence.last_beat(GATEWAY)
        silent_ns = self._gateway.look(beat)
        return Word(silent_ns) if beat is not None else None
