"""Places in the exchange's queues: traded volume eats what is ahead, then us; nobody jumps."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from exchange_desk import Desk
from hypothesis import given, settings
from hypothesis import strategies as st
from small_market import ALPHA, OPEN, S, packet

from broker_adapter.sandbox.matching import Level
from broker_adapter.sandbox.queueing import Place, clip, join, serve, visible_at
from kitepilot.market.ticks import PACKET_DTYPE

BIDS = [Level(499_95, 100), Level(499_90, 200), Level(499_85, 300)]


class Tape(Desk):
    """A desk whose packets carry volume."""

    volume = 1_000

    def trade(self, at: int, last: int, traded: int, bids=((499_95, 100),), asks=((500_05, 100),)):
        self.volume += traded
        row = packet(ALPHA, last, bids, asks, at)
        row["volume"] = self.volume
        return self.exchange.advance(row.astype(PACKET_DTYPE), np.array([at]), at + 1)


def test_an_order_joins_behind_what_is_visible_and_volume_eats_that_first():
    desk = Tape()
    desk.trade(OPEN, 500_00, 0)
    order = desk.place(OPEN + S, price="499.95", quantity=50)
    desk.pass_to(OPEN + 2 * S)
    assert desk.exchange.floor.place_of(order).ahead == 100
    desk.trade(OPEN + 3 * S, 499_95, 80)
    assert (desk.exchange.floor.place_of(order).ahead, desk.row(order).filled_quantity) == (20, 0)
    desk.trade(OPEN + 4 * S, 499_95, 50)
    assert desk.row(order).filled_quantity == 30
    desk.trade(OPEN + 5 * S, 500_05, 900)  # traded at the other side: nothing for us
    assert desk.row(order).filled_quantity == 30
    desk.trade(OPEN + 6 * S, 499_95, 20)
    assert desk.statuses(order)[-1] == "COMPLETE"


def test_a_trade_through_our_price_fills_us_whatever_was_ahead():
    desk = Tape()
    desk.trade(OPEN, 500_00, 0)
    order = desk.place(OPEN + S, price="499.95", quantity=50)
    desk.pass_to(OPEN + 2 * S)
    desk.trade(OPEN + 3 * S, 499_90, 30, bids=((499_90, 100),))
    assert desk.row(order).filled_quantity == 30
    desk.trade(OPEN + 4 * S, 499_90, 30, bids=((499_90, 100),))
    assert desk.statuses(order)[-1] == "COMPLETE"
    assert {trade.price_paise for trade in desk.book.trades} == {499_95}


def test_orders_ahead_that_were_cancelled_are_no_longer_waited_for():
    desk = Tape()
    desk.trade(OPEN, 500_00, 0)
    order = desk.place(OPEN + S, price="499.95", quantity=50)
    desk.pass_to(OPEN + 2 * S)
    desk.trade(OPEN + 3 * S, 500_00, 0, bids=((499_95, 10),))
    assert desk.exchange.floor.place_of(order).ahead == 10


def test_beyond_the_fifth_level_a_typical_level_is_ahead_until_the_price_is_seen():
    desk = Tape()
    desk.trade(OPEN, 500_00, 0, bids=BIDS)
    order = desk.place(OPEN + S, price="499.00", quantity=50)
    desk.pass_to(OPEN + 2 * S)
    assert desk.exchange.floor.place_of(order).ahead == 200
    desk.trade(OPEN + 3 * S, 499_10, 0, bids=[Level(499_10, 90), Level(499_00, 70)], asks=((499_20, 10),))
    assert desk.exchange.floor.place_of(order).ahead == 70


def test_a_better_price_or_more_shares_go_to_the_back_and_fewer_shares_stay():
    desk = Tape()
    desk.trade(OPEN, 500_00, 0)
    order = desk.place(OPEN + S, price="499.95", quantity=50)
    desk.pass_to(OPEN + 2 * S)
    desk.trade(OPEN + 3 * S, 499_95, 60)
    ahead = desk.exchange.floor.place_of(order).ahead
    assert ahead == 40
    desk.exchange.modify(order, {"quantity": "40"}, OPEN + 4 * S)
    desk.pass_to(OPEN + 5 * S)
    assert desk.exchange.floor.place_of(order).ahead == 40
    desk.exchange.modify(order, {"quantity": "45"}, OPEN + 6 * S)
    desk.pass_to(OPEN + 7 * S)
    assert desk.exchange.floor.place_of(order).ahead == 100


def test_hidden_shares_queue_again_when_the_disclosed_ones_have_traded():
    desk = Tape()
    desk.trade(OPEN, 500_00, 0)
    order = desk.place(OPEN + S, price="499.95", quantity=100, disclosed_quantity=20)
    desk.pass_to(OPEN + 2 * S)
    desk.trade(OPEN + 3 * S, 499_95, 150)
    assert desk.row(order).filled_quantity == 20
    assert desk.exchange.floor.place_of(order).ahead == 100


def test_what_we_took_from_a_level_is_gone_until_the_next_packet_for_resting_orders_too():
    desk = Tape()
    desk.trade(OPEN, 500_00, 0)
    first = desk.place(OPEN + S, price="499.50", quantity=50)
    second = desk.place(OPEN + S, price="499.50", quantity=50)
    desk.pass_to(OPEN + 2 * S)
    desk.trade(OPEN + 3 * S, 499_55, 0, bids=((499_40, 10),), asks=((499_50, 70),))
    assert [desk.row(order).filled_quantity for order in (first, second)] == [50, 20]


prices = st.integers(-5, 5).map(lambda ticks: 500_00 + 5 * ticks)


@st.composite
def queues(draw):
    """(places of one side by rank, their pending quantities)."""
    buy = draw(st.booleans())
    made: list[Place] = []
    for number in range(draw(st.integers(1, 6))):
        levels = [Level(500_00 + 5 * k, draw(st.integers(0, 200))) for k in range(-2, 3)]
        place = join(str(number), levels, buy, draw(prices), draw(st.integers(1, 100)), made)
        made.append(place)
    made.sort(key=lambda place: place.rank)
    return made, [place.shown + draw(st.integers(0, 50)) for place in made]


@given(queues(), prices, st.integers(0, 1_000))
@settings(max_examples=200)
def test_nobody_gets_more_than_was_traded_or_than_he_wants_and_only_at_prices_that_traded(
    queue, last, volume
):
    places, pending = queue
    given_out, after = serve(places, pending, last, volume)
    assert sum(given_out) <= volume
    for place, wanted, got, moved in zip(places, pending, given_out, after, strict=True):
        assert 0 <= got <= wanted
        assert 0 <= moved.ahead <= place.ahead
        assert replace(moved, ahead=place.ahead) == place
        if got:
            assert place.price_paise >= last if place.buy else place.price_paise <= last


@given(queues(), prices, st.integers(0, 1_000))
@settings(max_examples=200)
def test_time_priority_holds_at_each_price(queue, last, volume):
    places, pending = queue
    given_out, after = serve(places, pending, last, volume)
    rows = list(zip(places, pending, given_out, after, strict=True))
    for (one, wanted, got, moved), (two, _, other, behind) in pairwise(rows):
        if one.price_paise == two.price_paise:
            assert moved.ahead <= behind.ahead, "a later order overtook"
            beyond = last < one.price_paise if one.buy else last > one.price_paise
            full = wanted if beyond else min(wanted, one.shown)
            assert not other or got == full, "a later order was served before an earlier one"


@given(queues(), prices, st.integers(0, 500), st.integers(0, 500))
@settings(max_examples=200)
def test_shares_ahead_are_eaten_before_any_of_ours_at_the_traded_price(queue, last, volume, more):
    places, pending = queue
    given_out, _ = serve(places, pending, last, volume)
    for place, got in zip(places, given_out, strict=True):
        if place.price_paise == last and got:
            assert volume >= place.ahead + got
    assert sum(serve(places, pending, last, volume + more)[0]) >= sum(given_out)


@given(queues(), st.lists(st.tuples(prices, st.integers(0, 300)), max_size=5))
def test_a_place_never_moves_back_by_what_is_shown(queue, shown):
    levels = [Level(price, size) for price, size in shown]
    for place in queue[0]:
        clipped = clip(place, levels)
        seen = visible_at(levels, place.buy, place.price_paise)
        assert clipped.ahead == (place.ahead if seen is None else min(place.ahead, seen))


@pytest.mark.parametrize(
    ("price", "seen"), [(499_95, 100), (499_92, 0), (500_00, 0), (499_85, 300), (499_80, None)]
)
def test_what_is_visible_at_a_price(price, seen):
    assert visible_at(BIDS, True, price) == seen
