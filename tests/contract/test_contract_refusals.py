"""TC-30 to TC-44: what is not an order, and what nobody knows."""

from __future__ import annotations

import pytest
from cases import case
from drivers import Driver, ReadRefusedError, Terms, new_tag, until
from sandbox_thread import Playing, wait

STOCK_BELIEVES = "the stock client raises the same OrderException as for a refusal"
KITEPILOT_KNOWS = "KitePilot refuses to say it; it is never sent"


def booked(driver: Driver, tag: str) -> int:
    return sum(row.tag == tag for row in driver.orders())


@case(30, "A price off the tick is refused and leaves no order")
def test_a_price_off_the_tick(driver: Driver) -> None:
    _, tag = new_tag()
    assert driver.place(Terms(price=500_07, tag=tag)).kind == "rejected"
    assert booked(driver, tag) == 0


@case(31, "A price beyond the circuit limits is refused and leaves no order")
def test_a_price_beyond_the_circuit(driver: Driver) -> None:
    _, tag = new_tag()
    assert driver.place(Terms(price=600_00, tag=tag)).kind == "rejected"
    assert driver.place(Terms(price=400_00, tag=tag)).kind == "rejected"
    assert booked(driver, tag) == 0


@case(32, "A share that does not exist is refused")
def test_a_share_that_does_not_exist(driver: Driver) -> None:
    assert driver.place(Terms(symbol="NOSUCH")).kind == "rejected"


@case(33, "No shares, and a tag that is too long, are refused")
def test_nothing_and_too_long(driver: Driver) -> None:
    assert driver.place(Terms(quantity=0)).kind == "rejected"
    assert driver.place(Terms(tag="A" * 21)).kind == "rejected"


@case(34, "A quantity above the freeze quantity is refused")
def test_above_the_freeze_quantity(driver: Driver) -> None:
    assert driver.place(Terms(quantity=10_000_001, price=490_00)).kind == "rejected"


@case(35, "A market order without protection is refused", only="stock", why=KITEPILOT_KNOWS)
def test_a_market_order_without_protection(driver: Driver) -> None:
    answer = driver._answer(  # type: ignore[attr-defined]
        lambda: driver.kite.place_order("regular", "NSE", "KPALPHA", "BUY", 1, "MIS", "MARKET")  # type: ignore[attr-defined]
    )
    assert answer.kind == "rejected" and "market protection" in answer.said


@case(36, "A dead session is told as such, for orders and for reads, and leaves no order")
def test_a_dead_session(driver: Driver, fresh: Playing) -> None:
    _, tag = new_tag()
    fresh.fault("token_expired")
    assert driver.place(Terms(tag=tag)).kind == "auth"
    with pytest.raises(ReadRefusedError):
        driver.orders()
    assert fresh.statuses(tag) == []


@case(37, "Too many requests: certainly no order, and it may be sent again")
def test_too_many_requests(driver: Driver, venue: Playing) -> None:
    _, tag = new_tag()
    venue.fault("too_many_requests", match={"tag": tag})
    assert driver.place(Terms(price=490_00, tag=tag)).kind == "throttled"
    assert booked(driver, tag) == 0
    assert driver.place(Terms(price=490_00, tag=tag)).kind == "accepted"
    assert booked(driver, tag) == 1


@case(38, "A reply that never comes is unknown, and the order is found by its tag")
def test_a_lost_reply(driver: Driver, venue: Playing) -> None:
    _, tag = new_tag()
    venue.fault("timeout_after_accept", match={"tag": tag}, parameters={"hold_s": 4.0})
    assert driver.place(Terms(price=490_00, tag=tag)).kind == "unknown"
    assert wait(lambda: booked(driver, tag), "the order is in the book") == 1


@case(
    39,
    "A 400 that says timed out proves nothing: the order goes live later",
    only="KitePilot",
    why=STOCK_BELIEVES,
)
def test_the_400_that_lies(driver: Driver, venue: Playing) -> None:
    _, tag = new_tag()
    venue.fault("timed_out_400", match={"tag": tag})
    assert driver.place(Terms(price=490_00, tag=tag)).kind == "unknown"
    wait(lambda: booked(driver, tag), "the order goes live seconds later")


@pytest.mark.parametrize("reached", ["yes", "no"])
@pytest.mark.parametrize(
    "fault",
    ["bad_gateway_502", "unavailable_503", "gateway_timeout_504", "oms_unreachable", "reset_mid_reply"],
)
@case(40, "5xx and resets are unknown, whether the order was placed or not; it is sent once")
def test_trouble_on_the_way_is_unknown(driver: Driver, venue: Playing, fault: str, reached: str) -> None:
    _, tag = new_tag()
    venue.fault(fault, match={"tag": tag}, parameters={"reached": reached})
    assert driver.place(Terms(price=490_00, tag=tag)).kind == "unknown"
    wait(lambda: len(venue.statuses(tag)) == (reached == "yes"), "as many orders as got through")


@pytest.mark.parametrize("fault", ["html_error", "no_content_type"])
@case(41, "A web page or a reply without a type is unknown")
def test_an_unreadable_reply_is_unknown(driver: Driver, venue: Playing, fault: str) -> None:
    _, tag = new_tag()
    venue.fault(fault, match={"tag": tag}, **({"parameters": {"reached": "yes"}} if "html" in fault else {}))
    assert driver.place(Terms(price=490_00, tag=tag)).kind == "unknown"
    wait(lambda: len(venue.statuses(tag)) == 1, "the order stands")


@case(42, "An address that is not registered cannot order nor cancel, but can read")
def test_an_address_that_is_not_registered(driver: Driver, fresh: Playing) -> None:
    order_id = driver.place(Terms(price=490_00)).said
    until(driver, order_id, "OPEN")
    fresh.fault("ip_refused")
    assert driver.place(Terms(price=490_00)).kind == "rejected"
    assert driver.cancel(order_id).kind == "rejected"
    assert [row.status for row in driver.orders()] == ["OPEN"]


@case(43, "Past the day's cap every order is refused, exits too, and none is sent again")
def test_past_the_days_cap(driver: Driver, fresh: Playing) -> None:
    fresh.fault("day_cap")
    answer = driver.place(Terms(price=490_00))
    assert answer.kind in ("rejected", "throttled") and "Maximum allowed order requests" in answer.said
    assert driver.orders() == []


@case(44, "An order stuck in the order system is live, and its end comes")
def test_a_stuck_order_is_live(driver: Driver, venue: Playing) -> None:
    _, tag = new_tag()
    venue.fault("stuck_order", match={"tag": tag}, parameters={"stuck_s": 20.0})
    order_id = driver.place(Terms(quantity=5, price=500_10, tag=tag)).said
    assert until(driver, order_id, "PUT ORDER REQ RECEIVED").filled == 0
    assert until(driver, order_id).status == "COMPLETE"
