"""Trades that end: which of them lost, the streak they make, and the pause that follows."""

from __future__ import annotations

from typing import Any

import pytest
from desk import ALPHA, BRAVO, Desk, denial, only_intent, parameters

from kitepilot.events import OrderStatus, Side, StateChanged
from kitepilot.risk.state import load, save

BREAK_EVEN = 100_110  # 59 shares: charges of both legs are about 106 paise a share


def ready(**limits: Any) -> Desk:
    desk = Desk(parameters(**limits))
    desk.mark(alpha=100_000, bravo=50_000, charlie=20_000)
    return desk


def trade(desk: Desk, exit_price: int, side: Side = Side.BUY) -> None:
    """One trade from flat to flat, in at 1000 rupees."""
    desk.mark(1, alpha=100_000)
    intent = only_intent(desk.signal(side))
    desk.complete(intent, 100_000)
    desk.complete(only_intent(desk.signal(None)), exit_price)


def test_a_trade_that_does_not_earn_its_charges_has_lost() -> None:
    desk = ready(loss_streak=5)
    trade(desk, BREAK_EVEN - 50)
    assert desk.desk.streak == 1
    trade(desk, BREAK_EVEN)
    assert desk.desk.streak == 0
    trade(desk, 100_050, Side.SELL)
    assert desk.desk.streak == 1
    trade(desk, 99_800, Side.SELL)
    assert desk.desk.streak == 0


def test_the_streaks_last_loser_pauses_entries_for_its_time_and_the_count_begins_anew() -> None:
    desk = ready(loss_streak=2, loss_pause_s=300)
    trade(desk, 99_900)
    assert (desk.desk.streak, desk.desk.paused_until) == (1, 0)
    trade(desk, 99_900)
    assert (desk.desk.streak, desk.desk.paused_until) == (0, desk.now + 300 * 10**9)
    assert isinstance(desk.out[-1], StateChanged) and "2 trades lost in a row" in desk.out[-1].reason
    assert denial(desk.signal(token=BRAVO)) == "loss_streak"
    desk.mark(299, bravo=50_000)
    assert denial(desk.signal(token=BRAVO)) == "loss_streak"
    desk.mark(1, bravo=50_000)
    assert denial(desk.signal(token=BRAVO)) == ""


def test_a_trade_in_parts_is_one_trade() -> None:
    desk = ready(loss_streak=5)
    entry = only_intent(desk.signal())
    desk.fill(entry, 20, 100_000)
    desk.fill(entry, 39, 100_010)
    desk.update(entry, OrderStatus.FILLED, 59)
    leaving = only_intent(desk.signal(None))
    desk.fill(leaving, 30, 99_000)
    assert desk.desk.streak == 0
    desk.fill(leaving, 29, 99_000)
    assert desk.desk.streak == 1


def test_a_trade_closed_by_a_foreign_order_counts() -> None:
    desk = ready(loss_streak=5)
    desk.enter()
    desk.foreign_fill(Side.SELL, 59, 99_000)
    assert desk.desk.streak == 1


def test_a_fill_that_turns_the_position_ends_one_trade_and_begins_the_next() -> None:
    desk = ready(loss_streak=5)
    entry = only_intent(desk.signal())
    desk.complete(entry, 100_000)
    leaving = only_intent(desk.signal(None))
    desk.fill(leaving, 80, 101_000)  # 59 were held: a winner, and 21 short
    assert desk.desk.streak == 0
    holding = desk.desk.holdings[ALPHA]
    assert holding.ledger.sold_paise == 21 * 101_000
    assert holding.realised_before_paise == desk.desk.position(ALPHA).realised_paise == 59 * 1_000


def test_entries_are_counted_when_approved_whatever_becomes_of_them() -> None:
    desk = ready()
    desk.update(only_intent(desk.signal()), OrderStatus.CANCELLED)
    desk.mark(1, alpha=100_000)
    desk.enter()
    desk.complete(only_intent(desk.signal(None)))
    assert (desk.desk.trades, desk.desk.trades_on) == (2, {ALPHA: 2})


@pytest.mark.parametrize("streak", [1, 2])
def test_a_streak_goes_on_after_a_restart(streak: int) -> None:
    desk = ready(loss_streak=3)
    for _ in range(streak):
        trade(desk, 99_900)
    desk.state = load(save(desk.desk))
    for _ in range(3 - streak):
        trade(desk, 99_900)
    assert desk.desk.paused_until > desk.now
