"""The worked examples of the charges sheet, to the last digit, and the ledger kept fill by fill."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.events import Side
from kitepilot.orders.charges import (
    RATES,
    Charges,
    ChargesError,
    DayCharges,
    ExecutedOrder,
    brokerage,
    charges_for,
    contract_note,
    rates_on,
)

TODAY = date(2026, 11, 20)
B, S = Side.BUY, Side.SELL


def order(side: Side, quantity: int, price: str, auto: bool = False) -> ExecutedOrder:
    return ExecutedOrder(side, quantity, int(Decimal(price) * 100) * quantity, auto, token=1)


EXAMPLES = {
    "small": ([order(B, 10, "1500.00"), order(S, 10, "1512.00")], "16.01914872", "16.02", "16.24"),
    "around the cap": ([order(B, 50, "1333.30"), order(S, 50, "1334.00")], "70.86301119", "70.86", "71.18"),
    "large": ([order(B, 400, "1250.50"), order(S, 400, "1247.75")], "224.3608158", "224.37", "224.59"),
    "STT article": ([order(B, 500, "100"), order(S, 500, "105")], "54.744115", "54.75", "54.62"),
    "squared off by the broker": (
        [order(S, 200, "812.40"), order(B, 200, "818.95", auto=True)],
        "163.93815562",
        "163.94",
        "164.32",
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_worked_examples_agree_in_all_three_views(name: str) -> None:
    orders, api, two_decimals, note = EXAMPLES[name]
    charges = charges_for(orders, TODAY)
    assert charges.total / 100 == Decimal(api)
    assert charges.two_decimals().total / 100 == Decimal(two_decimals)
    assert contract_note(orders, TODAY).total / 100 == Decimal(note)


def test_components_of_the_broker_squared_off_example() -> None:
    charges = charges_for(EXAMPLES["squared off by the broker"][0], TODAY)
    rupees = [
        str(value / 100)
        for value in (charges.transaction, charges.sebi, charges.gst, charges.stt, charges.stamp)
    ]
    assert [Decimal(text) for text in rupees] == [
        Decimal(text) for text in ("10.016489", "0.32627", "18.06169662", "40.62", "4.9137")
    ]
    assert charges.auto_square_off == 5000


@pytest.mark.parametrize(
    ("leg", "rupees"),
    [
        (order(B, 10, "1500"), "6.32109"),
        (order(S, 10, "1512"), "9.69805872"),
        (order(B, 50, "1333.30"), "28.09303099"),
        (order(S, 50, "1334"), "42.7699802"),
        (order(B, 400, "1250.50"), "57.3164812"),
        (order(S, 400, "1247.75"), "167.0443346"),
        (order(B, 500, "100"), "21.0703"),
        (order(S, 500, "105"), "33.673815"),
        (order(S, 200, "812.40"), "70.29772688"),
        (order(B, 200, "818.95", auto=True), "93.64042874"),
    ],
)
def test_each_leg_alone_costs_what_the_sheet_says(leg: ExecutedOrder, rupees: str) -> None:
    assert charges_for([leg], TODAY).total / 100 == Decimal(rupees)


def test_the_rate_of_a_day_before_march_2026_is_the_old_one() -> None:
    orders = EXAMPLES["small"][0]
    assert charges_for(orders, date(2026, 2, 27)).total / 100 == Decimal("15.98360712")
    assert charges_for(orders, date(2026, 3, 1)).total / 100 == Decimal("16.01914872")


def test_a_day_before_the_table_is_refused_and_rates_are_in_order() -> None:
    with pytest.raises(ChargesError, match="2020-06-30"):
        rates_on(date(2020, 6, 30))
    assert [rates.since for rates in RATES] == sorted(rates.since for rates in RATES)


def test_brokerage_is_capped_just_above_66_666_rupees_67() -> None:
    rates = rates_on(TODAY)
    assert brokerage(rates, 6_666_666) < 2000
    assert brokerage(rates, 6_666_667) == 2000


def test_the_total_is_rounded_once_and_half_up() -> None:
    assert Charges(brokerage=Decimal("0.3"), stt=Decimal("0.2")).total_paise == 1
    assert Charges(brokerage=Decimal("0.3"), stt=Decimal("0.1999")).total_paise == 0


fills = st.lists(
    st.tuples(st.sampled_from(Side), st.lists(st.integers(1, 10**8), min_size=1, max_size=5)), max_size=12
)


@given(fills)
def test_a_ledger_kept_fill_by_fill_equals_the_day_computed_at_once(
    day: list[tuple[Side, list[int]]],
) -> None:
    rates = rates_on(TODAY)
    ledger = DayCharges()
    for side, values in day:
        before = 0
        for value in values:
            ledger = ledger.add_fill(rates, side, before, value)
            before += value
    at_once = charges_for([ExecutedOrder(side, 1, sum(values)) for side, values in day], TODAY)
    assert ledger.charges(rates) == at_once
