"""Killed at any await and at any line, in any thread, the gateway loses nothing and sends nothing twice.

One exchange, one PostgreSQL and one log; a gateway after another is killed at each point that any of them was
seen to pass, each with fresh intents and an order that its owner placed by hand, and the next takes up its
work. `make kill-gateway` goes on until no point is left; here it stops when its time is up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from accounting import assert_foreign_orders_are_told_once, assert_the_books_agree
from killing import MOMENTS_US, Killer, Target, lines_of, waits_of
from trading_floor import Exchange, opened

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(3_600)]

THOROUGH = bool(os.environ.get("KILL_EVERYWHERE"))
AWAITS_S, LINES_S, MOMENTS = (1_200.0, 1_800.0, 100) if THOROUGH else (30.0, 12.0, 6)

#: Where an order's life hangs by a thread; a victim that never dies there would prove nothing.
VITAL = {
    "findings.py _on_thread",
    "findings.py run",
    "main.py _read_intents",
    "main.py _work",
    "scribe.py _journaling",
    "scribe.py _note",
    "scribe.py _publishing",
    "scribe.py open",
    "submit.py _in_turn",
    "truth.py read",
}

#: Where a foreign order may be told twice or never.
TELLING = lines_of(
    "broker_adapter/gateway/findings.py", {"write", "published", "_write_and_publish", "_publish"}
)


@pytest.fixture(scope="module")
def killer(
    exchange: Exchange, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Killer]:
    exchange.post("/admin/speed", {"speed": 60})
    with opened(exchange, postgres_url, tmp_path_factory.mktemp("killed"), freeze_quantity=2) as floor:
        killer = Killer(floor)
        try:
            yield killer
        finally:
            killer.close()
            exchange.post("/admin/speed", {"speed": 5})


def check(killer: Killer) -> None:
    killer.settle()
    try:
        assert_the_books_agree(killer.floor, killer.intents)
        assert_foreign_orders_are_told_once(killer.floor, killer.by_hand)
    except AssertionError:
        for target, intents in killer.killed.items():
            print(target, *(intent.intent_id for intent in intents))
        raise


def test_killed_at_every_await_it_loses_nothing_and_sends_nothing_twice(killer: Killer) -> None:
    waits = waits_of("broker_adapter/gateway")
    assert set(waits.values()) >= VITAL, "a function was renamed: name it anew in VITAL"
    killer.explore(False, time.monotonic() + AWAITS_S, lambda where: waits.get(where) in VITAL)
    check(killer)
    points = {target.point for target in killer.killed if target.kind == "await"}
    seen = {target.point for target in killer.seen if target.kind == "await"}
    print(f"killed {len(killer.killed)} gateways at {len(points)} of {len(seen)} points where a task waits:")
    for _, phase, where in sorted(points):
        print(f"  {where} {phase}  {waits.get(where, '')}")
    for phase in ("left", "back"):
        assert {waits.get(where) for _, side, where in points if side == phase} >= VITAL
    if THOROUGH:
        assert not seen - points


def lines_killed(killer: Killer) -> set[str]:
    return {target.where for target in killer.killed if target.kind == "line"}


def test_killed_at_any_line_it_loses_nothing_and_sends_nothing_twice(killer: Killer) -> None:
    killer.explore(True, time.monotonic(), lambda where: where in TELLING)  # these, whatever time it takes
    while not lines_killed(killer) - TELLING:  # a busy machine needs longer for one
        killer.explore(True, time.monotonic() + LINES_S, lambda where: False)
    check(killer)
    lines = lines_killed(killer)
    waits = waits_of("broker_adapter/gateway")
    print(f"killed before {len(lines)} lines, {len(lines & set(waits))} of {len(waits)} with an await;")
    print("  not reached:", *sorted(f"{where} ({waits[where]})" for where in set(waits) - lines))
    assert lines & TELLING and lines - TELLING


def test_killed_at_any_moment_it_loses_nothing_and_sends_nothing_twice(killer: Killer) -> None:
    for number in range(MOMENTS):
        killer.live(Target("moment", "", "", 1 + number * MOMENTS_US // MOMENTS))
    check(killer)
    assert sum(target.kind == "moment" for target in killer.killed) >= MOMENTS // 2
