"""All metrics -> Prometheus' text, beside the event loop: whoever asks for it delays nobody else."""

from __future__ import annotations

import time
from collections.abc import Callable

from anyio import CapacityLimiter, Lock, to_thread
from prometheus_client import CollectorRegistry, generate_latest

KEPT_S = 1.0


class Scrape:
    """The text, made at most once in `KEPT_S`. It looks through `/proc` and files: milliseconds of waiting.

    One thread at a time, of its own allowance: those that ask together wait on the loop and share one text,
    and none of them takes a thread that a postback needs.
    """

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._clock = clock
        self._turn = Lock()
        self._threads = CapacityLimiter(1)
        self._made_at = float("-inf")
        self._text = b""

    async def text(self) -> bytes:
        """Of this moment, or of at most a second ago."""
        async with self._turn:
            if self._clock() - self._made_at >= KEPT_S:
                self._text = await to_thread.run_sync(generate_latest, self._registry, limiter=self._threads)
                self._made_at = self._clock()
            return self._text
