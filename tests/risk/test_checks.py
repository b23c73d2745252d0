"""Every check at its limit and one past it: one scene for each denial code, none may be missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from desk import ALPHA, BRAVO, CHARLIE, DAY, OPEN, RUN, Desk, S, denial, intents, parameters

from kitepilot.events import (
    BandsMarked,
    Check,
    ClockMeasured,
    DecisionParameters,
    FundsMarked,
    ModelJudged,
    OrderStatus,
    RunStarted,
    Side,
    SignalRaised,
    Verdict,
)
from kitepilot.market.calendar import ist_ns
from kitepilot.risk.checks import ENTRY_CHECKS, Denial
from kitepilot.risk.checks.account import FUNDS_AGE_S
from kitepilot.risk.checks.instrument import MAX_UNKNOWN
from kitepilot.risk.checks.quote import HALTED_AFTER_S
from kitepilot.risk.entries import propose

Scene = Callable[[int], Check]
SCENES: dict[Denial, Scene] = {}


def scene(code: Denial) -> Callable[[Callable[[int], tuple[Desk, dict[str, Any]]]], None]:
    """A scene plays to the limit (0) or one past it (1), and gives a desk and the signal to judge there."""

    def keep(play: Callable[[int], tuple[Desk, dict[str, Any]]]) -> None:
        def told(past: int) -> Check:
            desk, fields = play(past)
            return verdict_of(desk, code, **fields)

        SCENES[code] = told

    return keep


def verdict_of(desk: Desk, code: Denial, **fields: Any) -> Check:
    (verdict,) = [each for each in desk.signal(**fields) if isinstance(each, Verdict)]
    (found,) = [each for each in verdict.checks if each.code == code]
    assert found.passed or verdict.denial, "a failed check refuses"
    return found


def altered(limits: dict[str, Any] | None = None, **terms: Any) -> DecisionParameters:
    """The desk's parameters with other facts about every instrument."""
    base = parameters(**(limits or {}))
    listed = tuple(msgspec.structs.replace(each, **terms) for each in base.instruments)
    return msgspec.structs.replace(base, instruments=listed)


def ready(started: DecisionParameters | None = None, *, live: bool = False, at: int = OPEN + 60 * S) -> Desk:
    desk = Desk(started, at)
    if live:
        desk.state, desk.seqs = None, {}
        head = desk.head("runner")
        desk.say(
            RunStarted(
                **head, run_id=RUN, mode="live", config_hash="c0ffee", parameters=started or parameters()
            )
        )
    desk.mark(alpha=100_000, bravo=50_000, charlie=20_000)
    return desk


def limited(**limits: Any) -> Desk:
    return ready(parameters(**limits))


def fund(desk: Desk, available: int, age_s: int = 0) -> None:
    head = desk.head("gateway.facts") | {"event_at": desk.now - age_s * S}
    desk.say(FundsMarked(**head, run_id=RUN, available_paise=available, used_paise=0))


def band(desk: Desk, lower: int, upper: int) -> None:
    head = desk.head("gateway.facts")
    desk.say(BandsMarked(**head, run_id=RUN, tokens=[ALPHA], lower_paise=[lower], upper_paise=[upper]))


Played = tuple[Desk, dict[str, Any]]


@scene(Denial.UNKNOWN_INSTRUMENT)
def _(past: int) -> Played:
    return ready(), {"token": 999 if past else ALPHA}


@scene(Denial.TRADING_STATE)
def _(past: int) -> Played:
    desk = ready()
    if past:
        desk.command("reduce")
    return desk, {}


@scene(Denial.STRATEGY_DISABLED)
def _(past: int) -> Played:
    return ready(), {"strategy": "unheard" if past else "rule"}


@scene(Denial.OWNER_ACKNOWLEDGEMENT)
def _(past: int) -> Played:
    desk = ready(live=True)
    if not past:
        desk.command("acknowledge")
    return desk, {}


@scene(Denial.FEED_DOWN)
def _(past: int) -> Played:
    desk = ready()
    if past:
        desk.feed("down")
    return desk, {}


@scene(Denial.FEED_SETTLING)
def _(past: int) -> Played:
    desk = ready()
    desk.feed("down")
    desk.feed("up")
    desk.mark(5 if not past else 4.999999999)
    return desk, {}


@scene(Denial.CLOCK_SKEW)
def _(past: int) -> Played:
    desk = ready()
    skew = -2_000 - past  # ahead or behind is the same
    desk.say(ClockMeasured(**desk.head("gateway.facts"), run_id=RUN, skew_ms=skew, against="ntp"))
    return desk, {}


@scene(Denial.SESSION_CLOSED)
def _(past: int) -> Played:
    return ready(at=OPEN - S - past), {}


@scene(Denial.ENTRY_CUTOFF)
def _(past: int) -> Played:
    return ready(at=ist_ns(DAY, "14:45") - S - 1 + past), {}


@scene(Denial.DUPLICATE_SIGNAL)
def _(past: int) -> Played:
    desk = ready()
    (first,) = intents(desk.signal(signal_id="once"))
    desk.update(first, OrderStatus.CANCELLED)
    return desk, {"signal_id": "once" if past else "twice"}


@scene(Denial.NOT_ALLOWED)
def _(past: int) -> Played:
    base = parameters()
    profile = msgspec.structs.replace(base.profile, allowed=("ALPHA",))
    return ready(msgspec.structs.replace(base, profile=profile)), {"token": BRAVO if past else ALPHA}


@scene(Denial.BLOCKED)
def _(past: int) -> Played:
    base = parameters()
    profile = msgspec.structs.replace(base.profile, blocked=("BRAVO",))
    return ready(msgspec.structs.replace(base, profile=profile)), {"token": BRAVO if past else ALPHA}


@scene(Denial.NOT_CASH_SEGMENT)
def _(past: int) -> Played:
    return ready(altered(segment="NFO" if past else "NSE")), {}


@scene(Denial.NOT_INTRADAY)
def _(past: int) -> Played:
    return ready(altered(margin_bps=0 if past else 1)), {}


@scene(Denial.SCORE_MISSING)
def _(past: int) -> Played:
    return ready(), {"rests_on": ("blend",), "scores": {"blend": float("nan") if past else 0.5}}


@scene(Denial.SCORE_STALE)
def _(past: int) -> Played:
    desk = ready()
    made_at = desk.now - 180 * S - past
    return desk, {"rests_on": ("blend",), "scores": {"blend": 0.5}, "bar_close_at": made_at}


@scene(Denial.MODEL_STALE)
def _(past: int) -> Played:
    return judged("stale" if past else "fresh"), {"rests_on": ("blend",), "scores": {"blend": 0.5}}


@scene(Denial.MODEL_DRIFTED)
def _(past: int) -> Played:
    return judged("drifted" if past else "fresh"), {"rests_on": ("blend",), "scores": {"blend": 0.5}}


def judged(word: str) -> Desk:
    desk = ready()
    desk.say(ModelJudged(**desk.head("market-0"), model="blend", state=word))
    return desk


@scene(Denial.NO_QUOTE)
def _(past: int) -> Played:
    desk = ready()
    desk.quote(ALPHA, 0 if past else 5, 5, 5)
    return desk, {}


@scene(Denial.NO_DEPTH)
def _(past: int) -> Played:
    desk = ready()
    desk.quote(ALPHA, 100_000, 99_995, 0 if past else 100_005)
    return desk, {}


@scene(Denial.CROSSED_QUOTE)
def _(past: int) -> Played:
    desk = ready()
    desk.quote(ALPHA, 100_000, 100_005 + 5 * past, 100_005)
    return desk, {}


@scene(Denial.INSTRUMENT_HALTED)
def _(past: int) -> Played:
    desk = limited(stale_quote_s=10_000.0)
    desk.mark(HALTED_AFTER_S + past / S, bravo=50_000)
    return desk, {}


@scene(Denial.STALE_QUOTE)
def _(past: int) -> Played:
    desk = ready()
    desk.mark(15 + past / S)
    return desk, {}


@scene(Denial.LOCKED_BOOK)
def _(past: int) -> Played:
    desk = ready()
    desk.quote(ALPHA, 100_000, 0 if past else 99_995, 100_005)
    return desk, {}


@scene(Denial.WIDE_SPREAD)
def _(past: int) -> Played:
    desk = limited(spread_bps=50)
    desk.quote(ALPHA, 100_000, 99_750 - 5 * past, 100_250)  # 500 of 100,000 are 50 bps
    return desk, {}


@scene(Denial.PRICE_BAND)
def _(past: int) -> Played:
    desk = limited(spread_bps=10_000, entry_protection_bps=0)
    desk.quote(ALPHA, 100_000, 99_995, 102_000 + 5 * past)
    return desk, {}


@scene(Denial.CIRCUIT_UNKNOWN)
def _(past: int) -> Played:
    desk = ready(live=True)
    if not past:
        band(desk, 90_000, 110_000)
    return desk, {}


@scene(Denial.CIRCUIT_NEAR)
def _(past: int) -> Played:
    desk = limited(entry_protection_bps=0, circuit_distance_bps=100)
    desk.quote(ALPHA, 100_000, 99_995, 100_000)
    band(desk, 90_000, 101_000 - past)
    return desk, {}


@scene(Denial.OUTCOME_UNKNOWN)
def _(past: int) -> Played:
    desk = ready()
    (order,) = intents(desk.signal())
    desk.update(order, OrderStatus.UNKNOWN)
    return desk, {"token": ALPHA if past else BRAVO}


@scene(Denial.UNKNOWN_ORDERS)
def _(past: int) -> Played:
    desk = ready()
    assert MAX_UNKNOWN == 2
    for token in (ALPHA, BRAVO, CHARLIE)[: MAX_UNKNOWN + past]:
        (order,) = intents(desk.signal(token=token))
        desk.update(order, OrderStatus.UNKNOWN)
        if token == BRAVO and past:
            desk.update(desk.permissions()[0], OrderStatus.ACCEPTED)  # else the third were refused already
    if past:
        desk.update(desk.permissions()[0], OrderStatus.UNKNOWN)
    return desk, {"token": CHARLIE}


@scene(Denial.ORDER_WORKING)
def _(past: int) -> Played:
    desk = ready()
    desk.signal()
    return desk, {"token": ALPHA if past else BRAVO}


@scene(Denial.POSITION_OPEN)
def _(past: int) -> Played:
    desk = ready()
    desk.enter()
    return desk, {"token": ALPHA if past else BRAVO}


@scene(Denial.FOREIGN_ORDER)
def _(past: int) -> Played:
    desk = ready()
    desk.foreign_update()
    return desk, {"token": ALPHA if past else BRAVO}


@scene(Denial.FOREIGN_POSITION)
def _(past: int) -> Played:
    desk = ready()
    desk.foreign_fill(Side.BUY, 1)
    return desk, {"token": ALPHA if past else BRAVO}


@scene(Denial.ORDER_SIZE)
def _(past: int) -> Played:
    return ready(parameters(notional_paise=100_055 - past)), {}


@scene(Denial.OPEN_POSITIONS)
def _(past: int) -> Played:
    desk = limited(open_positions=2 - past)
    desk.enter()
    return desk, {"token": BRAVO}


VALUE = 59 * 100_055  # what the desk's notional of 60,000 rupees buys of ALPHA


@scene(Denial.INSTRUMENT_EXPOSURE)
def _(past: int) -> Played:
    return limited(instrument_exposure_paise=VALUE - past), {}


@scene(Denial.SECTOR_EXPOSURE)
def _(past: int) -> Played:
    desk = ready(altered({"sector_exposure_paise": 2 * 59 * 100_050 - past}, sector="BANKS"))
    desk.quote(ALPHA, 100_000, 100_000, 100_000)
    desk.quote(BRAVO, 100_000, 100_000, 100_000)
    return both_at_a_thousand(desk)


def both_at_a_thousand(desk: Desk) -> Played:
    """ALPHA works at 1,000.50 on 59 shares; BRAVO would be the second."""
    (first,) = intents(desk.signal())
    assert first.quantity * first.limit_price_paise == 59 * 100_050
    return desk, {"token": BRAVO}


@scene(Denial.GROSS_EXPOSURE)
def _(past: int) -> Played:
    return limited(gross_exposure_paise=VALUE - past), {}


@scene(Denial.NET_EXPOSURE)
def _(past: int) -> Played:
    return limited(net_exposure_paise=VALUE - past), {}


@scene(Denial.FUNDS_UNKNOWN)
def _(past: int) -> Played:
    desk = ready(live=True)
    fund(desk, 10**9)
    desk.mark(FUNDS_AGE_S + past / S, alpha=100_000)
    return desk, {}


@scene(Denial.ORDERS_PER_SECOND)
def _(past: int) -> Played:
    desk = limited(orders_per_second=2 - past)
    desk.signal()
    return desk, {"token": BRAVO}


@scene(Denial.ORDERS_PER_MINUTE)
def _(past: int) -> Played:
    desk = limited(orders_per_minute=2 - past)
    desk.signal()
    return desk, {"token": BRAVO}


@scene(Denial.ORDERS_PER_DAY)
def _(past: int) -> Played:
    desk = limited(orders_per_day=2 - past)
    desk.signal()
    return desk, {"token": BRAVO}


@scene(Denial.TRADES_PER_DAY)
def _(past: int) -> Played:
    desk = limited(trades_per_day=2 - past)
    desk.enter()
    return desk, {"token": BRAVO}


@scene(Denial.TRADES_PER_INSTRUMENT)
def _(past: int) -> Played:
    desk = limited(trades_per_instrument=2 - past)
    (first,) = intents(desk.signal())
    desk.update(first, OrderStatus.CANCELLED)
    return desk, {"signal_id": "again"}


@scene(Denial.LOSS_STREAK)
def _(past: int) -> Played:
    desk = limited(loss_streak=1, loss_pause_s=300)
    desk.enter()
    desk.mark(1, alpha=99_000)  # its stop
    desk.complete(desk.permissions()[-1])
    desk.mark(300 - past / S, bravo=50_000)
    return desk, {"token": BRAVO}


#: What sizing would never let through, or what is easier said in numbers: the comparison alone.
BARE: dict[Denial, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # limits or terms, then the proposal at the limit and one past it
    Denial.ORDER_QUANTITY: ({"order_quantity": 70}, {"quantity": 70}, {"quantity": 71}),
    Denial.ORDER_VALUE: (
        {"order_value_paise": 70 * 100_055},
        {"quantity": 70},
        {"quantity": 10, "limit_price_paise": 700_386},
    ),
    Denial.TRADE_RISK: ({"trade_risk_paise": 5_000}, {"risk_paise": 5_000}, {"risk_paise": 5_001}),
    Denial.DAILY_LOSS: (
        {"daily_loss_paise": 5_000},
        {"worst_loss_paise": 4_999},
        {"worst_loss_paise": 5_000},
    ),
    Denial.FREEZE_QUANTITY: ({"freeze_quantity": 30}, {"quantity": 30}, {"quantity": 31}),
    Denial.VOLUME_SHARE: ({"average_volume": 10_000}, {"quantity": 100}, {"quantity": 101}),
    Denial.MARGIN: (
        {"margin_bps": 2_000},
        {"quantity": 5, "limit_price_paise": 1_000, "room_paise": 1_000},
        {"quantity": 5, "limit_price_paise": 1_000, "room_paise": 999},
    ),
}
TERMS = ("freeze_quantity", "average_volume", "margin_bps")


@pytest.mark.parametrize("code", SCENES)
def test_a_check_passes_at_its_limit_and_refuses_one_past_it(code: Denial) -> None:
    at, past = SCENES[code](0), SCENES[code](1)
    assert at.passed, at
    assert not past.passed, past


@pytest.mark.parametrize("code", BARE)
def test_a_comparison_of_sizes_holds_at_the_limit_and_one_past_it(code: Denial) -> None:
    given, at, past = BARE[code]
    terms = {name: value for name, value in given.items() if name in TERMS}
    limits = {name: value for name, value in given.items() if name not in TERMS}
    desk = ready(altered(limits, **terms))
    check = next(each for each in ENTRY_CHECKS if each.code is code)
    proposal = propose(desk.desk, wish(desk), Side.BUY, desk.now)
    assert check(replace(proposal, **at), desk.desk).passed
    assert not check(replace(proposal, **past), desk.desk).passed


def wish(desk: Desk) -> SignalRaised:
    desk.signal(None)
    said = desk.said[-1]
    assert isinstance(said, SignalRaised)
    return said


def test_the_drawdown_is_counted_from_the_best_and_stops_entries_at_its_limit() -> None:
    desk = limited(drawdown_paise=5_000)
    check = next(each for each in ENTRY_CHECKS if each.code is Denial.DRAWDOWN)
    proposal = propose(desk.desk, wish(desk), Side.BUY, desk.now)
    desk.desk.peak_paise = 4_999
    assert check(proposal, desk.desk).passed
    desk.desk.peak_paise = 5_000
    assert not check(proposal, desk.desk).passed


def test_the_volume_must_be_known_live_unless_it_limits_nothing() -> None:
    for live, share, passed in ((False, 100, True), (True, 100, False), (True, 10_000, True)):
        desk = ready(parameters(volume_share_bps=share), live=live)
        assert verdict_of(desk, Denial.VOLUME_UNKNOWN).passed is passed
    known = altered(average_volume=1)
    assert verdict_of(ready(known, live=True), Denial.VOLUME_UNKNOWN).passed


def test_every_check_has_its_scene_and_every_code_its_check() -> None:
    assert [each.code for each in ENTRY_CHECKS] == list(Denial)
    elsewhere = {Denial.DRAWDOWN, Denial.VOLUME_UNKNOWN}
    assert set(SCENES) | set(BARE) | elsewhere == set(Denial)
    assert not set(SCENES) & set(BARE)


def test_live_with_nothing_known_opens_nothing_and_says_what_is_missing() -> None:
    (verdict,) = [each for each in ready(live=True).signal() if isinstance(each, Verdict)]
    failed = [check.code for check in verdict.checks if not check.passed]
    assert failed == [
        "owner_acknowledgement",
        "clock_skew",
        "circuit_unknown",
        "volume_unknown",
        "funds_unknown",
    ]


def test_live_with_everything_known_and_the_owners_word_trades() -> None:
    desk = ready(altered(average_volume=10**6), live=True)
    fund(desk, 10**9)
    band(desk, 90_000, 110_000)
    desk.say(ClockMeasured(**desk.head("gateway.facts"), run_id=RUN, skew_ms=3, against="ntp"))
    assert denial(desk.signal()) == "owner_acknowledgement"
    desk.command("acknowledge")
    assert denial(desk.signal()) == ""


def test_a_wish_without_scores_does_not_mind_a_model_that_is_unfit() -> None:
    desk = judged("drifted")
    assert denial(desk.signal(scores={"blend": 0.5})) == ""


def test_the_net_exposure_counts_what_may_fill_on_our_side_and_only_what_is_held_on_the_other() -> None:
    desk = limited(net_exposure_paise=18_000_000)
    desk.enter(ALPHA, Side.SELL)
    desk.signal(Side.SELL, CHARLIE)
    assert verdict_of(desk, Denial.NET_EXPOSURE, side=Side.SELL, token=BRAVO).observed > 17_000_000
    assert verdict_of(desk, Denial.NET_EXPOSURE, side=Side.BUY, token=BRAVO).observed < 200_000
