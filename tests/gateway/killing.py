"""Killing a gateway at one point after another of what it was seen to pass, and counting what is left."""

from __future__ import annotations

import ast
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec
from test_account_watch import place_by_hand
from trading_floor import Floor, untraced

from kitepilot.events import ApprovedIntent, OrderUpdated, Purpose, Side, decode
from kitepilot.run import RUN_FOLDER_VARIABLE
from kitepilot.topics import SESSION

NURSERY = Path(__file__).with_name("doomed_gateway.py")
ROOT = Path(__file__).parents[2]
PATIENCE_S = 4.0  # for a victim that does not come to its point, once its intents have been sent
GRACE_S = 40.0
MOMENTS_US = 60_000
TRIES = 4


class Target(NamedTuple):
    """Where to die: see `doomed_gateway`."""

    kind: str
    phase: str
    where: str
    visit: int

    @property
    def point(self) -> tuple[str, str, str]:
        return self[:3]


NOWHERE = Target("none", "", "", 0)


@dataclass
class Killer:
    """Starts victims one after another, each with fresh intents and an order by hand that nobody told it of,
    and remembers who died of what."""

    floor: Floor
    seed: int = 20261120
    killed: dict[Target, list[ApprovedIntent]] = field(default_factory=dict)
    seen: set[Target] = field(default_factory=set)
    intents: list[ApprovedIntent] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)  # the broker's ids of foreign orders

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        environment = {**untraced(), RUN_FOLDER_VARIABLE: str(self.floor.run.folder)}
        self._nursery = subprocess.Popen(
            [sys.executable, str(NURSERY)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        assert self._nursery.stdout is not None
        self._rest = b""
        self._reader = self.floor.log.reader(
            {(SESSION.name, 0): self.floor.run.start_offsets()[SESSION.name]}
        )
        self._ended: set[str] = set()

    def close(self) -> None:
        assert self._nursery.stdin is not None
        self._nursery.stdin.close()
        self._nursery.wait(GRACE_S)
        self._reader.close()

    def explore(self, lines: bool, until: float, vital: Callable[[str], bool]) -> None:
        """Kill at every point that any victim was seen to pass, until none is left or time is up.

        Points of `vital` places come first, and for the first visit of each more than the time is taken.
        """
        todo: list[Target] = []
        known: set[Target] = set()
        tries: Counter[Target] = Counter()
        self.live(Target("line" if lines else "await", "", "", 0))
        while True:
            fresh = sorted(t for t in self.seen - known if (t.kind == "line") == lines)
            self._random.shuffle(fresh)
            known |= self.seen
            urgent = {t for t in (*todo, *fresh) if vital(t.where) and t.visit == 1}
            todo = sorted(todo + fresh, key=lambda t: (t not in urgent, tries[t], t.visit))
            if not todo or (time.monotonic() > until and not urgent):
                return
            target = todo.pop(0)
            status = self.live(target)
            tries[target] += 1
            print(f"{status:4} {len(todo):4} to go  {' '.join(map(str, target))}", flush=True)
            if target not in self.killed and tries[target] < TRIES:
                todo.append(target)  # a rare point: the next life may come to it

    def live(self, target: Target) -> int:
        """One gateway's life, with intents of its own: until it dies at its point, else until SIGTERM."""
        mine = list(self._intents())
        self.intents += mine
        self.by_hand.append(self._trade_by_hand(mine[0]))
        self.floor.send(*mine)
        self._bear(target)
        status = self._watch({intent.intent_id for intent in mine})
        if target != NOWHERE and status == -signal.SIGKILL:
            self.killed[target] = mine
        return status

    def settle(self) -> None:
        """An undisturbed gateway, until every intent ever sent has an end; then SIGTERM."""
        self._bear(NOWHERE)
        status = self._watch({intent.intent_id for intent in self.intents}, patience_s=60.0)
        assert status == 0, f"the last gateway ended with {status}"
        unended = {intent.intent_id for intent in self.intents} - self._ended
        assert not unended, f"{len(unended)} intents have no end"

    def _bear(self, target: Target) -> None:
        self.floor.run.ready_file("gateway").unlink(missing_ok=True)
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(json.dumps(target._asdict()) + "\n")
        self._nursery.stdin.flush()

    def _watch(self, wanted: set[str], patience_s: float = PATIENCE_S) -> int:
        """Follow a victim to its end; ask it to stop once `wanted` have ended or patience is up."""
        child, asked = 0, False
        started = time.monotonic()
        while True:
            for line in self._said():
                word, *rest = line.split()
                if word == "born":
                    child = int(rest[0])
                elif word == "seen":
                    kind, phase, where, visit = rest
                    self.seen.add(Target(kind, phase, where, int(visit)))
                elif word == "ended":
                    return int(rest[0])
            waited = time.monotonic() - started
            assert waited < patience_s + GRACE_S, "the victim neither died nor stopped"
            ready = child and self.floor.run.ready_file("gateway").exists()
            if ready and not asked and (self._all_ended(wanted) or waited > patience_s):
                os.kill(child, signal.SIGTERM)
                asked = True

    def _said(self) -> Iterator[str]:
        """What victims said, after a moment of waiting for it."""
        assert self._nursery.stdout is not None
        readable, _, _ = select.select([self._nursery.stdout], [], [], 0.02)
        if not readable:
            return
        self._rest += os.read(self._nursery.stdout.fileno(), 1 << 16)
        *whole, self._rest = self._rest.split(b"\n")
        yield from (line.decode() for line in whole)

    def _all_ended(self, wanted: set[str]) -> bool:
        for record in self._reader.poll(10_000):
            event = decode(record.value)
            if isinstance(event, OrderUpdated) and event.status.terminal:
                self._ended.add(event.intent_id)
        return wanted <= self._ended

    def _trade_by_hand(self, like: ApprovedIntent) -> str:
        """The owner trades one share at the price of an intent, as soon as the broker's rate lets him."""
        number = next(n for n, each in enumerate(self.floor.instruments) if each.token == like.token)
        return place_by_hand(self.floor, like.side, 1, like.limit_price_paise / 100, number)

    def _intents(self) -> Iterator[ApprovedIntent]:
        """An entry, an exit in three slices, and an order the broker refuses; positions stay small."""
        number, prices = len(self.intents), self.floor.quotes()
        side = Side.BUY if (number // 3) % 2 else Side.SELL
        yield self.floor.intent(number, side=side, quantity=2, prices=prices)
        exit = self.floor.intent(number, side=side, purpose=Purpose.EXIT, prices=prices)
        yield msgspec.structs.replace(exit, quantity=3 * self.floor.run.config.broker.freeze_quantity)
        yield self.floor.intent(number + 1, limit_price_paise=1, prices=prices)


def lines_of(path: str, functions: set[str]) -> set[str]:
    """ "file:line" of every statement of those functions."""
    found = set()
    for function in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(function, ast.FunctionDef) and function.name in functions:
            found |= {
                f"{path}:{node.lineno}"
                for statement in function.body
                for node in ast.walk(statement)
                if isinstance(node, ast.stmt) and not isinstance(node, ast.Constant | ast.Match)
            }
    return found


def waits_of(folder: str) -> dict[str, str]:
    """Every line with an `await`, `async with` or `async for`: "file:line" -> "file.py function"."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / folder).glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.Await | ast.AsyncWith | ast.AsyncFor):
                        where = f"{path.relative_to(ROOT)}:{node.lineno}"
                        found[where] = f"{path.name} {function.name}"
    return found
