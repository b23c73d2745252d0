"""Orders at the exchange, step by step in session time: no sockets, no wall clock."""

from __future__ import annotations

import numpy as np
import pytest
from exchange_desk import BOOK, Desk
from hypothesis import given, settings
from hypothesis import strategies as st
from small_market import ALPHA, BETA, MS, OPEN, S, ist, packet

from broker_adapter.sandbox.errors import KiteError
from kitepilot.market.ticks import PACKET_DTYPE


def test_a_resting_buy_fills_at_its_own_price_when_the_asks_come_down_to_it():
    desk = Desk()
    desk.quote(OPEN, ALPHA, 500_00, **BOOK)
    order = desk.place(OPEN + S, price="499.50")
    desk.pass_to(OPEN + 2 * S)
    assert desk.statuses(order)[-1] == "OPEN"
    told = desk.quote(OPEN + 3 * S, ALPHA, 499_40, [(499_30, 10)], [(499_40, 60)])
    assert [(o.status, o.filled_quantity) for o in told] == [("OPEN", 60)]
    told = desk.quote(OPEN + 4 * S, ALPHA, 499_50, [(499_30, 10)], [(499_50, 500)])
    assert [(o.status, o.filled_quantity) for o in told] == [("COMPLETE", 100)]
    assert {trade.price_paise for trade in desk.book.trades} == {499_50}


def test_a_stop_sleeps_until_the_last_price_reaches_its_trigger():
    desk = Desk()
    desk.quote(OPEN, ALPHA, 500_00, **BOOK)
    stop = desk.place(
        OPEN + S, "SELL", order_type="SL-M", trigger_price="499.00", market_protection="-1", quantity=40
    )
    desk.pass_to(OPEN + 2 * S)
    assert desk.statuses(stop)[-1] == "TRIGGER PENDING"
    desk.quote(OPEN + 3 * S, ALPHA, 499_05, [(499_00, 100)], [(499_10, 100)])
    assert desk.statuses(stop)[-1] == "TRIGGER PENDING"
    desk.quote(OPEN + 4 * S, ALPHA, 499_00, [(498_90, 100)], [(499_05, 100)])
    assert desk.statuses(stop)[-2:] == ["OPEN", "COMPLETE"]
    assert [trade.price_paise for trade in desk.book.trades] == [498_90]


def test_a_cancel_that_arrives_after_the_fill_changes_nothing():
    desk = Desk(latency_ms=30)
    desk.quote(OPEN, ALPHA, 500_00, **BOOK)
    order = desk.place(OPEN + S, price="500.05")
    desk.exchange.cancel(order, OPEN + S)  # accepted: it may come too late, and here it does
    desk.pass_to(OPEN + 4 * S)
    assert desk.statuses(order)[-1] == "COMPLETE"
    with pytest.raises(KiteError, match="complete"):
        desk.exchange.cancel(order, OPEN + 4 * S)


def test_requests_about_one_order_do_not_overtake_each_other():
    for seed in range(20):
        desk = Desk(latency_ms=200, seed=seed)
        desk.quote(OPEN, ALPHA, 500_00, **BOOK)
        order = desk.place(OPEN + S, price="499.00")
        desk.exchange.cancel(order, OPEN + S)
        desk.pass_to(OPEN + 10 * S)
        assert desk.statuses(order)[-3:] == ["OPEN", "CANCEL PENDING", "CANCELLED"]


def test_an_order_sees_the_depth_that_left_before_it_arrived_and_not_the_next_packet():
    desk = Desk()
    early = packet(ALPHA, 500_00, [(499_95, 100)], [(500_05, 100)])
    late = packet(ALPHA, 500_00, [(499_95, 100)], [(500_00, 100)])
    order = desk.place(OPEN + 20 * MS, price="500.05", validity="IOC")
    rows = np.concatenate([early, late]).astype(PACKET_DTYPE)
    desk.exchange.advance(rows, np.array([OPEN + 10 * MS, OPEN + 30 * MS]), OPEN + 500 * MS)
    assert desk.row(order).traded_paise == 100 * 500_05


def test_nothing_trades_in_an_instrument_that_has_gone_silent():
    desk = Desk()
    desk.quote(OPEN, ALPHA, 500_00, **BOOK)
    halted = desk.place(OPEN + 61 * S, price="500.05", validity="IOC")
    desk.pass_to(OPEN + 62 * S)
    assert desk.statuses(halted)[-1] == "CANCELLED" and desk.row(halted).filled_quantity == 0


def test_one_side_without_depth_fills_nothing():
    desk = Desk()
    desk.quote(OPEN, ALPHA, 550_00, [(550_00, 100)], [])
    order = desk.place(OPEN + S, price="550.00", validity="IOC")
    desk.pass_to(OPEN + 2 * S)
    assert desk.statuses(order)[-1] == "CANCELLED"


def test_closing_auction_stocks_stop_at_a_quarter_past_three_and_others_go_on():
    desk = Desk(square_off=False)
    at = ist("15:11")
    desk.quote(at, ALPHA, 500_00, **BOOK)
    desk.quote(at, BETA, 2000_00, [(1999_90, 50)], [(2000_10, 50)])
    auction = desk.place(at + S, price="499.00", disclosed_quantity=10)
    plain = desk.place(at + S, price="1990.00", tradingsymbol="KPBETA")
    desk.pass_to(ist("15:15") + 1)
    assert desk.statuses(auction)[-1] == "CANCELLED" and desk.statuses(plain)[-1] == "OPEN"
    desk.pass_to(ist("15:30") + 1)
    assert desk.statuses(plain)[-1] == "CANCELLED"
    with pytest.raises(KiteError, match="not open"):
        desk.place(ist("15:30"), price="499.00")


def test_after_the_brokers_cutoff_positions_may_be_left_but_not_opened():
    desk = Desk()
    at = ist("15:19")
    desk.quote(at, BETA, 2000_00, [(1999_90, 500)], [(2000_10, 500)])
    desk.place(at + S, quantity=50, price="2000.10", tradingsymbol="KPBETA")
    desk.pass_to(ist("15:20"))
    assert desk.book.quantity(BETA.token) == 50
    desk.quote(ist("15:20"), BETA, 2000_00, [(1999_90, 500)], [(2000_10, 500)])
    with pytest.raises(KiteError, match="Fresh MIS"):
        desk.place(ist("15:20"), "SELL", 51, price="1999.90", tradingsymbol="KPBETA")
    desk.place(ist("15:20") + S, "SELL", 50, price="1999.90", tradingsymbol="KPBETA")
    desk.pass_to(ist("15:21"))
    assert desk.book.quantity(BETA.token) == 0


def test_an_order_with_a_time_to_live_is_cancelled_when_it_is_over():
    desk = Desk()
    desk.quote(OPEN, ALPHA, 500_00, **BOOK)
    first, second = (desk.place(OPEN + S, price="499.00", validity="TTL", validity_ttl=2) for _ in range(2))
    desk.pass_to(OPEN + 120 * S)
    assert desk.statuses(first)[-1] == "OPEN"
    desk.pass_to(OPEN + 122 * S)
    assert [desk.statuses(order)[-1] for order in (first, second)] == ["CANCELLED"] * 2


def test_the_twenty_sixth_modification_is_refused():
    desk = Desk()
    desk.quote(OPEN, ALPHA, 500_00, **BOOK)
    order = desk.place(OPEN + S, price="490.00")
    desk.pass_to(OPEN + 2 * S)
    for number in range(25):
        desk.exchange.modify(order, {"price": f"{491 + number % 5}.00"}, OPEN + (3 + number) * S)
        desk.pass_to(OPEN + (4 + number) * S)
    with pytest.raises(KiteError, match="modifications"):
        desk.exchange.modify(order, {"price": "492.00"}, OPEN + 40 * S)


def test_a_modified_row_still_shows_the_old_price_and_the_open_one_after_it_the_new():
    desk = Desk()
    desk.quote(OPEN, ALPHA, 500_00, **BOOK)
    order = desk.place(OPEN + S, price="490.00")
    desk.pass_to(OPEN + 2 * S)
    desk.exchange.modify(order, {"price": "491.00"}, OPEN + 3 * S)
    desk.pass_to(OPEN + 4 * S)
    steps = [(state.status, state.price_paise) for state in desk.book.histories[order][-4:]]
    assert steps == [
        ("MODIFY VALIDATION PENDING", 490_00),
        ("MODIFY PENDING", 490_00),
        ("MODIFIED", 490_00),
        ("OPEN", 491_00),
    ]


orders = st.lists(
    st.tuples(
        st.integers(0, 50),
        st.booleans(),
        st.integers(1, 300),
        st.integers(-6, 6),
        st.sampled_from(["DAY", "IOC"]),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(
    orders,
    st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 400)), min_size=1, max_size=25),
    st.integers(0, 1000),
    st.data(),
)
def test_the_book_adds_up_and_does_not_depend_on_how_time_was_cut(wishes, moves, seed, data):
    """Fills never exceed orders or limits, the tally equals the trades, and any cutting of time agrees."""
    rows, at, volume = [], [], 1_000
    for number, (move, traded) in enumerate(moves):
        middle, volume = 500_00 + move * 5, volume + traded
        rows.append(packet(ALPHA, middle, [(middle - 5, 80)], [(middle + 5, 80)]))
        rows[-1]["volume"] = volume
        at.append(OPEN + number * 2 * S)
    packets = np.concatenate(rows).astype(PACKET_DTYPE)
    sent_at = np.array(at)
    over = OPEN + 60 * S
    cuts = sorted(data.draw(st.lists(st.integers(OPEN + 1, over - 1), max_size=6)))

    def play(boundaries):
        desk = Desk(latency_ms=30, seed=seed)
        for second, buy, quantity, ticks, validity in wishes:
            price = f"{(500_00 + ticks * 5) / 100:.2f}"
            desk.place(OPEN + second * S, "BUY" if buy else "SELL", quantity, price=price, validity=validity)
        done = 0
        for until in [*boundaries, over]:
            upto = int(np.searchsorted(sent_at, until))
            desk.exchange.advance(packets[done:upto], sent_at[done:upto], until)
            done = upto
        return desk

    desk, other = play([]), play(cuts)
    assert desk.book.trades == other.book.trades
    assert desk.book.histories == other.book.histories
    net = sum(trade.quantity * (1 if trade.buy else -1) for trade in desk.book.trades)
    assert net == desk.book.quantity(ALPHA.token)
    for order_id, order in desk.book.orders.items():
        trades = desk.book.trades_of(order_id)
        assert sum(trade.quantity for trade in trades) == order.filled_quantity <= order.quantity
        limit = order.price_paise
        assert all(t.price_paise <= limit if t.buy else t.price_paise >= limit for t in trades)
        if order.validity == "IOC":
            assert order.terminal and order.filled_quantity + order.cancelled_quantity in (order.quantity, 0)
