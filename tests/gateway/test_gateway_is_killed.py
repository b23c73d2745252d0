"""kill -9 of a real gateway process at the worst moments: orders at the exchange equal the intents."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from accounting import assert_the_books_agree
from trading_floor import Floor, await_true, untraced

from kitepilot.events import ApprovedIntent, OrderUpdated
from kitepilot.run import RUN_FOLDER_VARIABLE
from kitepilot.topics import SESSION

pytestmark = [pytest.mark.stack, pytest.mark.slow]

#: A gateway that kills itself at a named moment of the n-th order; otherwise the real process.
SUICIDAL = """
import os, signal, sys
from broker_adapter.gateway import main, journal
from broker_adapter.kite.client import KiteBroker
from kitepilot import run as runs

moment, victim = sys.argv[1], int(sys.argv[2])
count = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def counted(original, before, wanted=lambda *_: True):
    def wrapped(self, *values, **named):
        global count
        hit = False
        if wanted(*values):
            hit = count == victim
            count += 1
        if hit and before:
            die()
        result = original(self, *values, **named)
        if hit:
            die()
        return result
    return wrapped

if moment in ("before_send", "after_send"):
    KiteBroker.submit = counted(KiteBroker.submit, moment == "before_send")
if moment == "after_fill_journaled":
    with_fills = lambda changes, *_: any(c.fills for c in changes)
    journal.Journal.write = counted(journal.Journal.write, False, with_fills)
if moment == "after_intent_journaled":
    journal.Journal.open = counted(journal.Journal.open, False, lambda changes, *_: bool(changes))
sys.exit(main.main(runs.current()))
"""


def start(floor: Floor, script: Path, moment: str = "never", victim: int = 0) -> subprocess.Popen[bytes]:
    floor.run.ready_file("gateway").unlink(missing_ok=True)
    environment = {**untraced(), RUN_FOLDER_VARIABLE: str(floor.run.folder)}
    return subprocess.Popen([sys.executable, str(script), moment, str(victim)], env=environment)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "suicidal_gateway.py"
    path.write_text(SUICIDAL)
    return path


def ended(floor: Floor, intents: list[ApprovedIntent]) -> bool:
    told = [e for e in floor.read(SESSION.name) if isinstance(e, OrderUpdated)]
    return {i.intent_id for i in intents} <= {u.intent_id for u in told if u.status.terminal}


@pytest.mark.parametrize(
    ("moment", "victim", "surely_sent"),
    [
        ("after_intent_journaled", 0, 0),
        ("before_send", 1, 0),
        ("after_send", 2, 1),
        ("after_fill_journaled", 1, 1),
    ],
)
def test_no_order_is_lost_or_doubled(
    floor: Floor, script: Path, moment: str, victim: int, surely_sent: int
) -> None:
    intents = [floor.intent(n) for n in range(6)]
    doomed = start(floor, script, moment, victim)
    await_true(floor.run.ready_file("gateway").exists)
    for intent in intents[:4]:
        floor.send(intent)
        time.sleep(0.05)
    assert doomed.wait(30) == -signal.SIGKILL
    floor.send(*intents[4:])
    again = start(floor, script)
    await_true(lambda: ended(floor, intents), 60)
    again.terminate()
    assert again.wait(30) == 0
    assert_the_books_agree(floor, intents)
    arrived = {row["tag"][:18] for row in floor.exchange.orders_of(intents)}
    assert {intent.intent_id for intent in intents[4:]} <= arrived, "an intent was lost"
    before = {intent.intent_id for intent in intents[:4]}  # journaled and not sent: never sent, by design
    assert len(before & arrived) >= surely_sent


def test_a_second_gateway_of_a_run_waits_for_the_first_and_sends_nothing(floor: Floor, script: Path) -> None:
    first = start(floor, script)
    await_true(floor.run.ready_file("gateway").exists)
    second = start(floor, script)
    intent = floor.intent()
    floor.send(intent)
    await_true(lambda: ended(floor, [intent]))
    assert second.poll() is None
    assert not floor.run.ready_file("gateway").exists(), "the second must not be ready beside the first"
    first.terminate()
    assert first.wait(30) == 0
    await_true(floor.run.ready_file("gateway").exists)
    second.terminate()
    assert second.wait(30) == 0
    assert_the_books_agree(floor, [intent])
    assert len(floor.exchange.orders_of([intent])) == 1
