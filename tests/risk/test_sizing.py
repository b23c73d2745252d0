"""How large an entry is: every method gives whole lots that no check on size refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import pytest
from desk import ALPHA, DAY, RUN, Desk, parameters
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot import config
from kitepilot.events import FundsMarked, Side, Sizing, Verdict
from kitepilot.orders.charges import rates_on
from kitepilot.risk.checks import Denial
from kitepilot.risk.sizing import Entry, SizingError, fit, flaw, method_of
from kitepilot.risk.sizing.methods import METHODS
from kitepilot.risk.trade_risk import trade_risk_paise

CRORE = 10**9  # paise
GIVEN: dict[str, dict[str, int]] = {
    "fixed_notional": {"notional_paise": 6_000_000},
    "fixed_quantity": {"shares": 40},
    "fixed_fractional": {"capital_paise": 100_000_000, "risk_bps": 25},
    "volatility_target": {"capital_paise": 100_000_000, "target_bps": 10},
    "fractional_kelly": {"capital_paise": 100_000_000, "win_rate_bps": 5_500, "payoff_bps": 12_000},
}
#: A share of 1,000 rupees that usually goes 10 bps a minute, left after 4 minutes or 50 bps against us.
ENTRY = Entry(price_paise=100_000, stop_bps=50, horizon_s=240, minute_move_milli_bps=10_000)
OF_SIZE = (
    Denial.ORDER_QUANTITY,
    Denial.FREEZE_QUANTITY,
    Denial.VOLUME_SHARE,
    Denial.ORDER_VALUE,
    Denial.TRADE_RISK,
    Denial.MARGIN,
)


def shares(name: str, entry: Entry = ENTRY, **more: int) -> int:
    return method_of(Sizing(method=name, parameters=GIVEN[name] | more)).shares(entry)


def test_every_built_in_method_has_an_example_here() -> None:
    assert set(GIVEN) == set(METHODS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fixed_notional", 60),
        ("fixed_quantity", 40),
        ("fixed_fractional", 500),  # 2,500 rupees at 5 rupees a share
        ("volatility_target", 500),  # 1,000 rupees at 2 rupees a share: 10 bps, four minutes, twice as far
        ("fractional_kelly", 1_000),  # Kelly 17.5 %, a quarter is 4.4 %, capped at 0.5 %: 5,000 rupees
    ],
)
def test_what_each_method_gives_for_the_same_signal(name: str, expected: int) -> None:
    assert shares(name) == expected


def test_a_wider_stop_a_livelier_share_and_a_smaller_edge_buy_less() -> None:
    wider = altered(ENTRY, stop_bps=100)
    assert shares("fixed_fractional", wider) == 250
    assert shares("fractional_kelly", wider) == 500
    assert shares("volatility_target", altered(ENTRY, minute_move_milli_bps=20_000)) == 250
    assert shares("fractional_kelly", win_rate_bps=4_000) == 0  # no edge
    assert shares("volatility_target", altered(ENTRY, minute_move_milli_bps=0)) == 0  # warming up


def altered(entry: Entry, **fields: int) -> Entry:
    return replace(entry, **fields)


@pytest.mark.parametrize(
    ("method", "given_parameters", "word"),
    [
        ("fixed_notinal", {}, "did you mean `fixed_notional`?"),
        ("fixed_fractional", {"capital_rupees": 10, "risk_bp": 1}, "did you mean `risk_bps`?"),
        ("fixed_fractional", {"risk_bps": 10}, "capital_rupees: fixed_fractional needs it"),
        ("fixed_quantity", {"shares": 0}, "outside 1..10000000"),
    ],
)
def test_a_wrong_method_or_parameter_is_named_with_the_nearest_one(
    method: str, given_parameters: dict[str, int], word: str
) -> None:
    with pytest.raises(config.ConfigError, match=r"risk\.sizing") as refused:
        config.build({"risk": {"sizing": {"method": method, "parameters": given_parameters}}})
    assert word in str(refused.value)


def test_the_configuration_speaks_rupees_and_the_profile_paise() -> None:
    built = config.build(
        {"risk": {"sizing": {"method": "fixed_fractional", "parameters": {"capital_rupees": 500_000}}}}
    )
    assert built.risk.profile().sizing.parameters == {"capital_paise": 50_000_000}
    assert config.Config().risk.profile().sizing == Sizing(
        method="fixed_notional", parameters={"notional_paise": 6_000_000}
    )


def test_a_sizing_that_cannot_be_made_is_told_and_not_raised() -> None:
    assert flaw(Sizing(method="fixed_quantity", parameters={"shares": 1})) == ""
    bad = Sizing(method="nonsense", parameters={})
    assert "nonsense" in flaw(bad)
    with pytest.raises(SizingError):
        method_of(bad)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(GIVEN)),
    price=st.integers(100, 5_000_000),
    stop_bps=st.integers(0, 400),
    move=st.floats(0.5, 300, allow_nan=False),
    limits=st.fixed_dictionaries(
        {
            "order_value_paise": st.integers(10_000, CRORE),
            "order_quantity": st.integers(1, 100_000),
            "trade_risk_paise": st.integers(2_000, 10_000_000),
            "volume_share_bps": st.integers(1, 10_000),
            "spread_bps": st.just(10_000),
            "price_band_bps": st.just(10_000),
        }
    ),
    terms=st.fixed_dictionaries(
        {
            "lot_size": st.sampled_from([1, 1, 5, 75]),
            "freeze_quantity": st.sampled_from([0, 7, 20_000]),
            "average_volume": st.sampled_from([0, 999, 10**7]),
            "margin_bps": st.sampled_from([2_000, 2_500, 10_000]),
        }
    ),
    funds=st.integers(1_000_000, CRORE),
    side=st.sampled_from(Side),
)
def test_what_sizing_gives_is_in_whole_lots_and_passes_every_check_on_size(
    name: str,
    price: int,
    stop_bps: int,
    move: float,
    limits: dict[str, Any],
    terms: dict[str, int],
    funds: int,
    side: Side,
) -> None:
    base = parameters(**limits)
    profile = msgspec.structs.replace(base.profile, sizing=Sizing(method=name, parameters=GIVEN[name]))
    listed = tuple(msgspec.structs.replace(each, **terms) for each in base.instruments)
    desk = Desk(msgspec.structs.replace(base, profile=profile, instruments=listed))
    desk.say(FundsMarked(**desk.head("gateway.facts"), run_id=RUN, available_paise=funds, used_paise=0))
    desk.mark(alpha=price // 5 * 5)
    said = desk.signal(side, ALPHA, stop_bps=stop_bps, features={"vol_300s": move})
    (verdict,) = [each for each in said if isinstance(each, Verdict)]
    failed = {check.code for check in verdict.checks if not check.passed}
    assert verdict.quantity >= 0 and verdict.quantity % terms["lot_size"] == 0
    assert not failed & set(OF_SIZE), failed
    assert (Denial.ORDER_SIZE in failed) == (verdict.quantity == 0)


@settings(max_examples=100, deadline=None)
@given(price=st.integers(100, 1_000_000), stop_bps=st.integers(1, 200), most=st.integers(3_000, 1_000_000))
def test_the_largest_bearable_order_is_found_one_more_share_would_lose_too_much(
    price: int, stop_bps: int, most: int
) -> None:
    base = parameters(trade_risk_paise=most, order_value_paise=10**12, order_quantity=10**9)
    limits, rates = base.profile.limits, rates_on(date.fromisoformat(f"{DAY}"))
    found = fit(
        10**9,
        price_paise=price,
        stop_bps=stop_bps,
        terms=base.instruments[0],
        limits=limits,
        rates=rates,
        room_paise=None,
    )
    assert trade_risk_paise(rates, found * price, stop_bps, limits) <= most
    assert trade_risk_paise(rates, (found + 1) * price, stop_bps, limits) > most
