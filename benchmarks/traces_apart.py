"""The whole path under load, with traces told to a collector and with nobody telling them, in turns.

Traces are made from the log by the process `alerts`. It works in one turn and is frozen in the next, so what
is measured is the cost of the whole process, alerts and collector included: traces alone cost no more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import live_figures as figures
from live_stack import Stack, step, warm

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from otlp_collector import Collector

TELLER = "alerts"
TURNS = 3
ON, OFF = "told", "frozen"


def measure(home: Path, rate: int, seconds: float) -> dict[str, object]:
    """Bring a system up in `home`, run the rate in turns, stop it all: steps, spans taken, ratios of p95."""
    with closing(Collector()) as collector:
        with warm(home, {"telemetry.traces_url": collector.url}) as (stack, density):
            rows = list(_in_turns(stack, rate, seconds, density))
        spans = len(collector.taken)
    found = {leg: figures.ratio(rows, leg, "traces", ON, OFF) for leg in figures.AIMS_P95_MS}
    return {"steps": rows, "spans": spans, "p95_told_over_frozen": found}


def _in_turns(stack: Stack, rate: int, seconds: float, density: float) -> Iterator[dict[str, object]]:
    for turn in range(2 * TURNS):
        word = OFF if turn % 2 else ON
        if word is OFF:
            stack.pause(TELLER)
        try:
            row = step(stack, rate, seconds, density) | {"traces": word}
        finally:
            stack.resume(TELLER)  # also of a step that failed: a frozen process does not end
        print(f"\ntraces: {word}", end="")
        figures.show(row)
        yield row
