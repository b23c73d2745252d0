"""Rupees are written so that they can be read back, in groups that Indians use."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kitepilot.money import rupees


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_what_is_written_is_the_amount_to_the_paisa(paise: int) -> None:
    written = rupees(paise)
    whole, fraction = written.replace(",", "").split(".")
    assert int(whole + fraction) == paise


@given(st.integers(min_value=0, max_value=10**15))
def test_groups_are_thousands_then_lakhs_and_crores(paise: int) -> None:
    *lakhs, thousands = rupees(paise, 0).split(",")
    assert 1 <= len(thousands) <= 3 and (len(thousands) == 3 or not lakhs)
    assert all(len(group) == 2 for group in lakhs[1:]) and all(1 <= len(group) <= 2 for group in lakhs[:1])


def test_nothing_is_never_written_as_minus_nothing() -> None:
    assert rupees(-4, 0) == "0" and rupees(0) == "0.00" and rupees(-1) == "-0.01"
    assert rupees(10_000_000_00) == "1,00,00,000.00"
