"""Compiled charges and the ledger's own come to the same paisa, whatever was traded and whenever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kitepilot.events import Side
from kitepilot.orders.charges import RATES, DayCharges, ExecutedOrder, Rates, charges_for
from research.sweep.charge_units import NANO, brokerage_nano, charge_units, charges_nano, to_paise

orders = st.tuples(st.sampled_from(list(Side)), st.integers(1, 10**10), st.booleans())


@given(st.sampled_from(RATES), st.lists(orders, max_size=30))
def test_a_day_counted_in_whole_numbers_is_the_ledgers_day_to_the_paisa(
    rates: Rates, traded: list[tuple[Side, int, bool]]
) -> None:
    units = charge_units(rates).array()
    value = {side: sum(paise for each, paise, _ in traded if each is side) for side in Side}
    nano = charges_nano(
        units,
        value[Side.BUY],
        value[Side.SELL],
        sum(brokerage_nano(units, paise) for _, paise, _ in traded),
        sum(broker for _, _, broker in traded),
    )
    ledger = charges_for(
        (ExecutedOrder(side, 1, paise, broker) for side, paise, broker in traded), rates.since
    )
    assert to_paise(nano) == ledger.total_paise
    assert nano == ledger.total * NANO


@given(st.sampled_from(RATES), st.lists(st.integers(1, 10**8), min_size=1, max_size=8))
def test_an_order_that_fills_in_parts_pays_one_brokerage(rates: Rates, parts: list[int]) -> None:
    units = charge_units(rates).array()
    ledger, before = DayCharges(), 0
    for part in parts:
        ledger, before = ledger.add_fill(rates, Side.BUY, before, part), before + part
    nano = charges_nano(units, before, 0, brokerage_nano(units, before), 0)
    assert to_paise(nano) == ledger.charges(rates).total_paise
