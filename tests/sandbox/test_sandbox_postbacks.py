"""HTTP postbacks: what is posted, what is not, and that nobody waits for a receiver."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from small_market import ALPHA, DAY, MS, OPEN, S, SmallMarket, packet

from broker_adapter.sandbox.book import Book
from broker_adapter.sandbox.main import Venue
from broker_adapter.sandbox.matching import Execution
from broker_adapter.sandbox.orders import Order, OrderRequest
from broker_adapter.sandbox.postbacks import MAX_WAITING, Postbacks, postback_body
from kitepilot.config import ConfigError

SECRET, ORDER_ID = "test_secret", "1953341975595868160"
KITE_S_FIELDS = """
    user_id unfilled_quantity app_id checksum placed_by order_id exchange_order_id parent_order_id status
    status_message status_message_raw order_timestamp exchange_update_timestamp exchange_timestamp variety
    exchange tradingsymbol instrument_token order_type transaction_type validity product quantity
    disclosed_quantity price trigger_price average_price filled_quantity pending_quantity
    cancelled_quantity market_protection meta tag guid
"""


class Receiver:
    """Somebody else's web server: keeps what it is sent, answers when told to."""

    def __init__(self, status: int = 200) -> None:
        self.bodies: list[dict[str, object]] = []
        self.came, self.may_answer = threading.Condition(), threading.Event()
        self.may_answer.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.came:
                    receiver.bodies.append(json.loads(body))
                    receiver.came.notify_all()
                receiver.may_answer.wait(30)
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/postback"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def until(self, count: int) -> list[dict[str, object]]:
        with self.came:
            assert self.came.wait_for(lambda: len(self.bodies) >= count, 20), self.bodies
        return self.bodies

    def close(self) -> None:
        self.may_answer.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    there = Receiver()
    yield there
    there.close()


def an_order(**changes: object) -> Order:
    """A complete order of ten shares."""
    request = OrderRequest(ALPHA.token, "KPALPHA", True, 10, "LIMIT", 500_05, 0, "DAY", 0, 0, 0, "TAG00")
    book = Book(DAY, 7)
    order = book.accept(book.open(ORDER_ID, replace(request, **changes), OPEN), OPEN + MS)
    return book.fill(order, [Execution(500_05, 10)], OPEN + 2 * MS)


async def told_and_posted(postbacks: Postbacks, orders: list[Order]) -> None:
    sender = asyncio.create_task(postbacks.run())
    postbacks.tell(orders)
    while postbacks.posted + postbacks.failed + postbacks.dropped < len(orders):
        await asyncio.sleep(0.01)
    sender.cancel()


def test_a_postback_has_kite_s_fields_and_a_checksum_of_id_time_and_secret():
    body = json.loads(postback_body(an_order(), SECRET))
    assert set(body) >= set(KITE_S_FIELDS.split()) and not {"tags", "modified"} & set(body)
    assert (body["status"], body["tag"], body["unfilled_quantity"]) == ("COMPLETE", "TAG00", 0)
    signed = body["order_id"] + "2026-11-20 09:15:00" + SECRET
    assert body["checksum"] == hashlib.sha256(signed.encode()).hexdigest()


def test_the_broker_s_own_square_off_is_not_posted(receiver):
    postbacks = Postbacks(receiver.url, SECRET)
    asyncio.run(told_and_posted(postbacks, [an_order()]))
    postbacks.tell([an_order(placed_by="RMS")])
    asyncio.run(told_and_posted(postbacks, []))
    assert [body["placed_by"] for body in receiver.bodies] == ["KP0001"]


def test_a_receiver_that_hangs_costs_its_postback_and_nothing_else(receiver):
    receiver.may_answer.clear()
    postbacks = Postbacks(receiver.url, SECRET, timeout_s=0.2)
    asyncio.run(told_and_posted(postbacks, [an_order(), an_order()]))
    assert (postbacks.posted, postbacks.failed) == (0, 2)
    assert len(receiver.bodies) == 2  # each was tried once


def test_a_receiver_that_is_not_there_is_counted():
    gone = Receiver()
    gone.close()
    postbacks = Postbacks(gone.url, SECRET)
    asyncio.run(told_and_posted(postbacks, [an_order()]))
    assert (postbacks.posted, postbacks.failed) == (0, 1)


@pytest.mark.parametrize(("orders", "dropped"), [(MAX_WAITING, 0), (MAX_WAITING + 1, 1)])
def test_the_queue_is_bounded_and_drops_the_oldest(orders, dropped):
    postbacks = Postbacks("http://127.0.0.1:9/never", SECRET)
    postbacks.tell([an_order()] * orders)
    assert postbacks.dropped == dropped


def test_a_postback_url_must_be_a_web_address():
    with pytest.raises(ConfigError, match="ftp://there"):
        Postbacks("ftp://there", SECRET)


def test_a_day_s_orders_are_posted_as_they_end(sandbox, receiver):
    market = SmallMarket([(OPEN + 10 * MS, packet(ALPHA, 500_00, [(499_95, 100)], [(500_05, 100)]))])
    venue = sandbox(market, venue=Venue(SECRET, latency_mean_ms=0.0, postback_url=receiver.url))
    kite = venue.login()
    venue.start()
    venue.ack(OPEN - 19 * S)
    venue.until(lambda state: state["session_time_ns"] >= OPEN + S)
    terms = ("regular", "NSE", "KPALPHA", "BUY")
    taken = kite.place_order(*terms, 60, "MIS", "LIMIT", 500.05, "DAY", tag="TAKES")
    rests = kite.place_order(*terms, 60, "MIS", "LIMIT", 499.00, "DAY", tag="RESTS")
    venue.until(lambda state: state["trades"] == 1)
    kite.modify_order("regular", rests, price=499.05)
    kite.cancel_order("regular", rests)
    told = [(body["order_id"], body["status"]) for body in receiver.until(3)]
    assert told == [(taken, "COMPLETE"), (rests, "UPDATE"), (rests, "CANCELLED")]
