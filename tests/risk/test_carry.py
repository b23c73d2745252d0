"""A live day's second run begins with what the first one used up: no restart gives the day a fresh cap."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from desk import Desk, parameters
from hypothesis import given, settings
from hypothesis import strategies as st
from test_histories import LIMITS, Exchange, histories

from kitepilot.events import ApprovedIntent, Carried, Filled, ForeignFilled, Side
from kitepilot.risk.carry import EarlierIntent, carried
from kitepilot.risk.exposure import loss_paise


def booked(desk: Desk) -> Iterator[EarlierIntent]:
    """The first run's intents as the book of record keeps them."""
    for each in desk.out:
        if isinstance(each, ApprovedIntent):
            yield EarlierIntent(
                intent_id=each.intent_id,
                token=each.token,
                side=each.side,
                purpose=each.purpose,
                strategy=each.strategy,
                quantity=each.quantity,
                limit_price_paise=each.limit_price_paise,
            )


def again(desk: Desk) -> Carried:
    fills = [each for each in desk.said if isinstance(each, Filled | ForeignFilled)]
    return carried(parameters(**LIMITS), booked(desk), reversed(fills))


@given(histories, st.data())
@settings(max_examples=80, deadline=None)
def test_the_next_run_begins_with_the_loss_orders_entries_and_streak_of_the_first(
    history: list[tuple[str, int]], data: st.DataObject
) -> None:
    first = Exchange()
    for action, number in history:
        first.desk.now += 10**9  # each fill has a time of its own
        first.play(action, number)
    for token in [token for token, position in first.desk.desk.positions.items() if position.quantity]:
        held = first.desk.desk.position(token)  # closed by hand between the runs
        first.desk.now += 10**9
        side = Side.SELL if held.quantity > 0 else Side.BUY
        price = data.draw(st.integers(15_000, 110_000))
        first.desk.foreign_fill(side, abs(held.quantity), price, token=token)
    ended, used = first.desk.desk, again(first.desk)
    second = Desk(msgspec.structs.replace(parameters(**LIMITS), carried=used)).desk
    assert loss_paise(second) == loss_paise(ended)
    assert (second.trades, second.trades_on) == (ended.trades, ended.trades_on)
    assert second.rate.in_day == ended.orders
    assert second.streak == ended.streak
    assert second.peak_paise >= 0


def test_a_day_without_earlier_runs_begins_at_nothing() -> None:
    assert carried(parameters(), [], []) == Carried()


def test_the_best_of_the_day_and_a_pause_are_carried_over() -> None:
    desk = Desk(parameters(loss_streak=1, loss_pause_s=600))
    desk.mark(alpha=100_000)
    for price in (101_000, 99_900):
        desk.mark(1, alpha=100_000)
        desk.complete(*desk_signal(desk), 100_000)
        desk.complete(*desk_signal(desk, leave=True), price)
        desk.now += 10**9
    fills = [each for each in desk.said if isinstance(each, Filled)]
    used = carried(parameters(loss_streak=1, loss_pause_s=600), booked(desk), fills)
    assert 50_000 < used.peak_paise < 59_000
    assert used.paused_until >= fills[-1].filled_at + 600 * 10**9


def desk_signal(desk: Desk, *, leave: bool = False) -> list[ApprovedIntent]:
    out = desk.signal(None) if leave else desk.signal()
    return [each for each in out if isinstance(each, ApprovedIntent)]
