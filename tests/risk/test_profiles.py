"""The owner's limits at run time: which version is in force, what is refused, and what happens at once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from desk import ALPHA, BRAVO, DAY, LIMITS, Desk, S, denial, only_intent, parameters
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.events import (
    ProfileActivated,
    Purpose,
    RiskLimits,
    Sizing,
    StateChanged,
    TradingState,
    Verdict,
    encode,
)
from kitepilot.market.calendar import ist_ns
from kitepilot.risk.admission import UnusableError, admit
from kitepilot.risk.profiles import LIMITS as TABLE
from kitepilot.risk.profiles import beyond, limits_flaw, looser_than, past_configuration
from kitepilot.risk.state import load, save


def ready(**limits: Any) -> Desk:
    desk = Desk(parameters(**limits))
    desk.mark(alpha=100_000, bravo=50_000, charlie=20_000)
    return desk


def said(out: list[Any]) -> str:
    (note,) = out
    assert isinstance(note, StateChanged) and note.state is note.previous
    return note.reason


def test_a_tighter_version_denies_at_once_and_every_verdict_cites_it() -> None:
    desk = ready()
    assert said(desk.activate(2, order_quantity=58)) == "risk profile 2 in force: thin market; by owner"
    (verdict,) = [each for each in desk.signal() if isinstance(each, Verdict)]
    assert verdict.profile_version == 2
    assert not verdict.approved or verdict.quantity <= 58  # a sizing method may cut the order to it


def test_a_band_that_the_owner_narrows_never_narrows_the_last_exit() -> None:
    desk = ready()
    desk.complete(only_intent(desk.signal()))
    desk.activate(2, price_band_bps=20, exit_protection_bps=20)
    desk.now = ist_ns(DAY, "15:05") - S
    last = only_intent(desk.mark(alpha=90_000))
    assert (last.order_type, last.protection_bps) == ("MARKET", LIMITS.price_band_bps)


def test_a_version_counts_once_and_survives_a_restart() -> None:
    desk = ready()
    desk.activate(2, "same", open_positions=3)
    assert desk.activate(3, "same", open_positions=2) == []
    desk.state = load(save(desk.desk))
    assert (desk.desk.profile.version, desk.desk.limits.open_positions) == (2, 3)


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_not_above_the_one_in_force_is_refused(version: int) -> None:
    desk = ready()
    desk.activate(2, open_positions=3)
    assert said(desk.activate(version, open_positions=2)).startswith(
        f"risk profile {version} refused: version 2"
    )
    assert desk.desk.limits.open_positions == 3


def test_a_version_looser_than_the_runs_configuration_is_refused_with_both_numbers() -> None:
    started = parameters(open_positions=5)  # the run began under a tighter version than its configuration
    ceiling = msgspec.structs.replace(LIMITS, open_positions=8)
    desk = Desk(msgspec.structs.replace(started, ceiling=ceiling))
    assert "open_positions 9 (the configuration allows 8)" in said(desk.activate(2, open_positions=9))
    assert desk.desk.profile.version == 1
    assert " in force" in said(desk.activate(2, open_positions=8))


@pytest.mark.parametrize("limit", TABLE, ids=lambda each: each.name)
def test_each_limit_is_held_to_its_ceiling_in_its_own_direction(limit: Any) -> None:
    value = getattr(LIMITS, limit.field)
    tighter, looser = (value - 1, value + 1) if limit.higher_is_looser else (value + 1, value - 1)
    for number, found in ((value, ()), (tighter, ()), (looser, (limit,))):
        assert looser_than(msgspec.structs.replace(LIMITS, **{limit.field: number}), LIMITS) == found


def test_the_table_explains_every_limit_there_is() -> None:
    assert {each.field for each in TABLE} == set(RiskLimits.__struct_fields__)
    assert len({each.name for each in TABLE}) == len(TABLE)


@given(st.sampled_from(TABLE), st.sampled_from([-1, 0, float("nan"), float("inf")]))
def test_no_limit_is_below_zero_or_no_number(limit: Any, value: float) -> None:
    changed = msgspec.structs.replace(LIMITS, **{limit.field: value})
    assert bool(limits_flaw(changed)) is not (value == 0 and limit.may_be_zero)


@pytest.mark.parametrize(
    ("band", "protection", "good"),
    [(200, 200, True), (200, 201, False), (10_000, 20, True), (10_001, 20, False)],
)
def test_exit_protection_stays_within_the_band_and_the_band_within_the_whole(
    band: int, protection: int, good: bool
) -> None:
    changed = msgspec.structs.replace(LIMITS, price_band_bps=band, exit_protection_bps=protection)
    assert bool(limits_flaw(changed)) is not good


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"limits": msgspec.structs.replace(LIMITS, daily_loss_paise=-1)},
        {"sizing": Sizing(method="by_feeling", parameters={})},
    ],
)
def test_a_version_that_can_never_be_is_a_dead_letter_not_an_end_of_the_fold(change: dict[str, Any]) -> None:
    desk = ready()
    desk.activate(2)
    event = next(each for each in reversed(desk.said) if isinstance(each, ProfileActivated))
    bad = msgspec.structs.replace(event, profile=msgspec.structs.replace(event.profile, **change))
    with pytest.raises(UnusableError):
        admit(encode(bad))
    assert admit(encode(event)) == event


def test_lists_of_instruments_cannot_free_what_the_configuration_blocks() -> None:
    configured = msgspec.structs.replace(parameters().profile, allowed=("A", "B"), blocked=("X",))
    for allowed, blocked, good in (
        (("A",), ("X", "Y"), True),
        (("A", "B"), ("X",), True),
        (("A", "C"), ("X",), False),
        ((), ("X",), False),
        (("A",), (), False),
    ):
        profile = msgspec.structs.replace(configured, allowed=allowed, blocked=blocked)
        assert bool(past_configuration(profile, configured)) is not good
    assert not past_configuration(
        msgspec.structs.replace(parameters().profile, allowed=("A",)), parameters().profile
    )


def test_less_than_is_used_already_denies_entries_and_breaks_nothing() -> None:
    desk = ready()
    desk.enter(ALPHA)
    desk.enter(BRAVO)
    desk.activate(2, open_positions=1, gross_exposure_paise=1_000_000)
    assert denial(desk.signal(token=769)) != ""
    assert only_intent(desk.signal(None)).purpose is Purpose.EXIT  # and exits go out


def test_a_lower_cap_on_the_days_loss_acts_at_the_next_mark() -> None:
    desk = ready()
    desk.enter(ALPHA)
    desk.mark(alpha=99_600)
    desk.activate(2, daily_loss_paise=20_000)
    assert desk.desk.trading is TradingState.ACTIVE
    assert only_intent(desk.mark()).purpose is Purpose.SQUARE_OFF
    assert (desk.desk.trading, desk.desk.rule) == (TradingState.REDUCING, "daily_loss")


def test_what_is_beyond_is_said_in_the_owners_units() -> None:
    past = msgspec.structs.replace(LIMITS, daily_loss_paise=3_000_050, feed_settle_s=1.5)
    assert beyond(past, LIMITS) == (
        "daily_loss ₹30,000.50 (the configuration allows ₹25,000), "
        "feed_settle_s 1.5 s (the configuration allows 5 s)"
    )
