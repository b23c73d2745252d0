"""What must hold of exchange, journal and log whatever was done to the gateway in between."""

from __future__ import annotations

from collections import Counter

from trading_floor import Floor

from broker_adapter.gateway.slicing import children, refusal
from infra.postgres import book
from infra.postgres.book import BookedFill, BookedOrder
from kitepilot.events import ApprovedIntent, Filled, OrderUpdated
from kitepilot.orders.intents import tag

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
