"""Which faults are tried how: the sandbox's own table, with what a case needs besides its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from broker_adapter.sandbox.faults import FAULTS, Fault
from broker_adapter.sandbox.faulty_frames import POISON

TROUBLES_AT_ONCE = 4  # five in a row open the breaker, and then it is the breaker that is tried
#: Replies that say no, clearly: no trouble with the broker.
REFUSALS = ("ip_refused", "no_ips", "day_cap", "too_many_requests")
#: Strike every socket, and should change nothing for anybody.
HARMLESS = ("poison_frame", "stale_tick")


@dataclass(frozen=True)
class Case:
    """One row of the table. `alone`: it strikes everybody, so nothing else may run beside it.

    The fault is armed once for each of `parameters`. `first` is armed before it, to bring it about.
    """

    fault: Fault
    parameters: tuple[dict[str, Any], ...] = ({},)
    count: int | None = 1
    first: str = ""

    @property
    def title(self) -> str:
        if len(self.parameters) > 1:
            return f"{self.fault.name}, {len(self.parameters)} kinds"
        told = " ".join(f"{name}={value}" for name, value in self.parameters[0].items())
        return f"{self.fault.name} {told}".strip()

    @property
    def alone(self) -> bool:
        return self.everywhere and self.fault.name not in HARMLESS

    @property
    def everywhere(self) -> bool:
        """It cannot be armed for one instrument."""
        return self.fault.place in ("socket", "handshake", "venue")

    @property
    def trouble(self) -> bool:
        return self.fault.place == "reply" and self.fault.name not in REFUSALS


def cases(*, thorough: bool) -> Iterator[Case]:
    """Every fault of the table. Thorough: every event is struck with a probability, by the seed."""
    for fault in FAULTS:
        every = None if fault.place in ("order", "update") or not fault.once else 1
        count = None if thorough and fault.place in ("reply", "order", "update") else every
        if "reached" in fault.knobs and not thorough:
            for reached in ("yes", "no"):
                yield Case(fault, ({"reached": reached},), count)
        elif fault.name == "poison_frame":
            yield Case(fault, tuple({"kind": kind} for kind in POISON))
        elif fault.name == "clock_skew":
            for seconds in (45, -45):
                yield Case(fault, ({"seconds": seconds},), None)
        elif fault.name == "stuck_order" and not thorough:
            yield Case(fault, ({"stuck_s": 30},), count)
        else:
            yield Case(fault, ({},), count, "abrupt_close" if fault.name == "handshake_403" else "")


def waves(tried: list[Case]) -> Iterator[list[Case]]:
    """Cases that may run beside each other, at most so many troubles in one wave; the rest one by one."""
    troubles = [case for case in tried if case.trouble]
    calm = [case for case in tried if not case.trouble and not case.alone]
    number = -(-len(troubles) // TROUBLES_AT_ONCE) or 1
    for wave in range(number):
        chosen = [*troubles[wave::number], *calm[wave::number]]
        if chosen:
            yield chosen
    for case in tried:
        if case.alone:
            yield [case]
