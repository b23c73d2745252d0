"""Lines of log -> Loki's push API, in batches, on a thread of its own. The file has what it misses."""

from __future__ import annotations

import atexit
import threading
from collections import deque

import httpx

PATH = "/loki/api/v1/push"
MOST_WAITING = 5_000
BATCH = 500
EVERY_S = 1.0
TIMEOUT_S = 5.0
LAST_WITHIN_S = 2.0


class Loki:
    """`hear` never waits: when more wait than are kept the oldest go, and how many is told."""

    def __init__(self, url: str, process: str, run_id: str, every_s: float = EVERY_S) -> None:
        self._url = url.rstrip("/") + PATH
        self._labels = {"app": "kitepilot", "process": process, "run_id": run_id}
        self._every_s = every_s
        self._waiting: deque[tuple[int, str]] = deque(maxlen=MOST_WAITING)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loki", daemon=True)
        self.dropped = 0

    def started(self) -> Loki:
        self._thread.start()
        atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """What is left is sent once more, if that takes no longer than two seconds."""
        self._stop.set()
        self._thread.join(LAST_WITHIN_S)

    def hear(self, at: int, line: str) -> None:
        self.dropped += len(self._waiting) == MOST_WAITING
        self._waiting.append((at, line))

    def _run(self) -> None:
        with httpx.Client(timeout=TIMEOUT_S) as client:
            while not self._stop.wait(self._every_s):
                self._push(client)
            self._push(client)

    def _push(self, client: httpx.Client) -> None:
        """All that waits, oldest first, until something is not taken."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            if not self._taken(client, batch):
                room = MOST_WAITING - len(self._waiting)
                self.dropped += max(len(batch) - room, 0)
                self._waiting.extendleft(reversed(batch[-room:] if room else []))
                return

    def _taken(self, client: httpx.Client, batch: list[tuple[int, str]]) -> bool:
        values = [[str(at), line] for at, line in batch]
        stream = {"stream": self._labels | {"dropped": str(self.dropped)}, "values": values}
        try:
            return client.post(self._url, json={"streams": [stream]}).is_success
        except httpx.HTTPError:
            return False
