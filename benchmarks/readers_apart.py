"""The whole path under load, fifty people looking on and nobody in turns: what that costs the signals.

The readers are one process of its own over the live stream, the last of them opens its stream and never
reads. They share the machine with the desk, which browsers elsewhere do not.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import live_figures as figures
import numpy as np
from live_readers import listen
from live_stack import Stack, step, warm

READERS = 50
TURNS = 3
AMONG, ALONE = "fifty", "none"
LEGS = ("tick_to_signal_ms", "signal_to_enqueued_ms", "tick_to_mark_ms")


def measure(home: Path, rate: int, seconds: float) -> dict[str, object]:
    """Bring a system up in `home`, run the rate in turns, stop it all: steps, ages at the readers, ratios."""
    ages: list[float] = []
    with warm(home) as (stack, density):
        rows = list(_in_turns(stack, rate, seconds, density, ages))
    found = {leg: figures.ratio(rows, leg, "readers", AMONG, ALONE) for leg in LEGS}
    seen = {f"p{p}": round(float(np.percentile(ages, p)), 1) for p in (50, 95, 99)} if ages else {}
    return {
        "steps": rows,
        "order_seen_ms": seen | {"n": len(ages)},
        "p95_among_readers_over_alone": found,
    }


def _in_turns(
    stack: Stack, rate: int, seconds: float, density: float, ages: list[float]
) -> Iterator[dict[str, object]]:
    for turn in range(2 * TURNS):
        if turn % 2:
            with _looking_on(stack.api_port, stack.api_token, ages):
                row = step(stack, rate, seconds, density) | {"readers": AMONG}
        else:
            row = step(stack, rate, seconds, density) | {"readers": ALONE}
        print(f"\nreaders: {row['readers']}", end="")
        figures.show(row)
        yield row


@contextmanager
def _looking_on(port: int, token: str, ages: list[float]) -> Iterator[None]:
    """While the block lasts; `ages` then has how old each order event was when a reader had it, ms."""
    apart = multiprocessing.get_context("spawn")
    here, there = apart.Pipe()
    readers = apart.Process(target=_read, args=(port, token, there))
    readers.start()
    try:
        yield
        here.send("enough")
        ages += here.recv()
    finally:
        readers.terminate()
        readers.join()


def _read(port: int, token: str, told: Connection) -> None:
    told.send(asyncio.run(_listen_all(port, token, told)))


async def _listen_all(port: int, token: str, told: Connection) -> list[float]:
    ages: list[float] = []
    tasks = [asyncio.create_task(listen(port, token, ages, deaf=not number)) for number in range(READERS)]
    await asyncio.to_thread(told.recv)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return ages
