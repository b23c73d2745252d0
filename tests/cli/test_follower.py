"""How far the command line lets session time run: as far as the decisions, and not past an open order."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from infra.eventlog.sqlite_log import SqliteLog
from kitepilot import events as e
from kitepilot.cli import watch
from kitepilot.config import Config
from kitepilot.run import Run
from kitepilot.topics import DECISIONS, INTENTS, ORDERS, TOPICS

SECOND = 1_000_000_000
OPEN = 1_795_146_300 * SECOND


class RecordingExchange:
    """Remembers what was acknowledged."""

    def __init__(self) -> None:
        self.acks: list[int] = []

    def post(self, path: str, body: dict[str, Any]) -> None:
        assert path == "/admin/ack"
        self.acks.append(body["session_time_ns"])

    def get(self, _path: str) -> dict[str, Any]:
        return {"state": "running", "ticks_sent": 0}


class Dark:
    """A meter nobody looks at."""

    def show(self, _watch: watch.Watch) -> None: ...


class Desk:
    """A follower and the log it follows."""

    def __init__(self, folder: Path) -> None:
        self.log = SqliteLog(folder / "log")
        self.log.create_topics(TOPICS)
        run = Run("paper-20261120-0001", folder, Config())
        (folder / "start_offsets.json").write_text(json.dumps({t.name: 0 for t in TOPICS}))
        self.exchange = RecordingExchange()
        self.follower = watch.Follower(run, self.log, self.exchange, Dark())  # type: ignore[arg-type]
        self.lines = itertools.count()

    def say(self, topic: str, event: e.AnyEvent) -> None:
        self.log.append(topic, [e.encode(event, emitted_at=1)])
        self.follower.step()

    def mark(self, second: int) -> None:
        event = e.AccountMarked(
            source="decisions", seq=second, event_at=OPEN + second * SECOND, run_id="r",
            state=e.TradingState.ACTIVE, realised_paise=0, unrealised_paise=0, charges_paise=0,
            open_positions=0, gross_exposure_paise=0, working_orders=1, oldest_working_at=OPEN,
            orders=1, fills=0,
        )  # fmt: skip
        self.say(DECISIONS.name, event)

    def intend(self) -> None:
        event = e.ApprovedIntent(
            source="intents", seq=0, event_at=OPEN, intent_id="I", run_id="r", config_hash="c", signal_id="s",
            verdict_id="v", strategy="s", purpose=e.Purpose.ENTRY, token=257, tradingsymbol="ALPHA",
            side=e.Side.BUY, quantity=1, order_type="LIMIT", limit_price_paise=100, validity="IOC",
            decision_price_paise=100, received_at=0, signal_emitted_at=0,
        )  # fmt: skip
        self.say(INTENTS.name, event)

    def say_of_order(self, kind: str, status: e.OrderStatus, slice_: int = 0) -> None:
        event = e.OrderJournaled(
            source="gateway.orders", seq=next(self.lines), event_at=OPEN, run_id="r", intent_id="I",
            order_id="1", token=257, tradingsymbol="ALPHA", side=e.Side.BUY,
            purpose=e.Purpose.ENTRY, strategy="s", kind=kind, status=status,
            quantity=1, filled_quantity=0, price_paise=100, slice=slice_,
        )  # fmt: skip
        self.say(ORDERS.name, event)

    def end_order(self, slice_: int = 0) -> None:
        self.say_of_order("update", e.OrderStatus.CANCELLED, slice_)

    def acked_s(self) -> int:
        return (self.exchange.acks[-1] - OPEN) // SECOND


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_session_time_follows_the_decisions(desk: Desk) -> None:
    desk.mark(1)
    desk.mark(2)
    assert desk.acked_s() == 2


def test_it_does_not_run_far_past_an_order_without_an_end(desk: Desk) -> None:
    desk.intend()
    for second in range(1, 30):
        desk.mark(second)
    assert desk.acked_s() == watch.ORDER_PATIENCE_NS // SECOND


def test_the_end_of_the_order_releases_it_at_once_without_another_mark(desk: Desk) -> None:
    desk.intend()
    for second in range(1, 30):
        desk.mark(second)
    desk.end_order()
    assert desk.acked_s() == 29


def test_an_order_sent_in_children_has_ended_when_the_last_of_them_has(desk: Desk) -> None:
    desk.intend()
    for child in (0, 1):
        desk.say_of_order("submitting", e.OrderStatus.SUBMITTING, child)
    for second in range(1, 30):
        desk.mark(second)
    held = watch.ORDER_PATIENCE_NS // SECOND
    desk.end_order(1)
    assert desk.acked_s() == held
    desk.end_order(0)
    assert desk.acked_s() == 29


def test_the_end_may_be_read_before_the_order(desk: Desk) -> None:
    desk.end_order()
    desk.intend()
    for second in range(1, 30):
        desk.mark(second)
    assert desk.acked_s() == 29


def test_garbage_on_a_topic_does_not_stop_the_day(desk: Desk) -> None:
    for topic in (DECISIONS.name, INTENTS.name, ORDERS.name):
        desk.log.append(topic, [b"\xc1 garbage", b""])
    desk.mark(1)
    assert desk.acked_s() == 1
