"""TC-01 to TC-24: orders from request to end."""

from __future__ import annotations

from cases import case
from drivers import Driver, Terms, new_tag, row_of, until
from lively_market import BETA, THIN
from sandbox_thread import Playing, wait

NO_STOPS = "KitePilot sends no stop orders"
NO_TTL = "KitePilot sends IOC and DAY"


def accepted(driver: Driver, terms: Terms) -> str:
    answer = driver.place(terms)
    assert answer.kind == "accepted", answer
    return answer.said


@case(1, "An accepted order has an id that is text and stands in the book at once")
def test_an_accepted_order_is_in_the_book(driver: Driver) -> None:
    order_id = accepted(driver, Terms(price=490_00))
    assert isinstance(order_id, str) and order_id
    assert row_of(driver, order_id).quantity == 10


@case(2, "An order is found by its tag alone")
def test_an_order_is_found_by_its_tag(driver: Driver) -> None:
    _, tag = new_tag()
    order_id = accepted(driver, Terms(price=490_00, tag=tag))
    assert [row.order_id for row in driver.orders() if row.tag == tag] == [order_id]


@case(3, "A limit order through the touch fills at the prices it meets, never worse than its limit")
def test_a_limit_order_fills_at_the_prices_it_meets(driver: Driver) -> None:
    order_id = accepted(driver, Terms(quantity=5, price=500_10))
    assert (until(driver, order_id).status, row_of(driver, order_id).filled) == ("COMPLETE", 5)
    assert all(price <= 500_10 for _, _, price in driver.trades(order_id))


@case(4, "An order larger than one level fills in parts whose average the book shows")
def test_an_order_takes_several_levels(driver: Driver) -> None:
    order_id = accepted(driver, Terms(quantity=250, price=500_10, validity="IOC"))
    row = until(driver, order_id)
    trades = driver.trades(order_id)
    assert len(trades) >= 2 and sum(quantity for _, quantity, _ in trades) == row.filled
    exact = sum(quantity * price for _, quantity, price in trades) / row.filled
    assert abs(row.average - exact) <= 1


@case(5, "What an IOC order cannot get at once is cancelled, what it got stays")
def test_the_rest_of_an_ioc_order_is_cancelled(driver: Driver) -> None:
    order_id = accepted(driver, Terms(quantity=1000, price=500_10, validity="IOC"))
    row = until(driver, order_id)
    assert row.status == "CANCELLED" and 0 < row.filled < 1000


@case(6, "An IOC order away from the touch ends cancelled and unfilled")
def test_an_ioc_order_away_from_the_touch_gets_nothing(driver: Driver) -> None:
    order_id = accepted(driver, Terms(price=490_00, validity="IOC"))
    row = until(driver, order_id)
    assert (row.status, row.filled, driver.trades(order_id)) == ("CANCELLED", 0, [])


@case(7, "A limit order of the day fills when the price comes to it, at its own price or better")
def test_a_resting_order_fills_when_the_price_comes(driver: Driver) -> None:
    order_id = accepted(driver, Terms("SELL", 5, 2003_00, symbol=BETA.tradingsymbol))
    assert until(driver, order_id).status == "COMPLETE"
    assert all(price >= 2003_00 for _, _, price in driver.trades(order_id))


@case(8, "A resting order is cancelled on request and its end is CANCELLED")
def test_a_resting_order_can_be_cancelled(driver: Driver) -> None:
    order_id = accepted(driver, Terms(price=490_00))
    until(driver, order_id, "OPEN")
    assert driver.cancel(order_id).kind == "accepted"
    assert (until(driver, order_id).status, row_of(driver, order_id).filled) == ("CANCELLED", 0)


@case(9, "A resting order whose price is moved to the touch fills")
def test_a_modified_order_fills_at_its_new_price(driver: Driver) -> None:
    order_id = accepted(driver, Terms(quantity=5, price=490_00))
    until(driver, order_id, "OPEN")
    assert driver.modify(order_id, 500_10).kind == "accepted"
    assert until(driver, order_id).status == "COMPLETE"


@case(10, "A cancel of an order that has ended is refused and changes nothing")
def test_an_ended_order_cannot_be_cancelled(driver: Driver) -> None:
    order_id = accepted(driver, Terms(quantity=5, price=500_10))
    until(driver, order_id)
    assert driver.cancel(order_id).kind == "rejected"
    assert row_of(driver, order_id).status == "COMPLETE"


@case(11, "A change of an order that never was is refused")
def test_an_unknown_order_cannot_be_changed(driver: Driver) -> None:
    assert driver.cancel("999999999999999999").kind == "rejected"
    assert driver.modify("999999999999999999", 500_00).kind == "rejected"


@case(12, "A market order with automatic protection fills, within the protection")
def test_a_market_order_fills_within_its_protection(driver: Driver) -> None:
    order_id = accepted(driver, Terms(quantity=5, order_type="MARKET"))
    assert until(driver, order_id).status == "COMPLETE"
    assert all(price <= 505_00 for _, _, price in driver.trades(order_id))


@case(13, "A market order with its own protection in percent is taken")
def test_a_market_order_with_its_own_protection(driver: Driver) -> None:
    order_id = accepted(driver, Terms("SELL", 5, order_type="MARKET", protection_bps=150))
    assert until(driver, order_id).status == "COMPLETE"
    assert all(price >= 492_50 for _, _, price in driver.trades(order_id))


@case(14, "What a protected market order cannot get rests as a limit order")
def test_the_rest_of_a_protected_market_order_rests(driver: Driver) -> None:
    terms = Terms(quantity=500, order_type="MARKET", symbol=THIN.tradingsymbol, protection_bps=100)
    order_id = accepted(driver, terms)
    row = wait(lambda: r if (r := row_of(driver, order_id)).filled > 0 else None, "the first ten fill")
    assert (row.status, row.filled < 500) == ("OPEN", True)
    driver.cancel(order_id)
    assert until(driver, order_id).status == "CANCELLED"


@case(15, "The history of an order shows its states in order, from the request to the end")
def test_the_history_of_an_order(driver: Driver) -> None:
    order_id = accepted(driver, Terms(quantity=5, price=500_10))
    until(driver, order_id)
    history = driver.history(order_id)
    assert history[0] == "PUT ORDER REQ RECEIVED" and history[-1] == "COMPLETE"
    assert history.index("VALIDATION PENDING") < history.index("OPEN PENDING")


@case(16, "Trades of the day are those of the orders, each once")
def test_the_days_trades_are_those_of_the_orders(driver: Driver) -> None:
    order_id = accepted(driver, Terms(quantity=5, price=500_10))
    until(driver, order_id)
    whole = [trade for trade in driver.trades() if trade[0] == order_id]
    assert whole == driver.trades(order_id) != []


@case(17, "A position is what was bought less what was sold, short below zero, and stays when flat")
def test_positions_are_bought_less_sold(driver: Driver, fresh: Playing) -> None:
    for side, quantity, position in (("BUY", 7, 7), ("SELL", 12, -5), ("BUY", 5, 0)):
        price = 500_10 if side == "BUY" else 499_90
        until(driver, accepted(driver, Terms(side, quantity, price)))
        assert driver.positions() == {"KPALPHA": position}


@case(18, "An order uses funds while it rests and gives them back when it ends")
def test_a_resting_order_uses_funds(driver: Driver, fresh: Playing) -> None:
    available, used = driver.funds()
    order_id = accepted(driver, Terms(quantity=100, price=490_00))
    until(driver, order_id, "OPEN")
    less, more = driver.funds()
    assert available - less == more - used > 0
    driver.cancel(order_id)
    until(driver, order_id)
    assert driver.funds() == (available, used)


@case(19, "A stop order waits for its trigger and then fills", only="stock", why=NO_STOPS)
def test_a_stop_order_waits_for_its_trigger(driver: Driver) -> None:
    terms = Terms("BUY", 5, 2006_00, "SL", symbol=BETA.tradingsymbol, trigger=2004_00)
    order_id = accepted(driver, terms)
    until(driver, order_id)
    assert "TRIGGER PENDING" in driver.history(order_id)
    assert row_of(driver, order_id).status == "COMPLETE"


@case(20, "A stop-market order with protection triggers and fills", only="stock", why=NO_STOPS)
def test_a_stop_market_order_triggers(driver: Driver) -> None:
    terms = Terms("BUY", 5, 0, "SL-M", symbol=BETA.tradingsymbol, trigger=2004_00)
    order_id = accepted(driver, terms)
    assert until(driver, order_id).status == "COMPLETE"


@case(21, "A stop far from the market stays TRIGGER PENDING until cancelled", only="stock", why=NO_STOPS)
def test_a_stop_far_away_can_be_cancelled(driver: Driver) -> None:
    terms = Terms("BUY", 5, 2101_00, "SL", symbol=BETA.tradingsymbol, trigger=2100_00)
    order_id = accepted(driver, terms)
    assert until(driver, order_id, "TRIGGER PENDING").filled == 0
    assert driver.cancel(order_id).kind == "accepted"
    assert until(driver, order_id).status == "CANCELLED"


@case(22, "An order with a time to live ends by itself after its minutes", only="stock", why=NO_TTL)
def test_an_order_with_a_time_to_live_ends(driver: Driver, venue: Playing) -> None:
    began = venue.now()
    order_id = accepted(driver, Terms(price=490_00, validity="TTL", ttl=1))
    assert until(driver, order_id).status == "CANCELLED"
    assert venue.now() - began >= 59 * 10**9


@case(23, "An order that the broker's risk system refuses has an id and ends REJECTED with the reason")
def test_too_little_margin_is_a_rejection_with_an_id(driver: Driver) -> None:
    order_id = accepted(driver, Terms(quantity=100_000, price=490_00))
    row = until(driver, order_id)
    assert (row.status, row.filled) == ("REJECTED", 0)
    assert "Margin" in row.message


@case(24, "A rejected, a cancelled and a complete order stay what they are")
def test_an_end_is_an_end(driver: Driver) -> None:
    ends = {
        accepted(driver, Terms(quantity=100_000, price=490_00)): "REJECTED",
        accepted(driver, Terms(price=490_00, validity="IOC")): "CANCELLED",
        accepted(driver, Terms(quantity=5, price=500_10)): "COMPLETE",
    }
    for order_id, end in ends.items():
        assert until(driver, order_id).status == end
        assert driver.modify(order_id, 500_00).kind == "rejected"
    assert {i: row_of(driver, i).status for i in ends} == ends
