"""Another profile over the entries of a day: what it refuses is what it would have refused then."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from desk import BRAVO, LIMITS, Desk, intents, parameters
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.events import DecisionParameters, RiskProfile, Side, Verdict
from kitepilot.risk.checks import ENTRY_CHECKS
from kitepilot.risk.profiles import LIMITS as TABLE
from kitepilot.risk.what_if import COMPARED, UNCOMPARED, again, preview

#: A limit and values around what the entry of `verdict_under` meets; none that the sizing cuts an order to.
VALUES: dict[str, list[float]] = {
    "daily_loss_paise": [10_000, 36_000, 100_000, 2_500_000],
    "drawdown_paise": [1, 100, 2_500_000],
    "instrument_exposure_paise": [5_000_000, 6_000_000, 15_000_000],
    "gross_exposure_paise": [5_000_000, 7_000_000, 200_000_000],
    "net_exposure_paise": [5_000_000, 7_000_000, 200_000_000],
    "sector_exposure_paise": [5_000_000, 200_000_000],
    "open_positions": [1, 2, 20],
    "orders_per_second": [1, 8],
    "orders_per_minute": [1, 200],
    "orders_per_day": [1, 2, 3_000],
    "trades_per_day": [1, 2, 1_500],
    "trades_per_instrument": [1, 200],
    "price_band_bps": [1, 4, 20, 200],
    "stale_quote_s": [0.5, 2.0, 15.0],
    "spread_bps": [1, 50],
    "clock_skew_ms": [1, 2_000],
    "circuit_distance_bps": [10, 50, 400],
    "feed_settle_s": [1.0, 5.0, 50.0],
    "model_age_s": [1.0, 180.0],
}
CUT: dict[str, list[int]] = {
    "trade_risk_paise": [15_000, 30_000],
    "order_value_paise": [2_000_000, 5_900_000],
    "order_quantity": [10, 58],
}
SOME = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()})


def verdict_under(started: DecisionParameters) -> Verdict:
    """An entry in ALPHA on a quote one second old while BRAVO is held, as the fold judges it."""
    desk = Desk(msgspec.structs.replace(started, profile=parameters().profile))
    desk.mark(alpha=100_000, bravo=50_000)
    (bought,) = intents(desk.signal(side=Side.BUY, token=BRAVO))
    desk.fill(bought)
    desk.mark(bravo=50_010)
    desk.desk.profile = started.profile
    (found,) = [each for each in desk.signal(side=Side.BUY) if isinstance(each, Verdict)]
    return found


def under(**limits: Any) -> RiskProfile:
    return parameters(**limits).profile


@given(given_=SOME, wanted=SOME)
def test_the_preview_says_what_the_fold_would_have_said(
    given_: dict[str, float], wanted: dict[str, float]
) -> None:
    """The desk stands the same under both: no sizing method here looks at a limit but those left out."""
    told = again(verdict_under(parameters(**given_)), under(**given_), under(**wanted))
    truth = verdict_under(parameters(**wanted))
    assert told.would_be == truth.denial
    if told.would_be:
        (check,) = [each for each in truth.checks if each.code == told.would_be]
        assert (told.observed, told.limit) == (check.observed, pytest.approx(check.limit, abs=1))


@pytest.mark.parametrize(("limit", "value"), [(name, value) for name in CUT for value in CUT[name]])
def test_a_limit_that_the_sizing_keeps_to_makes_the_order_smaller(limit: str, value: int) -> None:
    asked, truth = verdict_under(parameters()), verdict_under(parameters(**{limit: value}))
    told = again(asked, under(), under(**{limit: value}))
    assert truth.approved
    assert truth.quantity < asked.quantity
    assert (told.would_be, told.smaller, told.limit) == ("", limit.removesuffix("_paise"), value)


def test_a_blocked_instrument_is_refused_and_so_is_one_that_is_not_on_the_list() -> None:
    verdict, present = verdict_under(parameters()), under()
    blocked = msgspec.structs.replace(present, blocked=(verdict.tradingsymbol,))
    named = msgspec.structs.replace(present, allowed=("BRAVO",))
    assert again(verdict, present, blocked).would_be == "blocked"
    assert again(verdict, present, named).would_be == "not_allowed"
    assert not again(verdict, present, present).would_be


def test_a_preview_counts_what_is_refused_cut_and_let_through() -> None:
    verdicts = [verdict_under(parameters()), verdict_under(parameters(open_positions=1))]
    same = preview(verdicts[:1], under(), under())
    assert (same.judged, same.refused, same.smaller, same.let_through, same.otherwise) == (1, (), (), (), 0)
    tighter = preview(verdicts[:1], under(), under(open_positions=1))
    assert [each.would_be for each in tighter.refused] == ["open_positions"]
    looser = preview(verdicts[1:], under(open_positions=1), under())
    assert [each.was for each in looser.let_through] == ["open_positions"]


def test_every_limit_is_compared_again_or_said_to_be_left_out() -> None:
    fields = {each.field for each in TABLE}
    assert (
        set(COMPARED.values()) | {f"{name}" for name in fields if name.removesuffix("_paise") in UNCOMPARED}
        == fields
    )
    assert set(VALUES) <= set(COMPARED.values())
    assert {each.code for each in ENTRY_CHECKS} >= COMPARED.keys()
    assert set(LIMITS.__struct_fields__) == fields
