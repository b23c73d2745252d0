"""The whole path under load, the archive at work and frozen in turns: what archiving costs the orders."""

from __future__ import annotations

import time
from pathlib import Path

import live_figures as figures
from live_stack import Stack, paced, step, warm

from kitepilot.topics import TICKS

ARCHIVE = "archive"
TURNS = 3
CATCH_UP_S = 120.0
CAUGHT_UP_MESSAGES = 2_000  # some seconds' worth: it flushes every two


def measure(home: Path, rate: int, seconds: float) -> dict[str, object]:
    """Bring a system up in `home`, run the rate in turns, stop it all: the steps, and the ratios of p95."""
    with warm(home) as (stack, density):
        rows = _in_turns(stack, rate, seconds, density)
    found = {leg: figures.ratio(rows, leg, "archive", "at work", "frozen") for leg in figures.AIMS_P95_MS}
    return {"steps": rows, "p95_at_work_over_frozen": found}


def _in_turns(stack: Stack, rate: int, seconds: float, density: float) -> list[dict[str, object]]:
    """The same rate in turns: the archive at work, then frozen. Between them it catches up."""
    rows = []
    for turn in range(2 * TURNS):
        frozen = bool(turn % 2)
        if frozen:
            stack.pause(ARCHIVE)
        try:
            row = step(stack, rate, seconds, density) | {"archive": "frozen" if frozen else "at work"}
        finally:
            stack.resume(ARCHIVE)  # also of a step that failed: a frozen process does not end
        if frozen:
            _caught_up(stack, rate, density)
        rows.append(row)
        print(f"\narchive {row['archive']}", end="")
        figures.show(row)
    return rows


def _caught_up(stack: Stack, rate: int, density: float) -> None:
    """Go on at the rate until the archive is no further behind than it always is."""
    deadline = time.monotonic() + CATCH_UP_S
    while stack.point().behind[TICKS.name] > CAUGHT_UP_MESSAGES:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the archive does not catch up at {rate:,} ticks/s within {CATCH_UP_S:.0f} s")
        density = paced(stack, rate, density, 2.0)
