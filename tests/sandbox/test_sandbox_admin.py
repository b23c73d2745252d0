"""The admin address: pace, book, facts about instruments; and the rarer calls of Kite's REST."""

from __future__ import annotations

import pytest
from small_market import ALPHA, BETA, INDEX, MS, OPEN, SESSION, S, SmallMarket, packet

from broker_adapter.sandbox.main import API_SECRET_VARIABLE, listen, main
from kitepilot.config import Config, ConfigError
from kitepilot.run import Run


@pytest.fixture
def held(sandbox):
    """Held by its credit one second after the open, with one trade done."""
    market = SmallMarket(
        [
            (OPEN + 10 * MS, packet(ALPHA, 500_00, [(499_95, 100)], [(500_05, 100)])),
            (OPEN + 20 * MS, packet(BETA, 2000_00, [(1999_90, 50)], [(2000_10, 50)])),
        ]
    )
    venue = sandbox(market)
    kite = venue.login()
    venue.start()
    venue.ack(OPEN - 19 * S)
    venue.until(lambda state: state["session_time_ns"] >= OPEN + S)
    kite.place_order("regular", "NSE", "KPALPHA", "BUY", 10, "MIS", "LIMIT", 500.05, "IOC", tag="T00")
    venue.until(lambda state: state["trades"] == 1)
    return venue, kite


def test_the_book_carries_exact_paise_and_links_trades_to_tags(held):
    venue, _ = held
    book = venue.admin.get("/admin/book").json()
    (trade,) = book["trades"]
    assert (trade["price_paise"], trade["quantity"], trade["tag"]) == (500_05, 10, "T00")
    assert OPEN + S <= trade["traded_at_ns"] <= OPEN + 2 * S
    assert [order["status"] for order in book["orders"]] == ["COMPLETE"]
    assert [position["quantity"] for position in book["positions"]] == [10]


def test_the_instruments_say_who_has_a_closing_auction(held):
    venue, _ = held
    listed = {row["token"]: row for row in venue.admin.get("/admin/instruments").json()}
    assert listed[ALPHA.token]["closing_auction"] and not listed[BETA.token]["closing_auction"]
    assert listed[ALPHA.token]["previous_close_paise"] == 500_00
    assert listed[INDEX.token]["segment"] == "INDICES"


def test_the_pace_can_be_changed_and_nonsense_is_refused_with_a_reason(held):
    venue, _ = held
    assert venue.admin.post("/admin/speed", json={"speed": 60}).json() == {"speed": 60.0}
    assert venue.state()["speed"] == 60.0
    for path, body in (
        ("/admin/speed", {"speed": -1}),
        ("/admin/speed", {"speed": "fast"}),
        ("/admin/speed", {"pace": 1}),
        ("/admin/ack", {"session_time_ns": "soon"}),
        ("/admin/ack", {}),
    ):
        reply = venue.admin.post(path, json=body)
        assert reply.status_code == 400 and reply.json()["error"], (path, body)


def test_an_older_ack_takes_no_credit_back(held):
    venue, _ = held
    venue.ack(OPEN)
    venue.ack(SESSION.pre_open_at)
    state = venue.until(lambda state: state["session_time_ns"] >= OPEN + 20 * S)
    assert state["session_time_ns"] <= OPEN + 20 * S + 500 * MS


def test_trades_prices_and_margins_of_a_held_position(held):
    _, kite = held
    assert [trade["average_price"] for trade in kite.trades()] == [500.05]
    assert kite.ltp(["NSE:KPALPHA"]) == {
        "NSE:KPALPHA": {"instrument_token": ALPHA.token, "last_price": 500.0}
    }
    margins = kite.margins()["equity"]
    assert margins["net"] == pytest.approx(1_000_000 - 0.5 - 1000)  # 10 x 0.05 down, a fifth of 5,000 held


@pytest.mark.parametrize(
    "call",
    [
        lambda kite: kite.margins("currency"),
        lambda kite: kite.instruments("LSE"),
        lambda kite: kite.quote([]),
        lambda kite: kite.place_order("co", "NSE", "KPALPHA", "BUY", 1, "MIS", "LIMIT", 500.0),
        lambda kite: kite.place_order("regular", "NSE", "KPALPHA", "BUY", 1, "MIS", "LIMIT", "nan"),
        lambda kite: kite.place_order("regular", "NSE", "KPALPHA", "BUY", 1, "MIS", "LIMIT", 500.0, "TTL"),
        lambda kite: kite.place_order(
            "regular", "NSE", "KPALPHA", "BUY", 1, "MIS", "MARKET", market_protection=101
        ),
    ],
)
def test_what_the_sandbox_does_not_have_is_an_input_error(held, call):
    from kiteconnect.exceptions import InputException

    _, kite = held
    with pytest.raises(InputException):
        call(kite)


def test_an_order_id_nobody_gave_is_not_found(held):
    from kiteconnect.exceptions import OrderException

    _, kite = held
    for call in (
        kite.order_history,
        kite.order_trades,
        lambda order_id: kite.cancel_order("regular", order_id),
    ):
        with pytest.raises(OrderException, match="1234"):
            call("1234")


def test_the_process_says_which_variable_or_address_is_wrong(tmp_path, monkeypatch):
    monkeypatch.delenv(API_SECRET_VARIABLE, raising=False)
    with pytest.raises(ConfigError, match=API_SECRET_VARIABLE):
        main(Run("paper-20261120-0001", tmp_path, Config()))
    for url in ("http://0.0.0.0:18210", "http://127.0.0.1"):
        with pytest.raises(ConfigError, match="loopback"):
            listen(url)
