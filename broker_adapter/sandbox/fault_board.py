"""Switches and scripts -> which fault strikes now.

Every armed fault draws from a generator of its own, seeded by the board's seed and its number, so the same
script and seed over the same events give the same faults.
"""

from __future__ import annotations

import fnmatch
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date

import msgspec

from broker_adapter.sandbox.faults import BY_NAME, Fault, Place
from kitepilot.market import calendar

NS_PER_S = 1_000_000_000
MAX_ARMED = 1_000
Value = float | str


class FaultError(ValueError):
    """A switch or a script that cannot be used; says what and why."""


class Match(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which events a fault is for; empty means any. `route` is `POST|PUT /orders/*`."""

    symbol: str = ""
    tag: str = ""
    route: str = ""


class Switch(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Arms one fault. `count` hits (null: without end), each event hit with `probability`, until a time.

    `until` is `HH:MM:SS` IST of the session's day. Without `count` a fault strikes once, or for good when
    it is a state rather than an event.
    """

    fault: str
    count: int | msgspec.UnsetType | None = msgspec.UNSET
    probability: float = 1.0
    until: str = ""
    parameters: dict[str, Value] = {}
    match: Match = Match()


class Step(Switch, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A switch of a script: at a session time, after the n-th order, or when the seed says."""

    at: str = ""
    after_orders: int = 0


class Script(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Steps and the one seed that draws what they leave open."""

    seed: int = 0
    steps: list[Step]


@dataclass
class Armed:
    """A fault in force. `seen` counts the events it was asked about, `hits` those it struck."""

    number: int
    fault: Fault
    switch: Switch
    until: int | None
    draws: random.Random = field(repr=False)
    left: int | None = None
    seen: int = 0
    hits: int = 0
    parameters: dict[str, Value] = field(default_factory=dict)

    @property
    def spent(self) -> bool:
        return self.left == 0

    def number_of(self, knob: str) -> float:
        return float(self.parameters[knob])

    def text_of(self, knob: str) -> str:
        return str(self.parameters[knob])

    def suits(self, route: str, symbol: str, tag: str) -> bool:
        match = self.switch.match
        wanted = match.route or self.fault.route
        return (
            (not match.symbol or match.symbol == symbol)
            and (not match.tag or tag.startswith(match.tag))
            and (not wanted or _on_route(wanted, route))
        )

    def falls(self) -> bool:
        """Whether this event is struck; draws the open parameters of the hit."""
        self.seen += 1
        if self.switch.probability < 1 and self.draws.random() >= self.switch.probability:
            return False
        self.hits += 1
        self.left = None if self.left is None else self.left - 1
        for name, knob in self.fault.knobs.items():
            if knob.default is None and name not in self.switch.parameters:
                self.parameters[name] = self.draws.choice(knob.choices)
        return True


class FaultBoard:
    """All armed faults of one sandbox. `now` is session time, ns UTC."""

    def __init__(self, day: date, now: Callable[[], int], seed: int = 0) -> None:
        self._day = day
        self._now = now
        self._seed = seed
        self._armed: dict[int, Armed] = {}
        self._waiting: list[tuple[int, int, Switch]] = []  # session ns, orders, what
        self._numbers = 0
        self.orders = 0

    def arm(self, switch: Switch) -> Armed:
        """Put one fault in force. Raises FaultError for a name, parameter, count or time that cannot be."""
        fault = _checked(switch)
        if len(self._armed) >= MAX_ARMED:
            raise FaultError(f"{MAX_ARMED} faults are armed already: clear some")
        self._numbers += 1
        count = switch.count
        left = (1 if fault.once else None) if isinstance(count, msgspec.UnsetType) else count
        armed = Armed(
            number=self._numbers,
            fault=fault,
            switch=switch,
            until=self._instant(switch.until) if switch.until else None,
            draws=random.Random(f"{self._seed}:{self._numbers}:{fault.name}"),
            left=left,
            parameters={
                **{n: k.default for n, k in fault.knobs.items() if k.default is not None},
                **switch.parameters,
            },
        )
        self._armed[armed.number] = armed
        return armed

    def follow(self, script: Script) -> int:
        """A script replaces everything; returns how many steps wait. FaultError: nothing changed."""
        session = calendar.session(self._day, allow_special=True)
        draws = random.Random(f"{script.seed}:script")
        waiting = []
        if len(script.steps) > MAX_ARMED:
            raise FaultError(f"{len(script.steps)} steps; a script has at most {MAX_ARMED}")
        for step in script.steps:
            _checked(step)
            drawn_at = draws.randrange(session.open_at, session.continuous_close_at)
            at = self._instant(step.at) if step.at else 0 if step.after_orders else drawn_at
            waiting.append((at, step.after_orders, step))
        self.clear()
        self._seed, self._numbers, self.orders = script.seed, 0, 0
        self._waiting = sorted(waiting, key=lambda item: item[:2])
        return len(waiting)

    def clear(self, number: int | None = None) -> int:
        """Disarm one fault, or all of them and the script; returns how many."""
        if number is not None:
            return 0 if self._armed.pop(number, None) is None else 1
        gone = len(self._armed) + len(self._waiting)
        self._armed.clear()
        self._waiting = []
        return gone

    @property
    def quiet(self) -> bool:
        """Nothing is armed and nothing waits."""
        return not self._armed and not self._waiting

    @property
    def waiting(self) -> int:
        """Steps of the script whose time has not come."""
        return len(self._waiting)

    def list(self) -> list[Armed]:
        return list(self._armed.values())

    def count_order(self) -> None:
        """A placement came in: scripts count them."""
        self.orders += 1

    def strike(
        self,
        place: Place,
        *,
        route: str = "",
        symbol: str = "",
        tag: str = "",
        only: Collection[str] | None = None,
    ) -> Armed | None:
        """The first armed fault that strikes this event, if any; `only` limits the names that could."""
        if self.quiet:
            return None
        self._turn()
        for armed in self._armed.values():
            fault = armed.fault
            if fault.place != place or armed.spent or self._over(armed):
                continue
            if only is not None and fault.name not in only:
                continue
            if armed.suits(route, symbol, tag) and armed.falls():
                return armed
        return None

    def standing(self, name: str) -> Armed | None:
        """A fault that is a state, if it holds now. Asking counts as a hit, but uses none up."""
        if self.quiet:
            return None
        self._turn()
        for armed in self._armed.values():
            if armed.fault.name == name and not self._over(armed):
                armed.seen += 1
                armed.hits += 1
                return armed
        return None

    def _turn(self) -> None:
        """Arm the steps whose time or order has come."""
        now = self._now()
        due = [item for item in self._waiting if item[0] <= now and item[1] <= self.orders]
        if due:
            self._waiting = [item for item in self._waiting if item not in due]
            for _, _, switch in due:
                self.arm(switch)

    def _over(self, armed: Armed) -> bool:
        return armed.until is not None and self._now() >= armed.until

    def _instant(self, clock: str) -> int:
        try:
            return calendar.ist_ns(self._day, clock)
        except ValueError as err:
            raise FaultError(f"time {clock!r}: expected HH:MM or HH:MM:SS, IST") from err


def _checked(switch: Switch) -> Fault:
    fault = BY_NAME.get(switch.fault)
    if fault is None:
        raise FaultError(f"no fault {switch.fault!r}; there are: {', '.join(BY_NAME)}")
    for name, value in switch.parameters.items():
        knob = fault.knobs.get(name)
        if knob is None:
            raise FaultError(
                f"{fault.name} has no parameter {name!r}; it has: {', '.join(fault.knobs) or 'none'}"
            )
        if knob.choices and value not in knob.choices:
            raise FaultError(f"{fault.name}: {name} is one of {', '.join(knob.choices)}, not {value!r}")
        if not knob.choices and not isinstance(value, int | float):
            raise FaultError(f"{fault.name}: {name} is a number, not {value!r}")
    if not 0 < switch.probability <= 1:
        raise FaultError(f"{fault.name}: probability {switch.probability} is not above 0 and at most 1")
    if isinstance(switch.count, int) and switch.count < 1:
        raise FaultError(f"{fault.name}: count {switch.count} is below 1; null means without end")
    return fault


def _on_route(wanted: str, route: str) -> bool:
    methods, _, path = wanted.partition(" ")
    method, _, asked = route.partition(" ")
    return (methods == "*" or method in methods.split("|")) and fnmatch.fnmatchcase(asked, path)
