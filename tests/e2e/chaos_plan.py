"""A seed -> the faults of a matrix, a day's worth at a time. A moment depends on seed and name alone."""

from __future__ import annotations

import random
from collections.abc import Sequence

from paper_house import HOUR_NS, OPEN_NS, House
from strikes import SERVER, Fault, disks, lines

from kitepilot.cli import processes
from kitepilot.config import Config

FIRST_AT = OPEN_NS + HOUR_NS // 4
LAST_AT = OPEN_NS + 6 * HOUR_NS  # 15:15, in the middle of the square-off
A_DAY = 10  # faults
WITH_CHILDREN = ("postgres", "kafka")
AWAY = ("postgres", "clickhouse", "kafka", "sandbox")
QUICK = 8


def victims(config: Config) -> tuple[str, ...]:
    """Every process that `kitepilot paper` starts with this configuration."""
    chosen = (*processes.stores(config), processes.SANDBOX, *processes.TRADING)
    return tuple(process.name for process in chosen)


def matrix(house: House, seed: int, pairs: int) -> list[Fault]:
    """Every fault once, and `pairs` of kills and of stops."""
    names = victims(house.config)
    singles = [("kill", (name,)) for name in names] + [("stop", (name,)) for name in names]
    singles += [("kill", (name + SERVER,)) for name in names if name in WITH_CHILDREN]
    singles += [("away", (name,)) for name in names if name in AWAY]
    singles += [("cut", (line,)) for line in lines(house)] + [("full", (disk,)) for disk in disks(house)]
    rng = random.Random(f"{seed}:pairs")
    drawn = [tuple(rng.sample(names, 2)) for _ in range(2 * pairs)]
    doubles = [("kill" if n % 2 == 0 else "stop", both) for n, both in enumerate(drawn)]
    return [_fault(seed, kind, who) for kind, who in dict.fromkeys([*singles, *doubles])]


def _fault(seed: int, kind: str, who: tuple[str, ...]) -> Fault:
    rng = random.Random(f"{seed}:{kind}:{'+'.join(who)}")
    spans = {"kill": (0.0, 0.0), "stop": (1, 12), "away": (8, 16), "cut": (2, 12), "full": (2, 5)}
    on_order = rng.choice((None, rng.uniform(0, 0.02), rng.uniform(0, 0.1)))
    at = rng.randrange(FIRST_AT, LAST_AT)
    return Fault(kind, who, at, round(rng.uniform(*spans[kind]), 1), on_order)


def days(faults: Sequence[Fault], seed: int) -> list[list[Fault]]:
    """Shuffled into days; those that need a disk of their own share theirs."""
    rng = random.Random(f"{seed}:days")
    plain = [fault for fault in faults if fault.kind != "full"]
    rng.shuffle(plain)
    count = -(-len(plain) // A_DAY)
    dealt = [plain[n::count] for n in range(count)]
    dealt += [[fault for fault in faults if fault.kind == "full"]]
    return [sorted(day, key=lambda fault: fault.at) for day in dealt if day]


def chosen(faults: Sequence[Fault], only: str, quick: bool, seed: int) -> list[Fault]:
    """Those whose name has one of the comma-separated words of `only` in it; of these `QUICK` by lot."""
    words = [word for word in only.split(",") if word]
    found = [fault for fault in faults if not words or any(word in fault.name for word in words)]
    if quick and len(found) > QUICK:
        mixed = [fault for fault in found if fault.kind != "full"]
        found = random.Random(f"{seed}:quick").sample(mixed, min(QUICK, len(mixed)))
    return found
