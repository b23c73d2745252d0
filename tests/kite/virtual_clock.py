"""A session clock that moves only when everybody waits for it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Coroutine
from typing import Any

BEGIN = 1_795_146_300_000_000_000  # 2026-11-20 09:15:00 IST
SETTLE = 12  # turns of the loop after which every woken task has come to rest


class VirtualClock:
    """`kite.clock.SessionClock` without a machine behind it."""

    def __init__(self, begin: int = BEGIN, coarse_ns: int = 0) -> None:
        self.coarse_ns = coarse_ns
        self._now = begin
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._number = itertools.count()

    def now(self) -> int:
        return self._now

    async def reached(self, at_ns: int, patience_s: float) -> bool:
        if at_ns > self._now:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (at_ns, next(self._number), future))
            await future
        return True

    async def play(self, *work: Coroutine[Any, Any, Any]) -> None:
        """Run everything to its end, moving time to the next instant somebody waits for."""
        tasks = [asyncio.create_task(one) for one in work]
        while not all(task.done() for task in tasks):
            for _ in range(SETTLE):
                await asyncio.sleep(0)
            if self._waiting:
                at, _, future = heapq.heappop(self._waiting)
                self._now = max(self._now, at)
                if not future.done():
                    future.set_result(None)
            else:
                assert all(task.done() for task in tasks), "somebody waits for nothing"
        for task in tasks:
            task.result()
