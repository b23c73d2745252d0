"""The proof of the ticks bites: a lost, doubled or altered record is found, a named gap is not."""

from __future__ import annotations

import pytest
from chaos_proofs import Bodies, missing_ticks
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.market.ticks import KIND_CLOCK, KIND_FEED, own_record

TOKENS = (101, 102, 103)
GREETING = 2 * (len(TOKENS) + 1) + 2  # the records with token 0 count as an instrument


def tick(token: int, number: int) -> bytes:
    return (token.to_bytes(4, "big") + number.to_bytes(4, "big")).ljust(184, b"x")


def market_of(seconds: int) -> Bodies:
    """Each second every instrument once, then the exchange's clock."""
    found = [own_record(KIND_FEED, 0, 0, "up")[8:]]
    for second in range(1, seconds + 1):
        found += [tick(token, second) for token in TOKENS]
        found.append(own_record(KIND_CLOCK, second * 10**9, 0)[8:])
    return found[1:]


MARKET = market_of(40)
UP = own_record(KIND_FEED, 0, 0, "up")[8:]


def resumed(before: int, after: int) -> Bodies:
    """A day whose feed broke: up to `before`, and again from `after` with the exchange's last packets."""
    greeting = [tick(token, 0) for token in TOKENS]
    return [UP, *MARKET[:before], UP, *greeting, *MARKET[after:]]


def test_an_undisturbed_day_lacks_nothing() -> None:
    assert missing_ticks([UP, *MARKET], MARKET) == ([], 0)


@given(st.integers(4, 60), st.integers(0, 60))
def test_what_a_named_gap_took_is_counted_and_no_flaw(before: int, missed: int) -> None:
    assert missing_ticks(resumed(before, before + missed), MARKET) == ([], missed)


@given(st.integers(GREETING + 1, len(MARKET) - 2), st.sampled_from(("lost", "doubled", "altered")))
def test_a_record_that_is_lost_doubled_or_altered_is_found(at: int, how: str) -> None:
    instead = {"lost": [], "doubled": [MARKET[at]] * 2, "altered": [tick(999, at)]}[how]
    flaws, _ = missing_ticks([UP, *MARKET[:at], *instead, *MARKET[at + 1 :]], MARKET)
    assert flaws


@pytest.mark.parametrize("end", [1, 7, 100])
def test_a_day_that_ends_early_is_found_unless_it_was_ended(end: int) -> None:
    day = [UP, *MARKET[:-end]]
    assert missing_ticks(day, MARKET)[0] == [f"ticks: the last {end} records of the market are missing"]
    assert missing_ticks(day, MARKET, whole=False)[0] == []
