"""The broker's square-off and the closing auction, on dates before and after the auction came."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from exchange_desk import BOOK, Desk
from small_market import ALPHA, BETA, S, ist, packet

from broker_adapter.sandbox import rows
from broker_adapter.sandbox.errors import KiteError
from broker_adapter.sandbox.hours import Hours
from kitepilot.market import calendar
from kitepilot.market.calendar import ist_ns
from kitepilot.market.ticks import PACKET_DTYPE

MINUTE = 60 * S


def holding(*, square_off: bool = True) -> Desk:
    """Long 40 of ALPHA since 15:05, with a sell order that rests far away."""
    desk = Desk(square_off=square_off)
    at = ist("15:05")
    desk.quote(at, ALPHA, 500_00, **BOOK)
    desk.place(at + S, quantity=40, price="500.05")
    desk.place(at + S, "SELL", 40, price="520.00")
    desk.pass_to(at + 2 * S)
    assert desk.book.quantity(ALPHA.token) == 40
    return desk


def test_the_broker_cancels_and_closes_at_its_cutoff_and_tells_nobody():
    desk = holding()
    desk.quote(ist("15:12"), ALPHA, 500_00, [(499_95, 100)], [(500_05, 100)])
    told = desk.pass_to(ist("15:13") + S)
    user, broker = list(desk.book.orders.values())[1:]
    assert (user.status, broker.status) == ("CANCELLED", "COMPLETE")
    assert [order.order_id for order in told] == [user.order_id]
    assert desk.book.quantity(ALPHA.token) == 0
    row = rows.order_row(broker)
    assert (row["placed_by"], row["tag"], row["transaction_type"], row["quantity"]) == (
        "RMS",
        None,
        "SELL",
        40,
    )


def test_what_the_market_does_not_take_is_tried_again_every_minute():
    desk = holding()
    desk.quote(ist("15:12"), ALPHA, 500_00, [(499_95, 15)], [(500_05, 100)])
    desk.pass_to(ist("15:13") + S)
    assert desk.book.quantity(ALPHA.token) == 25
    desk.quote(ist("15:13") + 30 * S, ALPHA, 480_00, [(479_95, 100)], [(480_05, 100)])
    desk.pass_to(ist("15:14") + S)
    assert desk.book.quantity(ALPHA.token) == 0
    brokers = [order for order in desk.book.orders.values() if order.by_broker]
    assert [order.status for order in brokers] == ["CANCELLED", "COMPLETE"]


def test_nothing_trades_between_the_end_of_continuous_trading_and_the_auction():
    desk = holding(square_off=False)
    at = ist("15:14")
    desk.quote(at, ALPHA, 500_00, **BOOK)
    order = desk.place(at + S, "SELL", 40, price="505.00")
    desk.pass_to(ist("15:15") + S)
    assert desk.statuses(order)[-1] == "OPEN"
    before = len(desk.book.trades)
    desk.quote(ist("15:16"), ALPHA, 506_00, [(506_00, 500)], [(506_05, 500)])
    early = desk.place(ist("15:17"), "SELL", 40, price="499.00")
    desk.pass_to(ist("15:18"))
    assert len(desk.book.trades) == before
    assert desk.statuses(early)[-1] == "REJECTED"


def test_the_auction_trades_at_the_volume_weighted_price_of_the_last_quarter_of_an_hour():
    desk = holding(square_off=False)
    for clock, last, average, volume in (("15:14", 501_00, 500_00, 3_000),):
        row = packet(ALPHA, last, [(500_95, 10)], [(501_05, 10)], ist(clock))
        row["average_price"], row["volume"] = average, volume
        desk.exchange.advance(row.astype(PACKET_DTYPE), np.array([ist(clock)]), ist(clock) + 1)
    desk.pass_to(ist("15:20"))

    reference = desk.exchange._auction.reference_paise(ALPHA.token)
    good = desk.place(ist("15:21"), "SELL", 10, price=f"{reference / 100:.2f}")
    dear = desk.place(ist("15:21"), "SELL", 10, price=f"{(reference + 5) / 100:.2f}")
    stop = desk.place(ist("15:21"), "SELL", 10, order_type="SL", price="499.00", trigger_price="499.50")
    late = desk.place(ist("15:26"), "SELL", 10, order_type="MARKET", market_protection="-1")
    desk.pass_to(ist("15:30") + S)
    ends = [desk.statuses(order)[-1] for order in (good, dear, stop, late)]
    assert ends == ["COMPLETE", "CANCELLED", "REJECTED", "REJECTED"]
    assert desk.book.trades_of(good)[0].price_paise == reference


def test_the_reference_price_is_the_quarter_hours_value_over_its_volume():
    desk = Desk(square_off=False)

    def packet_at(clock: str, last: int, average: int, volume: int) -> None:
        at = ist(clock)
        row = packet(ALPHA, last, [(499_95, 10)], [(500_05, 10)], at)
        row["average_price"], row["volume"] = average, volume
        desk.exchange.advance(row.astype(PACKET_DTYPE), np.array([at]), at + 1)

    packet_at("14:59", 500_00, 500_00, 1_000)
    packet_at("15:14", 510_00, 505_00, 2_000)  # so 1,000 shares at 510.00 since
    desk.pass_to(ist("15:15") + 1)
    assert desk.exchange._auction.reference_paise(ALPHA.token) == 510_00


def test_other_stocks_trade_on_and_are_closed_by_the_broker_later():
    desk = Desk()
    at = ist("15:16")
    desk.quote(at, BETA, 2000_00, [(1999_90, 500)], [(2000_10, 500)])
    desk.place(at + S, quantity=50, price="2000.10", tradingsymbol="KPBETA")
    desk.pass_to(ist("15:20"))
    desk.quote(ist("15:21"), BETA, 2000_00, [(1999_90, 500)], [(2000_10, 500)])
    with pytest.raises(KiteError, match="Fresh MIS"):
        desk.place(ist("15:21"), quantity=1, price="2000.10", tradingsymbol="KPBETA")
    assert desk.book.quantity(BETA.token) == 50
    desk.pass_to(ist("15:22") + S)
    assert desk.book.quantity(BETA.token) == 0


@pytest.mark.parametrize(
    ("day", "auction", "fresh", "closes"),
    [
        (date(2026, 7, 31), True, "15:20", "15:22"),
        (date(2026, 8, 3), True, "15:12", "15:13"),
        (date(2026, 8, 3), False, "15:20", "15:22"),
    ],
)
def test_the_cutoffs_are_dated_and_differ_by_class(day, auction, fresh, closes):
    hours = Hours(calendar.session(day))
    assert (hours.fresh_until(auction), hours.square_off_at(auction)) == (
        ist_ns(day, fresh),
        ist_ns(day, closes),
    )


def test_before_august_2026_every_stock_trades_until_half_past_three():
    hours = Hours(calendar.session(date(2026, 7, 31)))
    at = ist_ns(date(2026, 7, 31), "15:29")
    assert {hours.phase(auction, at) for auction in (True, False)} == {"continuous"}
    assert not hours.has_auction


def test_margin_depends_on_the_instrument_and_reducing_costs_nothing():
    desk = holding(square_off=False)
    rms = desk.exchange.rms
    assert rms.leverage(ALPHA.token) == Decimal(5)
    assert rms.required_margin(ALPHA.token, True, 10, 500_00) == 10 * 500_00 // 5
    assert rms.required_margin(ALPHA.token, False, 40, 500_00) == 0
    assert rms.required_margin(ALPHA.token, False, 50, 500_00) == 10 * 500_00 // 5
    assert rms.leverage(BETA.token) in (Decimal(5), Decimal(4), Decimal("2.5"))
