"""Where two tellings of a day part, and that the parts are the whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import small_day
from hypothesis import given
from hypothesis import strategies as st
from small_day import DAY

from kitepilot.market.calendar import ist_ns
from kitepilot.orders import charges
from kitepilot.risk import exits
from research.account import Account
from research.attribution import (
    CHARGES,
    CODE,
    DATA,
    FILL_PRICE,
    PARTS,
    TIMING,
    Attribution,
    Comparison,
    Step,
    compare,
)
from research.ticks import Beat
from research.venue import Pace

PACE = Pace(exchange_ms=0)
S = 1_000_000_000


def compared(kept: small_day.Kept, pace: Pace = PACE) -> Comparison:
    return compare(small_day.day(), kept.recorded, small_day.pipeline, pace, small_day.beats)


def moved(found: Comparison) -> set[str]:
    """The parts that are not zero, charges aside: they follow any other trade."""
    attribution = found.attribution
    parts = attribution.parts()
    assert sum(parts.values()) == attribution.total_paise
    assert sum(pair.difference_paise for pair in attribution.pairs()) == (
        attribution.steps[-1].account.gross_paise - attribution.steps[0].account.gross_paise
    )
    return {name for name, paise in parts.items() if paise and name != CHARGES}


def test_a_day_told_twice_the_same_has_no_difference_in_any_part() -> None:
    kept, result = small_day.traded(PACE)
    assert result.fills
    found = compared(kept)
    assert found.attribution.parts() == dict.fromkeys(PARTS, 0)
    assert found.replayed_equal
    assert found.ticks.differences == ()
    assert {pair.where for pair in found.attribution.pairs()} == {"both"}


def test_ticks_that_were_lost_on_the_way_are_a_difference_of_data_alone() -> None:
    first, last = ist_ns(DAY, "09:18") // S, ist_ns(DAY, "09:21") // S
    lost = [(one.token, first, last) for one in small_day.FEED.instruments]
    sent = [message for beat in small_day.beats() for message in beat.messages]
    kept, _ = small_day.traded(PACE, small_day.without(sent, lost))
    found = compared(kept)
    assert moved(found) == {DATA}
    assert all(each.only_left == 0 and each.only_right > 0 for each in found.ticks.differences)
    assert {each.token for each in found.ticks.differences} == {token for token, _, _ in lost}


def test_orders_that_arrive_later_than_modelled_are_a_difference_of_timing_alone() -> None:
    kept, _ = small_day.traded(Pace(fixed_ms=1_400, exchange_ms=0))
    assert moved(compared(kept)) == {TIMING}


def test_a_worse_price_of_the_same_trade_is_a_difference_of_fill_price_alone() -> None:
    kept, _ = small_day.traded(PACE, worse_paise=1)
    found = compared(kept)
    assert moved(found) == {FILL_PRICE}
    replayed, modelled = found.attribution.steps[1:3]
    assert len(replayed.trips) == len(modelled.trips)
    shares = sum(fill.quantity for fill in kept.recorded.fills)
    assert found.attribution.parts()[FILL_PRICE] == shares


def test_other_rates_are_a_difference_of_charges_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as then:
        dearer = [replace(rates, sebi=rates.sebi * 2) for rates in charges.RATES]
        then.setattr(charges, "RATES", tuple(dearer))
        kept, result = small_day.traded(PACE)
    found = compared(kept)
    assert moved(found) == set()
    assert found.attribution.parts()[CHARGES] == result.account.charges_paise - (
        found.attribution.steps[-1].account.charges_paise
    )
    assert found.attribution.total_paise > 0


def test_decisions_that_todays_code_makes_otherwise_are_a_difference_of_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    today = exits.why_leave

    def hasty(*given: Any) -> Any:
        """Positions used to be left twenty seconds sooner."""
        *rest, now = given
        return today(*rest, now + 20 * S)

    with monkeypatch.context() as then:
        then.setattr(exits, "why_leave", hasty)
        kept, _ = small_day.traded(PACE)
    found = compared(kept)
    assert moved(found) == {CODE}
    assert not found.replayed_equal


def test_without_another_telling_the_recorded_ticks_are_the_data() -> None:
    kept, _ = small_day.traded(Pace(fixed_ms=1_400, exchange_ms=0))

    def no_other() -> Iterable[Beat]:
        raise AssertionError("nobody asked for another telling")

    found = compare(small_day.day(), kept.recorded, small_day.pipeline, PACE)
    assert found.attribution.parts()[DATA] == 0
    assert found.attribution.steps[-1].name == "backtest"
    assert found.ticks.right is None


accounts = st.builds(Account, st.integers(-(10**9), 10**9), st.integers(0, 10**7))
later_steps = st.lists(st.tuples(st.sampled_from([CODE, FILL_PRICE, TIMING, DATA]), accounts), min_size=1)


@given(accounts, later_steps)
def test_the_parts_are_the_whole_whatever_the_steps_came_to(
    first: Account, later: list[tuple[str, Account]]
) -> None:
    steps = [Step("recorded", "", first, (), ()), *(Step("x", part, a, (), ()) for part, a in later)]
    attribution = Attribution(tuple(steps))
    assert sum(attribution.parts().values()) == later[-1][1].net_paise - first.net_paise
