"""What must hold of exchange, journal and log whatever was done to the gateway in between."""

from __future__ import annotations

from collections import Counter

import msgspec
from trading_floor import Floor

from broker_adapter.gateway.foreign import SOURCE as FINDINGS
from broker_adapter.gateway.slicing import children, refusal
from infra.postgres import book
from infra.postgres.book import BookedFill, BookedOrder
from kitepilot.events import (
    Alarmed,
    AnyEvent,
    ApprovedIntent,
    Filled,
    ForeignFilled,
    ForeignOrderUpdated,
    OrderUpdated,
)
from kitepilot.orders.intents import tag
from kitepilot.topics import SESSION

Trade = tuple[str, str]


def assert_the_books_agree(floor: Floor, intents: list[ApprovedIntent]) -> None:
    """Each child of an intent is at the exchange once, or ended for certain without; all books are equal."""
    rows = floor.exchange.orders_of(intents)
    tags = Counter(row["tag"] for row in rows)
    assert not [name for name, count in tags.items() if count > 1], "an order was sent twice"
    engine = book.engine_of(floor.run.config.storage.database_url)
    orders = {order.tag: order for order in book.booked_orders(engine, floor.run.run_id)}
    fills = book.booked_fills(engine, floor.run.run_id)
    lines, told_lines = book.event_count(engine, floor.run.run_id)
    engine.dispose()
    _each_child_has_one_end(floor, intents, orders, set(tags))
    assert {name: (o.order_id, o.filled_quantity) for name, o in orders.items() if o.order_id} == {
        row["tag"]: (row["order_id"], row["filled_quantity"]) for row in rows
    }
    _fills_are_the_exchanges(floor, fills, {row["order_id"] for row in rows})
    _the_log_tells_each_thing_once(floor, fills, orders, told_lines)
    assert lines >= told_lines


def _each_child_has_one_end(
    floor: Floor, intents: list[ApprovedIntent], orders: dict[str, BookedOrder], arrived: set[str]
) -> None:
    config = floor.run.config
    expected: dict[str, int] = {}
    for intent in intents:
        refused = refusal(intent, config.risk.limits(), config.broker)
        sizes = (intent.quantity,) if refused else children(intent, config.broker)
        expected |= {tag(intent.intent_id, number): size for number, size in enumerate(sizes)}
    assert {name: order.quantity for name, order in orders.items()} == expected, (
        "the journal is not the intents"
    )
    assert {order.status for order in orders.values()} <= {"filled", "cancelled", "rejected"}
    absent = {order.status for name, order in orders.items() if name not in arrived}
    assert absent <= {"rejected"}, "an order that is not at the exchange has another end than refused"


def _fills_are_the_exchanges(floor: Floor, fills: list[BookedFill], ours: set[str]) -> None:
    trades = floor.exchange.get("/admin/book")["trades"]
    theirs = {
        (t["order_id"], t["trade_id"]): (t["quantity"], t["price_paise"])
        for t in trades
        if t["order_id"] in ours
    }
    assert {(f.order_id, f.trade_id): (f.quantity, f.price_paise) for f in fills} == theirs


def _the_log_tells_each_thing_once(
    floor: Floor, fills: list[BookedFill], orders: dict[str, BookedOrder], told_lines: int
) -> None:
    """Under its number; repetitions of a number are the same words. The last word of an intent is its sum."""
    by_seq: dict[int, OrderUpdated | Filled] = {}
    for event in floor.session():
        assert by_seq.setdefault(event.seq, event) == event, "one number, two stories"
    assert sorted(by_seq) == list(range(told_lines)), "a number is missing on the session topic"
    told = [by_seq[seq] for seq in sorted(by_seq)]
    told_fills = [(e.order_id, e.trade_id, e.quantity) for e in told if isinstance(e, Filled)]
    assert sorted(told_fills) == sorted((f.order_id, f.trade_id, f.quantity) for f in fills)
    last = {event.intent_id: event for event in told if isinstance(event, OrderUpdated)}
    filled: Counter[str] = Counter()
    for order in orders.values():
        filled[order.intent_id] += order.filled_quantity
    assert {name: event.filled_quantity for name, event in last.items()} == filled
    assert all(event.status.terminal for event in last.values())


def assert_foreign_orders_are_told_once(floor: Floor, order_ids: list[str]) -> None:
    """Each foreign order: one alarm, each state once, each trade once; all as the exchange has them."""
    findings = [e for e in floor.read(SESSION.name) if e.source == FINDINGS]
    by_seq: dict[int, AnyEvent] = {}
    for event in (msgspec.structs.replace(each, emitted_at=0) for each in findings):
        assert by_seq.setdefault(event.seq, event) == event, "one number, two findings"
    assert sorted(by_seq) == list(range(len(by_seq))), "a finding's number is missing"
    told = [by_seq[seq] for seq in sorted(by_seq)]
    alarmed = Counter(e.subject for e in told if isinstance(e, Alarmed) and e.kind == "foreign_order")
    assert {name: alarmed[name] for name in order_ids} == dict.fromkeys(order_ids, 1)
    states = [
        (e.order_id, e.status, e.filled_quantity, e.venue_status)
        for e in told
        if isinstance(e, ForeignOrderUpdated)
    ]
    assert len(states) == len(set(states)), "a state was told again"
    book = floor.exchange.get("/admin/book")
    wanted = set(order_ids)
    last = {order_id: (filled, word) for order_id, _, filled, word in states if order_id in wanted}
    rows = {r["order_id"]: (r["filled_quantity"], r["status"]) for r in book["orders"]}
    assert last == {name: rows[name] for name in order_ids}
    fills = [e for e in told if isinstance(e, ForeignFilled) and e.order_id in wanted]
    assert sorted((e.order_id, e.trade_id, e.quantity, e.price_paise) for e in fills) == sorted(
        (t["order_id"], t["trade_id"], t["quantity"], t["price_paise"])
        for t in book["trades"]
        if t["order_id"] in wanted
    )
