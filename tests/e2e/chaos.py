"""kill -9 in the middle of a paper day: `make chaos` runs the whole matrix and prints what came of it.

.venv/bin/python tests/e2e/chaos.py [--pairs 3] [--seed 7] [--only gateway,market]
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paper_house import HOUR_NS, OPEN_NS, Day, House, PaperDay, flaws
from rich.console import Console
from rich.table import Table

from kitepilot.cli.report import ist_clock
from kitepilot.cli.supervise import Supervisor

VICTIMS = ("sandbox", "ingest", "market", "decisions", "gateway", "archive", "clickhouse", "postgres", "api")
FIRST_AT = OPEN_NS + HOUR_NS // 4
LAST_AT = OPEN_NS + 6 * HOUR_NS  # 15:15, in the middle of the square-off
RESTART_WITHIN_S = 60.0


@dataclass
class Kill:
    """kill -9 of these processes at once, when the session reaches `at` (ns UTC), or, if `on_order`, so many
    seconds after the next intent from then on: while an order is on its way."""

    victims: tuple[str, ...]
    at: int
    on_order_s: float | None = None
    restarted_s: float = -1.0

    def strike(self, day: PaperDay) -> None:
        day.await_time(self.at)
        if self.on_order_s is not None:
            day.await_intent(until=LAST_AT)
            time.sleep(self.on_order_s)  # the moment itself is what is tested
        before = {name: day.kill(name) for name in self.victims}
        began = time.monotonic()
        supervisor = Supervisor(day.house.home)

        def back() -> bool:
            states = {name: supervisor.state(name) for name in before}
            return all(s.state == "RUNNING" and s.pid != before[name] for name, s in states.items())

        day.await_true(f"{self.victims} to run again", back, RESTART_WITHIN_S)
        self.restarted_s = time.monotonic() - began


@dataclass
class Survived:
    """What a day with kills came to."""

    kills: Sequence[Kill]
    day: Day
    flaws: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        result = self.day.result
        flat = not result["open_positions"] and not result["unlinked_orders"]
        return self.day.code == 0 and bool(result["reconciled"]) and flat and not self.flaws


def survive(house: House, kills: Sequence[Kill]) -> Survived:
    """Trade a day with these kills, in order of their time."""
    with house.paper() as paper:
        for kill in sorted(kills, key=lambda k: k.at):
            kill.strike(paper)
        day = paper.wait()
    log = house.log()
    found = (
        flaws(log, house.run(day.result["run_id"])) + house.leftovers()
        if day.out.strip()
        else [day.err[-800:]]
    )
    log.close()
    return Survived(kills, day, found)


def plan(rng: random.Random, pairs: int, only: Sequence[str]) -> list[list[Kill]]:
    """One day per victim and some days for pairs; each time three kills: any moment, and twice an order's."""

    def moments(victims: tuple[str, ...]) -> list[Kill]:
        times = sorted(rng.randrange(FIRST_AT, LAST_AT) for _ in range(3))
        delays = (None, rng.uniform(0, 0.02), rng.uniform(0, 0.1))
        return [Kill(victims, at, delay) for at, delay in zip(times, delays, strict=True)]

    days = [moments((name,)) for name in only]
    return days + [moments(tuple(rng.sample(list(only), 2))) for _ in range(pairs)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3, help="days on which two processes die together")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", default=",".join(VICTIMS), help="victims, comma-separated")
    parser.add_argument("--keep", action="store_true", help="keep the home for a look")
    chosen = parser.parse_args()
    only = chosen.only.split(",")
    house = House(Path(tempfile.mkdtemp(prefix="kitepilot-chaos-")), instruments=10)
    table = Table("killed", "at", "running again", "exit", "reconciled", "orders", "fills", "flaws")
    console, failed = Console(width=160), 0
    for kills in plan(random.Random(chosen.seed), chosen.pairs if len(only) > 1 else 0, only):
        came = survive(house, kills)
        failed += not came.sound
        cells = [
            "+".join(kills[0].victims),
            "; ".join(ist_clock(k.at) + ("" if k.on_order_s is None else " order") for k in kills),
            "; ".join(f"{kill.restarted_s:.1f} s" for kill in kills),
            str(came.day.code),
            *(str(came.day.result[key]) for key in ("reconciled", "orders", "fills")),
            "; ".join([came.day.result["first_difference"], *came.flaws][:3]).strip("; ") or "none",
        ]
        table.add_row(*cells)
        console.print("  ".join(cells), highlight=False, soft_wrap=True)
    console.print(table)
    if chosen.keep or failed:
        console.print(f"home kept: {house.home}")
    else:
        shutil.rmtree(house.home)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
