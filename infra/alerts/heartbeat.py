"""A URL asked again and again while the alerts are followed: a monitor elsewhere calls when it is not."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

import httpx

from infra import key_urls

TIMEOUT_S = 10.0
TURNS_WITHIN_S = 30.0


class Heartbeat:
    """A thread. `turned_at`: when the follower did its work last (monotonic s). One that hangs has none."""

    def __init__(self, url_at: str, every_s: float, turned_at: Callable[[], float]) -> None:
        self._url_at = url_at
        self._every_s = every_s
        self._turned_at = turned_at
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._trouble = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float = 2.0) -> None:
        self._stop.set()
        self._thread.join(within_s)

    def beat(self) -> str:
        """Ask once; "" when it was answered, else why not, without the address."""
        if time.monotonic() - self._turned_at() > TURNS_WITHIN_S:
            return "the follower does not turn"
        try:
            httpx.get(key_urls.read(self._url_at), timeout=TIMEOUT_S).raise_for_status()
        except httpx.HTTPStatusError as err:
            return f"answered {err.response.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            return type(err).__name__
        except key_urls.SecretError as err:
            return str(err)
        return ""

    def _run(self) -> None:
        while True:
            trouble = self.beat()
            if trouble and trouble != self._trouble:
                sys.stderr.write(f"alerts: heartbeat: {trouble}\n")
            self._trouble = trouble
            if self._stop.wait(self._every_s):
                return
