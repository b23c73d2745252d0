"""A trader's day over Kite's REST, spoken by the unmodified kiteconnect client."""

from __future__ import annotations

import httpx
import pytest
from small_market import ALPHA, BETA, MS, OPEN, S, SmallMarket, packet

QUIET_BOOK = {"bids": [(499_95, 100), (499_90, 200)], "asks": [(500_05, 100), (500_10, 200)]}


def open_market() -> SmallMarket:
    return SmallMarket(
        [
            (OPEN + 10 * MS, packet(ALPHA, 500_00, **QUIET_BOOK)),
            (OPEN + 10 * MS, packet(BETA, 2000_00, [(1999_90, 50)], [(2000_10, 50)])),
            (OPEN + 30 * S, packet(ALPHA, 500_00, **QUIET_BOOK)),
        ]
    )


def order(**changes):
    terms = {
        "variety": "regular",
        "exchange": "NSE",
        "tradingsymbol": "KPALPHA",
        "transaction_type": "BUY",
        "quantity": 150,
        "product": "MIS",
        "order_type": "LIMIT",
        "price": 500.10,
        "validity": "IOC",
        "tag": "ABCDEFGHIJKLMNOPQR00",
    }
    return {**terms, **changes}


@pytest.fixture
def trading(sandbox):
    """A running session, a second after the open, held there by its credit."""
    venue = sandbox(open_market())
    kite = venue.login()
    venue.start()
    venue.ack(OPEN - 19 * S)
    venue.until(lambda state: state["session_time_ns"] >= OPEN + S)
    return venue, kite


def test_an_ioc_order_takes_two_levels_and_is_complete(trading):
    venue, kite = trading
    order_id = kite.place_order(**order())
    venue.until(lambda state: state["trades"] == 2)
    (row,) = kite.orders()
    assert (row["order_id"], row["status"], row["filled_quantity"]) == (order_id, "COMPLETE", 150)
    assert row["tag"] == "ABCDEFGHIJKLMNOPQR00" and row["tag"] in row["tags"]
    assert row["average_price"] == pytest.approx((100 * 500.05 + 50 * 500.10) / 150, abs=1e-4)
    assert row["order_timestamp"].isoformat(" ") == "2026-11-20 09:15:01"
    assert [(t["quantity"], t["average_price"]) for t in kite.order_trades(order_id)] == [
        (100, 500.05),
        (50, 500.1),
    ]
    history = [state["status"] for state in kite.order_history(order_id)]
    assert history == ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "COMPLETE"]
    (position,) = kite.positions()["net"]
    assert (position["quantity"], position["product"], len(position)) == (150, "MIS", 29)


def test_what_an_ioc_order_cannot_get_is_cancelled(trading):
    venue, kite = trading
    order_id = kite.place_order(**order(quantity=500))
    venue.until(lambda state: state["trades"] == 2)
    row = kite.order_history(order_id)[-1]
    assert (row["status"], row["filled_quantity"], row["cancelled_quantity"]) == ("CANCELLED", 300, 200)


def test_our_own_fills_use_up_the_visible_depth_until_the_next_packet(trading):
    venue, kite = trading
    kite.place_order(**order(quantity=300))
    venue.until(lambda state: state["trades"] == 2)
    second = kite.place_order(**order(quantity=10))
    venue.ack(OPEN - 18 * S)
    venue.until(lambda state: state["session_time_ns"] >= OPEN + 2 * S)
    assert kite.order_history(second)[-1]["status"] == "CANCELLED"
    venue.ack(OPEN + 15 * S)
    venue.until(lambda state: state["session_time_ns"] >= OPEN + 31 * S)
    third = kite.place_order(**order(quantity=10))
    venue.until(lambda state: state["trades"] == 3)
    assert kite.order_history(third)[-1]["status"] == "COMPLETE"


def test_a_limit_order_of_the_day_rests_and_can_be_modified_and_cancelled(trading):
    venue, kite = trading
    order_id = kite.place_order(**order(price=499.00, validity="DAY"))
    venue.until(lambda _: kite.order_history(order_id)[-1]["status"] == "OPEN")
    assert kite.modify_order("regular", order_id, price=499.50) == order_id
    venue.until(lambda _: kite.order_history(order_id)[-1]["price"] == 499.5)
    assert kite.cancel_order("regular", order_id) == order_id
    venue.until(lambda _: kite.order_history(order_id)[-1]["status"] == "CANCELLED")
    row = kite.order_history(order_id)[-1]
    assert (row["filled_quantity"], row["cancelled_quantity"], row["modified"]) == (0, 150, True)


def test_a_market_order_becomes_a_limit_order_at_its_protection_price(trading):
    venue, kite = trading
    order_id = kite.place_order(
        **order(order_type="MARKET", price=None, validity="DAY", quantity=50, market_protection=-1)
    )
    venue.until(lambda state: state["trades"] == 1)
    row = kite.order_history(order_id)[-1]
    assert (row["status"], row["order_type"], row["price"]) == ("COMPLETE", "LIMIT", 505.0)
    assert row["tags"] == ["ABCDEFGHIJKLMNOPQR00", "mktp"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"order_type": "MARKET", "price": None}, "without market protection"),
        ({"price": 500.07}, "Tick size"),
        ({"price": 600.00}, "upper circuit"),
        ({"price": 400.00}, "lower circuit"),
        ({"tag": "A" * 21}, "tag"),
        ({"tag": "with-dash"}, "tag"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": 10_000_001}, "freeze"),
        ({"product": "CNC"}, "product"),
        ({"tradingsymbol": "NOSUCH"}, "does not exist"),
        ({"tradingsymbol": "KP 50"}, "cannot be traded"),
        ({"validity": "GTC"}, "validity"),
        ({"exchange": "BSE"}, "exchange"),
    ],
)
def test_an_order_that_cannot_be_is_refused_before_it_has_an_id(trading, changes, words):
    from kiteconnect.exceptions import InputException

    _venue, kite = trading
    with pytest.raises(InputException, match=words) as refusal:
        kite.place_order(**order(**changes))
    assert refusal.value.code == 400
    assert kite.orders() == []


def test_more_than_the_margin_gives_an_order_that_is_rejected(trading):
    venue, kite = trading
    order_id = kite.place_order(**order(quantity=100_200, price=500.0))
    venue.until(lambda _: kite.order_history(order_id)[-1]["status"] == "REJECTED")
    row = kite.order_history(order_id)[-1]
    assert "Margin Exceeds" in row["status_message"]
    assert row["exchange_order_id"] is None and row["exchange_timestamp"] is None


def test_the_eleventh_order_of_a_session_second_is_throttled(trading):
    from kiteconnect.exceptions import NetworkException

    _venue, kite = trading
    for _ in range(10):
        kite.place_order(**order(quantity=1))
    with pytest.raises(NetworkException) as refusal:
        kite.place_order(**order(quantity=1))
    assert refusal.value.code == 429
    assert len(kite.orders()) == 10


def test_an_order_of_the_pre_open_waits_for_the_first_quote_of_the_day(sandbox):
    venue = sandbox(open_market())
    kite = venue.login()
    order_id = kite.place_order(**order(validity="DAY"))
    venue.start()
    venue.ack(OPEN - 30 * S)
    venue.until(lambda state: state["session_time_ns"] >= OPEN - 11 * S)
    assert kite.order_history(order_id)[-1]["status"] == "OPEN"
    venue.ack(OPEN - 19 * S)
    venue.until(lambda state: state["trades"] == 2)
    assert kite.order_history(order_id)[-1]["average_price"] == pytest.approx(500.0667, abs=1e-4)


def test_no_order_without_a_token_and_none_after_the_logout(sandbox):
    from kiteconnect import KiteConnect
    from kiteconnect.exceptions import TokenException

    venue = sandbox(open_market())
    broker = venue.config.broker
    stranger = KiteConnect(broker.api_key, access_token="nonsense", root=broker.rest_url)
    with pytest.raises(TokenException):
        stranger.orders()
    kite = venue.login()
    assert kite.profile()["user_id"] == "KP0001"
    assert kite.invalidate_access_token() is True
    with pytest.raises(TokenException) as refusal:
        kite.orders()
    assert refusal.value.code == 403


def test_a_request_token_works_once_and_only_with_the_right_secret(sandbox):
    import urllib.parse

    import httpx
    from kiteconnect import KiteConnect
    from kiteconnect.exceptions import InputException, TokenException

    venue = sandbox(open_market())
    broker = venue.config.broker
    reply = httpx.get(f"{broker.rest_url}/connect/login", params={"v": 3, "api_key": broker.api_key})
    token = urllib.parse.parse_qs(urllib.parse.urlsplit(reply.headers["location"]).query)["request_token"][0]
    kite = KiteConnect(broker.api_key, root=broker.rest_url)
    with pytest.raises(InputException):
        kite.generate_session(token, "wrong secret")
    session = kite.generate_session(token, "test_secret")
    assert session["access_token"] and session["login_time"].isoformat(" ") == "2026-11-20 09:00:00"
    with pytest.raises(TokenException):
        kite.generate_session(token, "test_secret")


def test_the_client_reads_instruments_quotes_margins_and_holdings(trading):
    _venue, kite = trading
    rows = kite.instruments("NSE")
    assert [row["tradingsymbol"] for row in rows][:3] == ["KPALPHA", "KPBETA", "KP 50"]
    assert (rows[0]["tick_size"], rows[0]["segment"], rows[2]["segment"]) == (0.05, "NSE", "INDICES")
    quote = kite.quote("NSE:KPALPHA", "NSE:NOSUCH")
    assert list(quote) == ["NSE:KPALPHA"]
    assert quote["NSE:KPALPHA"]["depth"]["sell"][0] == {"price": 500.05, "quantity": 100, "orders": 1}
    assert kite.margins("equity")["net"] == 1_000_000.0
    assert kite.holdings() == []


def test_a_call_that_does_not_exist_gets_the_envelope(sandbox):
    reply = httpx.get(f"{sandbox(open_market()).config.broker.rest_url}/no/such/route")
    assert reply.status_code == 404
    assert reply.json() == {
        "status": "error",
        "message": "Route not found",
        "data": None,
        "error_type": "GeneralException",
    }
