"""Two processes are lost at once with positions open: flat all the same, and every book equal afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from paper_house import HOUR_NS, OPEN_NS, House, PaperDay, flaws

from broker_adapter.kite.client import KiteBroker
from broker_adapter.watchdog import journal
from infra.fence import Fence

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(900)]


def freeze_with_a_position(paper: PaperDay) -> int:
    """Stop the gateway at a moment at which the broker holds something of ours; its pid."""
    broker, gateway = KiteBroker(paper.current()), paper.pid_of("gateway")

    def holding() -> bool:
        if not any(row.quantity for row in broker.positions()):
            return False
        os.kill(gateway, signal.SIGSTOP)
        if any(row.quantity for row in broker.positions()):
            return True
        os.kill(gateway, signal.SIGCONT)
        return False

    paper.await_true("a position", holding, 240, pause_s=0.2)
    return gateway


def kinds(folder: Path) -> set[str]:
    return {line.kind for line in journal.read(folder / journal.FILE)}


def test_a_frozen_gateway_and_dead_decisions_leave_a_flat_account_and_equal_books(
    build_house: Callable[..., House], tmp_path: Path
) -> None:
    house = build_house(tmp_path / "home", instruments=8, changes={"watchdog.silence_s": 6.0})
    with house.paper() as paper:
        paper.await_time(OPEN_NS + HOUR_NS // 6)
        paper.set_speed(10)
        gateway = freeze_with_a_position(paper)
        paper.kill("decisions")
        folder = paper.current().folder
        paper.await_true("flat by the watchdog", lambda: "flat" in kinds(folder), 300, pause_s=0.2)
        held = [row for row in KiteBroker(paper.current()).positions() if row.quantity]
        assert held == [], "the broker shows a position after the watchdog saw none"
        os.kill(gateway, signal.SIGCONT)
        paper.set_speed("max")
        paper.await_true("adopted by the decisions", lambda: house.status()["open_positions"] == 0, 240)
        paper.interrupt()
        day = paper.wait()
    assert day.code == 130, day.err[-3000:]
    assert day.result["reconciled"], day.result["first_difference"]
    assert (day.result["open_positions"], day.result["unlinked_orders"]) == (0, 0)
    assert Fence(folder).stands(), "nobody but the owner lowers it"
    log = house.log()
    assert flaws(log, house.run(day.result["run_id"])) == []
    log.close()
