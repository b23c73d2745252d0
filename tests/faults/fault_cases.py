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
BOOK = "GET /orders*"
Body = dict[str, Any]  # of POST /admin/faults


@dataclass(frozen=True)
class Case:
    """One row of the table: the faults to arm together.

    `own`: they are armed for one instrument, others may be tried beside it. `alone`: it strikes everybody,
    nothing else may run. `trouble`: the breaker counts it.
    """

    title: str
    switches: tuple[Body, ...]
    own: bool = False
    alone: bool = False
    trouble: bool = False

    @property
    def names(self) -> set[str]:
        return {switch["fault"] for switch in self.switches}

    @property
    def late_s(self) -> float:
        """Session time after which an order may still come to life."""
        return max(float(switch["parameters"].get("live_after_s", 0)) for switch in self.switches)

    def must_strike(self, switch: Body) -> bool:
        """Whether a hit of this fault is certain to come."""
        return switch["count"] is not None and "probability" not in switch


def cases(*, thorough: bool) -> Iterator[Case]:
    """Every fault of the table, the order book's reads, and a day on which everything goes wrong.

    Thorough: every event is struck with a probability, by the seed.
    """
    for fault in FAULTS:
        yield from _cases_of(fault, thorough)
    for fault in ("html_error", "reset_mid_reply", "timeout_after_accept", "no_content_type"):
        read = switch(fault, 3, match={"route": BOOK})
        yield Case(f"{fault} on {BOOK}", (read,), alone=True)
    yield Case("timed_out_400, live 90 s later", (switch("timed_out_400", 1, live_after_s=90.0),), own=True)
    yield worst_day()


def _cases_of(fault: Fault, thorough: bool) -> Iterator[Case]:
    everywhere = fault.place in ("socket", "handshake", "venue")
    kind = {
        "own": not everywhere,
        "alone": everywhere and fault.name not in HARMLESS,
        "trouble": fault.place == "reply" and fault.name not in REFUSALS,
    }
    once = 1 if fault.once and fault.place not in ("order", "update") else None
    if thorough and fault.once and not everywhere:
        yield Case(fault.name, (switch(fault.name, None, probability=0.5),), **kind)
    elif "reached" in fault.knobs:
        for reached in ("yes", "no"):
            yield Case(f"{fault.name} reached={reached}", (switch(fault.name, 1, reached=reached),), **kind)
    elif fault.name == "poison_frame":
        poisons = tuple(switch(fault.name, 1, kind=poison) for poison in POISON)
        yield Case(f"{fault.name}, {len(poisons)} kinds", poisons, **kind)
    elif fault.name == "clock_skew":
        for seconds in (45, -45):
            yield Case(
                f"{fault.name} seconds={seconds}", (switch(fault.name, None, seconds=seconds),), **kind
            )
    elif fault.name == "stuck_order":
        yield Case(f"{fault.name} stuck_s=30", (switch(fault.name, None, stuck_s=30),), **kind)
    elif fault.name == "handshake_403":
        yield Case(fault.name, (switch(fault.name, 1), switch("abrupt_close", 1)), **kind)
    else:
        yield Case(fault.name, (switch(fault.name, once),), **kind)


def worst_day() -> Case:
    """Replies, orders, updates, reads and sockets go wrong together, for everybody."""
    often = {
        "timeout_after_accept": 0.1, "unavailable_503": 0.15, "reset_mid_reply": 0.15, "stuck_order": 0.2,
        "rms_rejected": 0.1, "lost_update": 0.3, "duplicate_update": 0.3, "late_update": 0.3,
        "partial_after_complete": 0.3, "poison_frame": 0.05,
    }  # fmt: skip
    together = [switch(name, None, probability=chance) for name, chance in often.items()]
    reads = switch("bad_gateway_502", None, probability=0.2, match={"route": BOOK})
    return Case("everything at once", (*together, reads, switch("silent_socket", 1)), alone=True)


def switch(
    fault: str, count: int | None, *, probability: float = 1.0, match: Body | None = None, **parameters: Any
) -> Body:
    """A body for the admin address."""
    body: Body = {"fault": fault, "count": count, "parameters": parameters, "match": match or {}}
    return body if probability == 1.0 else {**body, "probability": probability}


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
