"""Entries: what is approved, and each refusal at its limit and one past it."""

from __future__ import annotations

from typing import Any

import pytest
from desk import ALPHA, BRAVO, CHARLIE, DAY, OPEN, Desk, S, denial, intents, only_intent, parameters

from kitepilot.events import ApprovedIntent, OrderStatus, Purpose, Side, StateChanged, TradingState, Verdict
from kitepilot.market.calendar import ist_ns
from kitepilot.risk.checks import Denial


def ready(**limits: Any) -> Desk:
    desk = Desk(parameters(**limits))
    desk.mark(alpha=100_000, bravo=50_000, charlie=20_000)
    return desk


def test_an_entry_is_a_limit_ioc_at_the_touch_plus_protection_and_links_to_everything() -> None:
    desk = ready()
    verdict, intent = desk.signal()
    assert isinstance(verdict, Verdict) and isinstance(intent, ApprovedIntent)
    assert (intent.order_type, intent.validity, intent.purpose) == ("LIMIT", "IOC", Purpose.ENTRY)
    assert intent.limit_price_paise == 100_055  # ask 100_005 + 50.0025, down to the tick
    assert intent.quantity == 59 == 6_000_000 // 100_055
    assert (intent.verdict_id, intent.config_hash, intent.run_id) == (
        verdict.verdict_id,
        "c0ffee",
        verdict.run_id,
    )
    assert (intent.received_at, intent.signal_id) == (7, verdict.signal_id)
    assert all(check.passed for check in verdict.checks)
    assert [check.code for check in verdict.checks] == list(Denial)


def test_a_short_entry_goes_below_the_bid() -> None:
    desk = ready()
    assert only_intent(desk.signal(Side.SELL)).limit_price_paise == 99_950  # bid 99_995 - 49, up to the tick


def test_the_limit_never_goes_past_the_protection_between_ticks() -> None:
    desk = ready()
    desk.quote(ALPHA, 102_000, 101_995, 102_005)  # 5 bps are 51.0025 paise
    assert only_intent(desk.signal(Side.BUY)).limit_price_paise == 102_055
    desk.quote(BRAVO, 102_000, 101_995, 102_005)  # 50.9975 below 101_995
    assert only_intent(desk.signal(Side.SELL, BRAVO)).limit_price_paise == 101_945


def test_a_refusal_is_a_record_with_every_number() -> None:
    desk = ready(instrument_exposure_paise=5_000_000)
    (verdict,) = desk.signal()
    assert isinstance(verdict, Verdict)
    assert (verdict.approved, verdict.denial, verdict.intent_id) == (False, "instrument_exposure", "")
    failed = [check for check in verdict.checks if not check.passed]
    assert [(check.code, check.observed, check.limit) for check in failed] == [
        ("instrument_exposure", 59 * 100_055, 5_000_000)
    ]


VALUE = 59 * 100_055


@pytest.mark.parametrize(
    ("limit", "at", "past"),
    [
        ("instrument_exposure_paise", VALUE, VALUE - 1),
        ("gross_exposure_paise", VALUE, VALUE - 1),
    ],
)
def test_exposure_passes_at_the_limit_and_not_past_it(limit: str, at: int, past: int) -> None:
    assert denial(ready(**{limit: at}).signal()) == ""
    assert denial(ready(**{limit: past}).signal()) == limit.removesuffix("_paise")


def test_gross_exposure_counts_positions_at_the_mark_and_unfinished_entries() -> None:
    desk = ready(gross_exposure_paise=3 * 6_000_000 - 1)
    desk.enter(ALPHA)
    assert denial(desk.signal(token=BRAVO)) == ""  # working, not filled
    assert denial(desk.signal(token=CHARLIE)) == ""
    tight = ready(gross_exposure_paise=12_000_000)
    tight.enter(ALPHA)
    tight.signal(token=BRAVO)
    assert denial(tight.signal(token=CHARLIE)) == "gross_exposure"


@pytest.mark.parametrize(("open_positions", "expected"), [(2, ""), (1, "open_positions")])
def test_open_positions_count_this_order_too(open_positions: int, expected: str) -> None:
    desk = ready(open_positions=open_positions)
    desk.enter(ALPHA)
    assert denial(desk.signal(token=BRAVO)) == expected


@pytest.mark.parametrize(
    ("limit", "pause_s"), [("orders_per_second", 1), ("orders_per_minute", 60), ("orders_per_day", 0)]
)
def test_order_rates_pass_at_the_limit_and_recover_with_event_time(limit: str, pause_s: int) -> None:
    desk = ready(**{limit: 2})
    assert denial(desk.signal(token=ALPHA)) == denial(desk.signal(token=BRAVO)) == ""
    assert denial(desk.signal(token=CHARLIE)) == limit
    if pause_s:
        desk.mark(pause_s, charlie=20_000)
        assert denial(desk.signal(token=CHARLIE)) == ""


@pytest.mark.parametrize(("age_s", "expected"), [(15, ""), (15.000000001, "stale_quote")])
def test_a_quote_goes_stale_just_past_its_limit(age_s: float, expected: str) -> None:
    desk = ready()
    desk.quote(ALPHA, 100_000, 99_995, 100_005, age_s)
    assert denial(desk.signal()) == expected


@pytest.mark.parametrize(("ask", "expected"), [(101_945, ""), (101_955, "price_band")])
def test_a_limit_price_may_be_as_far_as_the_band(ask: int, expected: str) -> None:
    desk = ready(entry_protection_bps=5, spread_bps=10_000)
    desk.quote(ALPHA, 100_000, 99_995, ask)
    assert denial(desk.signal()) == expected


@pytest.mark.parametrize(
    ("last", "bid", "ask", "expected"),
    [
        (0, 0, 0, "no_quote"),
        (100_000, 99_995, 0, "no_depth"),
        (100_000, 100_010, 100_005, "crossed_quote"),
        (100_000, 100_005, 100_005, ""),
    ],
)
def test_a_quote_must_be_there_and_make_sense(last: int, bid: int, ask: int, expected: str) -> None:
    desk = ready()
    desk.quote(ALPHA, last, bid, ask)
    assert denial(desk.signal(Side.BUY)) == expected


def test_an_instrument_nobody_told_us_about_is_refused() -> None:
    assert denial(ready().signal(token=999)) == "unknown_instrument"


def test_a_notional_below_one_share_is_refused() -> None:
    desk = ready()
    desk.mark(alpha=7_000_000)
    assert denial(desk.signal()) == "order_size"


@pytest.mark.parametrize(("clock", "expected"), [("14:44:59", ""), ("14:45:00", "entry_cutoff")])
def test_no_entries_at_or_after_the_cutoff(clock: str, expected: str) -> None:
    desk = Desk(at=ist_ns(DAY, clock) - S)
    desk.mark(alpha=100_000)
    assert denial(desk.signal()) == expected


@pytest.mark.parametrize(("before_s", "expected"), [(1, "session_closed"), (0, "")])
def test_no_entries_before_the_open(before_s: int, expected: str) -> None:
    desk = Desk(at=OPEN - S - before_s * S)
    desk.mark(alpha=100_000)
    assert denial(desk.signal()) == expected


def test_one_position_or_order_per_instrument() -> None:
    desk = ready()
    intent = only_intent(desk.signal())
    assert denial(desk.signal()) == "order_working"
    desk.complete(intent)
    assert denial(desk.signal()) == "position_open"
    assert denial(desk.signal(Side.SELL)) == "position_open"


def test_an_unknown_outcome_freezes_entries_on_that_instrument_only() -> None:
    desk = ready()
    intent = only_intent(desk.signal())
    desk.update(intent, OrderStatus.UNKNOWN)
    assert denial(desk.signal()) == "outcome_unknown"
    assert denial(desk.signal(token=BRAVO)) == ""
    desk.update(intent, OrderStatus.REJECTED)
    assert denial(desk.signal()) == ""


def test_a_status_word_nobody_knows_halts_and_calls_the_owner_once() -> None:
    desk = ready()
    intent = only_intent(desk.signal())
    assert desk.update(intent, OrderStatus.ACCEPTED, word="OPEN PENDING") == []
    (said,) = desk.update(intent, OrderStatus.ACCEPTED, word="ON THE MOON")
    assert isinstance(said, StateChanged) and "ON THE MOON" in said.reason
    assert desk.update(intent, OrderStatus.ACCEPTED, word="ON THE MOON") == []
    assert denial(desk.signal(token=BRAVO)) == "trading_state"


def test_an_ioc_remainder_that_is_cancelled_frees_the_instrument_when_nothing_filled() -> None:
    desk = ready()
    desk.update(only_intent(desk.signal()), OrderStatus.CANCELLED)
    assert denial(desk.signal()) == ""


def test_a_disabled_strategy_and_a_dead_feed_open_nothing() -> None:
    desk = ready()
    desk.command("strategy_disable", "rule")
    assert denial(desk.signal()) == "strategy_disabled"
    assert denial(desk.signal(strategy="other")) == ""
    desk.command("strategy_enable", "rule")
    desk.feed("down")
    assert denial(desk.signal(token=BRAVO)) == "feed_down"
    desk.feed("up")
    assert denial(desk.signal(token=BRAVO)) == "feed_settling"
    desk.mark(5)
    assert denial(desk.signal(token=BRAVO)) == ""


@pytest.mark.parametrize(
    ("command", "state"), [("halt", TradingState.HALTED), ("reduce", TradingState.REDUCING)]
)
def test_halted_and_reducing_open_nothing_until_resumed(command: str, state: TradingState) -> None:
    desk = ready()
    desk.command(command)
    assert desk.desk.trading is state
    assert denial(desk.signal()) == "trading_state"
    desk.command("resume")
    assert denial(desk.signal()) == ""


def test_intents_are_numbered_apart_from_decisions_and_without_gaps() -> None:
    desk = ready()
    desk.signal(token=ALPHA)
    desk.signal(token=ALPHA)
    desk.signal(token=BRAVO)
    assert [intent.seq for intent in intents(desk.out)] == [0, 1]
    decisions = [event.seq for event in desk.out if event.source == "decisions"]
    assert decisions == list(range(len(decisions)))
