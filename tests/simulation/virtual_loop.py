"""An event loop without a machine: virtual time, seeded delays, processes that die, threads that are events.

Callbacks of one loop turn run first come, first served, as asyncio promises; what a seed decides is when
things come: how long a thread's work waits and takes, which of two timers of one instant is first, and
where a process dies. A thread's work happens at one instant, after a delay, and is answered after another.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import random
from asyncio import events
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

POLL_MOST_S = 0.2  # a shorter sleep of a process is a poll: it looks whether something has changed
POLL_AT_LEAST_S = 1.0  # and looks again after so long though nothing was said to have changed
EPOCH_NS = 1_795_146_000_000_000_000  # the machine's wall clock at virtual second 0


class KilledError(BaseException):
    """The process that did this is dead: nothing it does from here on happens."""


class Process:
    """One incarnation of one component. `doom`: how many effects it has left, if that was decided."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.doom: int | None = None
        self.tasks: list[asyncio.Task[Any]] = []


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
Ready = tuple[asyncio.Handle, Process | None]
Timer = tuple[float, float, int, asyncio.TimerHandle, Process | None]


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs tasks of several processes on one virtual clock. Also the `Machine` of all of them."""

    def __init__(self, seed: str) -> None:
        self._draws = random.Random(f"{seed}:loop")
        self.now = 0.0
        self.spent = 0.0  # by the thread's work that happens now
        self.wall_step_ns = 0  # what a time service has done to the wall clock
        self._ready: deque[Ready] = deque()
        self._timers: list[Timer] = []
        self._polls: list[Timer] = []
        self._moved = False
        self._count = 0
        self._lanes: dict[Executor | None, _Lane] = {}
        self.failures: list[str] = []
        self.closed = False
        self.turns = 0

    # --- the machine ---------------------------------------------------------------------------------

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now + self.spent

    def time_ns(self) -> int:
        return EPOCH_NS + self.wall_step_ns + round((self.now + self.spent) * 1e9)

    def monotonic_ns(self) -> int:
        return round((self.now + self.spent) * 1e9)

    def spend(self, seconds: float) -> None:
        """The thread's work that happens now takes so much longer until its answer is there."""
        self.spent += seconds

    # --- what asyncio asks -----------------------------------------------------------------------------

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        process = PROCESS.get() if context is None else context.get(PROCESS)
        self._ready.append((handle, process))
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        process = PROCESS.get() if context is None else context.get(PROCESS)
        self._count += 1
        if process is not None and 0 < when - self.now <= POLL_MOST_S:
            self._polls.append((when, 0.0, self._count, handle, process))
            late = when + POLL_AT_LEAST_S
            heapq.heappush(self._timers, (late, self._draws.random(), self._count, handle, process))
        else:
            heapq.heappush(self._timers, (when, self._draws.random(), self._count, handle, process))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **more: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, **more)
        process = PROCESS.get()
        if process is not None:
            process.tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        workers = getattr(executor, "_max_workers", 1)  # a pool does not say otherwise how many it has
        lane = self._lanes.setdefault(executor, _Lane(workers))
        future = self.create_future()
        lane.waiting.append((contextvars.copy_context(), lambda: func(*args), future))
        self._serve(lane)
        return future

    def _serve(self, lane: _Lane) -> None:
        while lane.free and lane.waiting:
            lane.free -= 1
            context, work, future = lane.waiting.popleft()
            delay = self._draws.uniform(0.0002, 0.004)
            self.at(delay, self._happen, lane, context, work, future, context=context)

    def _happen(self, lane: _Lane, context: Any, work: Any, future: asyncio.Future[Any]) -> None:
        self.spent = 0.0
        value, error = None, None
        try:
            value = work()
        except KilledError:
            return
        except Exception as err:
            error = err
        answered = self.spent + self._draws.uniform(0.0002, 0.004)
        self.spent = 0.0
        self.at(answered, self._answer, lane, future, value, error, context=context)

    def _answer(self, lane: _Lane, future: asyncio.Future[Any], value: Any, error: Any) -> None:
        lane.free += 1
        if not future.done():
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(value)
        self._serve(lane)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self.closed

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It stays in the heap until its time comes."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not self.closed and error is not None and not isinstance(error, KilledError):
            self.failures.append(f"{context.get('message')}: {error!r}")

    # --- running -----------------------------------------------------------------------------------------

    def at(self, delay: float, callback: Any, *args: Any, context: Any = None) -> None:
        """`callback` after `delay` seconds, for the world or, with a context, for the process in it."""
        where = context if context is not None else contextvars.Context()
        handle = asyncio.TimerHandle(self.now + delay, callback, args, self, where)
        self._count += 1
        process = where.get(PROCESS)
        heapq.heappush(self._timers, (self.now + delay, self._draws.random(), self._count, handle, process))

    def changed(self) -> None:
        """Something happened that polls look for."""
        self._moved = True

    def run(self, over: Callable[[], bool]) -> None:
        """Until `over()`. Raises RuntimeError when nothing is left to happen."""
        events._set_running_loop(self)
        try:
            while not over():
                self._turn()
        finally:
            events._set_running_loop(None)

    def _turn(self) -> None:
        self.turns += 1
        if not self._ready:
            if self._moved and self._polls:
                self._moved = False
                polls, self._polls = self._polls, []
                for when, _, _, handle, process in polls:
                    # later than it asked: it would have seen nothing new before
                    heapq.heappush(
                        self._timers, (max(when, self.now), self._draws.random(), 0, handle, process)
                    )
            if not self._timers:
                raise RuntimeError("nothing is left to happen")
            when, _, _, handle, process = heapq.heappop(self._timers)
            if handle.cancelled() or (process is not None and not process.alive):
                return
            self.now = max(self.now, when)
            self._ready.append((handle, process))
        ready, process = self._ready.popleft()
        if (process is None or process.alive) and not ready.cancelled():
            ready._run()
            if isinstance(ready, asyncio.TimerHandle):
                ready.cancel()  # a poll stands twice in the heap

    def kill(self, process: Process) -> None:
        """The process ends here: no more of its steps, none of its threads."""
        process.alive = False
        self.at(0.0, self._bury, process)

    def _bury(self, process: Process) -> None:
        for task in process.tasks:
            coroutine: Any = task.get_coro()
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # it was meant to die
            for _ in range(3):  # a `finally` may wait again
                with contextlib.suppress(BaseException):
                    coroutine.close()
        process.tasks.clear()


class _Lane:
    """One pool of threads."""

    def __init__(self, workers: int) -> None:
        self.free = workers
        self.waiting: deque[tuple[contextvars.Context, Callable[[], Any], asyncio.Future[Any]]] = deque()
