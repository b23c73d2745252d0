"""A gateway that dies at a named point: forked from a process that has everything imported.

Reads one JSON target per line on stdin: `{"kind", "where", "phase", "visit"}`; writes lines on stdout:
`born PID`, `seen KIND PHASE WHERE VISIT` (a point passed for the 1st, 2nd, 4th, 8th time), `ended STATUS`.

Kinds of points: `await`, where a task of ours was left waiting (phase `left`) or goes on again (`back`),
named by the innermost line of ours; `line`, before a line of ours runs, in whatever thread; `moment`, so many
microseconds after the first intent was read, wherever that is.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import types
from collections import Counter
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any, NoReturn

import kiteconnect  # noqa: F401  # a second of imports that no victim should spend again

from broker_adapter.gateway import main as gateway
from broker_adapter.kite import outcomes  # noqa: F401
from kitepilot import run as runs

ROOT = Path(gateway.__file__).parents[2]
OURS = str(ROOT / "broker_adapter")
TRACED = (str(ROOT / "broker_adapter/gateway"), str(ROOT / "broker_adapter/kite/client.py"))
TOLD = {1, 2, 4, 8}

Point = tuple[str, str, str]


class Doom:
    """Counts the points this process passes, and ends it at the wanted one."""

    def __init__(self, target: dict[str, Any]) -> None:
        self._point: Point = (target["kind"], target["phase"], target["where"])
        self._visit = int(target["visit"])
        self._visits: Counter[Point] = Counter()
        self.kind = target["kind"]

    def passes(self, point: Point) -> None:
        self._visits[point] += 1
        visit = self._visits[point]
        if point == self._point and visit == self._visit:
            die()
        if visit in TOLD:
            say("seen", *point, str(visit))

    def in_microseconds(self) -> None:
        """Die wherever the process is then."""
        threading.Thread(target=self._later, daemon=True).start()

    def _later(self) -> None:
        threading.Event().wait(self._visit / 1e6)
        die()


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def say(*words: str) -> None:
    os.write(1, (" ".join(words) + "\n").encode())  # one write of a short line is not torn


class Watched(Coroutine[Any, Any, Any]):
    """A coroutine whose every step passes two points: when it goes on, and when it waits again."""

    def __init__(self, inner: Coroutine[Any, Any, Any], doom: Doom) -> None:
        self._inner = inner
        self._doom = doom
        self._at = ""

    def send(self, value: Any) -> Any:
        return self._step(self._inner.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._inner.throw, *error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise AssertionError("a task steps it, nobody awaits it")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # cr_code and the like, for those who print tasks

    def _step(self, step: Any, *values: Any) -> Any:
        if self._at:
            self._doom.passes(("await", "back", self._at))
        waits_for = step(*values)
        self._at = innermost(self._inner)
        if self._at:
            self._doom.passes(("await", "left", self._at))
        return waits_for


def innermost(coroutine: Any) -> str:
    """Where the innermost frame of ours waits: "broker_adapter/gateway/main.py:123"; "" if none is."""
    found = ""
    while isinstance(coroutine, types.CoroutineType | types.AsyncGeneratorType | Watched):
        if isinstance(coroutine, Watched):
            coroutine = coroutine._inner
            continue
        asynchronous = isinstance(coroutine, types.AsyncGeneratorType)
        frame = coroutine.ag_frame if asynchronous else coroutine.cr_frame
        if frame is not None and frame.f_code.co_filename.startswith(OURS):
            found = f"{Path(frame.f_code.co_filename).relative_to(ROOT)}:{frame.f_lineno}"
        coroutine = coroutine.ag_await if asynchronous else coroutine.cr_await
    return found


def trace_lines(doom: Doom) -> None:
    """Every line of the gateway's package and of the client passes a point, in every thread."""

    def lines(frame: types.FrameType, event: str, _: Any) -> Any:
        if event == "line":
            name = Path(frame.f_code.co_filename).relative_to(ROOT)
            doom.passes(("line", "before", f"{name}:{frame.f_lineno}"))
        return lines

    def calls(frame: types.FrameType, _event: str, _: Any) -> Any:
        return lines if frame.f_code.co_filename.startswith(TRACED) else None

    threading.settrace(calls)
    sys.settrace(calls)


def plain_loop(doom: Doom) -> types.SimpleNamespace:
    """What stands for uvloop: asyncio's own loop, each task of which is watched."""

    def watch(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> asyncio.Task[Any]:
        return asyncio.Task(Watched(coroutine, doom), loop=loop, **more)

    def run(main: Any) -> Any:
        with asyncio.Runner() as runner:
            runner.get_loop().set_task_factory(watch)
            return runner.run(main)

    return types.SimpleNamespace(run=run)


def victim(target: dict[str, Any]) -> NoReturn:
    doom = Doom(target)
    gateway.uvloop = plain_loop(doom)  # type: ignore[assignment]
    if doom.kind == "moment":
        read = gateway.Gateway._take

        async def take(self: Any, records: Any) -> None:
            doom.in_microseconds()
            gateway.Gateway._take = read  # type: ignore[method-assign]
            await read(self, records)

        gateway.Gateway._take = take  # type: ignore[method-assign]
    elif doom.kind == "line":
        trace_lines(doom)
    os._exit(gateway.main(runs.current()))


def nursery() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            victim(json.loads(line))
        say("born", str(child))
        _, status = os.waitpid(child, 0)
        say("ended", str(os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    nursery()
