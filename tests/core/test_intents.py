"""Derived names: the same for the same thing, different for different things, fit for Kite's tag."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.events import Purpose
from kitepilot.orders.intents import (
    intent_id,
    is_ours,
    parse_tag,
    parse_watchdog_tag,
    signal_id,
    tag,
    verdict_id,
    watchdog_intent_id,
    watchdog_tag,
)

whole = st.integers(0, 2**63)
intents = st.builds(
    intent_id, st.text(max_size=20), st.text(max_size=20), whole, whole, whole, st.sampled_from(Purpose)
)


@given(intents, st.integers(0, 99))
def test_a_tag_fits_kite_and_reads_back(intent: str, slice_number: int) -> None:
    text = tag(intent, slice_number)
    assert len(text) == 20 and set(text) <= set(string.ascii_uppercase + string.digits)
    assert parse_tag(text) == (intent, slice_number)


def test_ids_are_stable_across_releases() -> None:
    close = 1_795_146_360_000_000_000
    made = intent_id("paper-20261120-0001", "vwap_reversion", 408065, close, 7, Purpose.ENTRY)
    assert made == "DGGUTZR5RKZUEU7ENQ"
    assert signal_id("vwap_reversion", 408065, 60, close) == "R6DNQS2SUHK2APA2PZ"


def test_every_part_of_an_intent_matters() -> None:
    one = ("run", "a", 1, 2, 3, Purpose.ENTRY)
    others = ("run 2", "b", 2, 3, 4, Purpose.EXIT)
    parts = [one, *((*one[:at], other, *one[at + 1 :]) for at, other in enumerate(others))]
    assert len({intent_id(*each) for each in parts}) == len(parts)
    assert verdict_id("run", 1) != verdict_id("run", 2)


@pytest.mark.parametrize(
    ("intent", "slice_number"), [("short", 0), ("A" * 18, 100), ("A" * 18, -1), ("a" * 18, 0)]
)
def test_no_tag_is_made_from_something_else(intent: str, slice_number: int) -> None:
    with pytest.raises(ValueError, match="no tag"):
        tag(intent, slice_number)


@pytest.mark.parametrize("text", ["", "mktp:2.00", "A" * 20, "A" * 18 + "0", "A" * 18 + "001"])
def test_tags_of_others_are_not_ours(text: str) -> None:
    assert parse_tag(text) is None


@given(st.text(), st.integers(0, 2**32), st.integers(0, 2**63), st.integers(0, 1000), st.integers(0, 99))
def test_an_order_of_the_watchdog_is_ours_and_is_never_taken_for_one_of_the_decisions(
    run: str, token: int, raised_at: int, attempt: int, number: int
) -> None:
    name = watchdog_intent_id(run, token, raised_at, attempt)
    text = watchdog_tag(name, number)
    assert len(text) == 20 and text.isalnum() and text.isascii()
    assert parse_watchdog_tag(text) == (name, number) and is_ours(text)
    assert parse_tag(text) is None
    with pytest.raises(ValueError, match="18 base32"):
        tag(name, number)
    ours = tag(intent_id(run, "s", token, raised_at, attempt, Purpose.EXIT), number)
    assert parse_watchdog_tag(ours) is None and is_ours(ours)
