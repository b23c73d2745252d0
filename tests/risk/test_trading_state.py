"""The named rules that lower the trading state, at their limits and one before; only the owner raises it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from desk import ALPHA, BRAVO, CHARLIE, DAY, OPEN, RUN, Desk, S, intents, parameters
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot.events import (
    ClockMeasured,
    Difference,
    DriftFound,
    OrderStatus,
    Purpose,
    Reconciled,
    Side,
    StateChanged,
    TradingState,
    Verdict,
)
from kitepilot.market.calendar import ist_ns
from kitepilot.risk import states
from kitepilot.risk.exposure import closing_loss_paise, drawdown_paise

ORDER = [TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED]


def ready(**limits: Any) -> Desk:
    desk = Desk(parameters(**limits))
    desk.mark(alpha=100_000, bravo=50_000, charlie=20_000)
    return desk


def entered(**limits: Any) -> Desk:
    desk = ready(**limits)
    desk.enter(ALPHA)
    return desk


def skewed(ms: int) -> Desk:
    desk = ready()
    desk.say(ClockMeasured(**desk.head("gateway.findings"), run_id=RUN, skew_ms=ms, against="ntp"))
    desk.mark()
    return desk


def unknown(orders: int) -> Desk:
    desk = ready()
    sent = [each for token in (ALPHA, BRAVO, CHARLIE)[:orders] for each in intents(desk.signal(token=token))]
    for intent in sent:
        desk.update(intent, OrderStatus.UNKNOWN)
    desk.mark()
    return desk


def aged(seconds: int) -> Desk:
    desk = ready()
    (intent,) = intents(desk.signal())
    desk.update(intent, OrderStatus.UNKNOWN)
    desk.mark(seconds, alpha=100_000)
    return desk


def quiet(seconds: int) -> Desk:
    desk = ready()
    desk.mark(seconds)
    return desk


def feed_down(seconds: int) -> Desk:
    desk = ready()
    desk.feed("down")
    desk.mark(seconds, alpha=100_000)
    return desk


def fallen(limit_paise: int) -> Desk:
    """The day was up and has come down again."""
    desk = entered(drawdown_paise=limit_paise)
    desk.mark(alpha=100_700)
    desk.mark(alpha=100_400)
    return desk


def drawdown() -> int:
    found = drawdown_paise(fallen(10**9).desk)
    assert 59 * 290 < found <= 59 * 300  # closing costs a little less at the lower price
    return found


def alarmed(**alarm: Any) -> Desk:
    desk = ready()
    desk.alarm("breaker", **alarm)
    return desk


def strange(word: str) -> Desk:
    desk = ready()
    (intent,) = intents(desk.signal())
    desk.update(intent, OrderStatus.ACCEPTED, word=word)
    return desk


def reconciled(verdict: str) -> Desk:
    desk = ready()
    found = (Difference(rule="position_differs", subject="ALPHA", ours="1", theirs="0"),)
    desk.say(
        Reconciled(
            **desk.head("gateway.findings"),
            run_id=RUN,
            occasion="minute",
            orders=0,
            trades=0,
            positions=0,
            differences=found,
            verdict=verdict,
        )
    )
    return desk


def drifted(act: str) -> Desk:
    desk = ready()
    head = desk.head("market-0")
    desk.say(DriftFound(**head, model="blend", detector="adwin", observed=0.2, limit=0.1, act=act))
    return desk


def stuck(second: int) -> Desk:
    desk = Desk(at=ist_ns(DAY, "14:44:00"))
    desk.mark(alpha=100_000)
    desk.enter(ALPHA)
    desk.now = ist_ns(DAY, "15:15:00") - S
    desk.mark(second)
    return desk


def lost(paise: int) -> Desk:
    """The day's closing loss is known to the paisa: see `test_exits`."""
    desk = entered(daily_loss_paise=paise)
    desk.mark(alpha=99_000)
    return desk


def closing_loss() -> int:
    desk = entered(daily_loss_paise=10**9, drawdown_paise=10**9)
    desk.mark(alpha=99_000)
    return closing_loss_paise(desk.desk)


CASES: list[tuple[str, Callable[[], Desk], Callable[[], Desk]]] = [
    ("daily_loss", lambda: lost(closing_loss() + 1), lambda: lost(closing_loss())),
    ("drawdown", lambda: fallen(drawdown() + 1), lambda: fallen(drawdown())),
    ("unknown_orders", lambda: unknown(2), lambda: unknown(3)),
    ("unknown_orders", lambda: aged(119), lambda: aged(120)),
    ("stale_feed", lambda: quiet(59), lambda: quiet(60)),
    ("stale_feed", lambda: feed_down(59), lambda: feed_down(60)),
    ("clock_skew", lambda: skewed(-9_999), lambda: skewed(-10_000)),
    ("breaker", lambda: alarmed(state="half_open"), lambda: alarmed(state="open")),
    ("unknown_status", lambda: strange("OPEN PENDING"), lambda: strange("ON THE MOON")),
    ("reconciliation", lambda: reconciled("healed"), lambda: reconciled("halt")),
    ("model_drift", lambda: drifted("refuse_entries"), lambda: drifted("reduce")),
    ("stuck_position", lambda: stuck(0), lambda: stuck(1)),
    ("alarm", lambda: alarmed(halts=False), lambda: alarmed(halts=True)),
]


@pytest.mark.parametrize(
    ("rule", "before", "at"), CASES, ids=[f"{n}-{each[0]}" for n, each in enumerate(CASES)]
)
def test_a_rule_acts_at_its_limit_and_not_before(
    rule: str, before: Callable[[], Desk], at: Callable[[], Desk]
) -> None:
    assert before().desk.trading is TradingState.ACTIVE
    desk = at()
    (lowered,) = [each for each in desk.out if isinstance(each, StateChanged) and each.rule]
    (named,) = [each for each in states.RULES if each.name == rule]
    assert (lowered.rule, lowered.state) == (rule, named.lowers_to)
    assert lowered.reason.startswith(f"{rule}: ")
    assert (desk.desk.trading, desk.desk.rule) == (named.lowers_to, rule)
    assert bool(desk.desk.leaving) is named.leaves
    again = [each for each in desk.mark() if isinstance(each, StateChanged)]
    assert again == []  # said once


def test_every_rule_has_a_case_here() -> None:
    assert {case[0] for case in CASES} == {each.name for each in states.RULES}


def test_a_dead_feed_before_the_open_or_after_the_last_entry_lowers_nothing() -> None:
    early = Desk(at=OPEN - 600 * S)
    early.mark(alpha=100_000)
    early.mark(500)
    assert early.desk.trading is TradingState.ACTIVE
    late = Desk(at=ist_ns(DAY, "14:44:59"))
    late.mark(alpha=100_000)
    late.mark(600)
    assert late.desk.trading is TradingState.ACTIVE


def test_a_run_that_opens_late_waits_its_full_time_for_the_first_quote() -> None:
    desk = Desk(at=ist_ns(DAY, "11:00"))
    desk.mark(0)
    desk.mark(59)
    assert desk.desk.trading is TradingState.ACTIVE
    desk.mark(1)
    assert desk.desk.rule == "stale_feed"


def test_the_owner_resumes_and_a_cause_that_stands_lowers_again() -> None:
    desk = quiet(60)
    desk.command("resume")
    assert desk.desk.trading is TradingState.ACTIVE
    desk.mark()
    assert desk.desk.rule == "stale_feed" and desk.desk.trading is TradingState.REDUCING
    desk.command("resume")
    desk.mark(alpha=100_000)
    assert desk.desk.trading is TradingState.ACTIVE


def test_a_day_at_its_drawdown_is_resumed_only_under_limits_that_allow_more() -> None:
    desk = entered(drawdown_paise=30_000)
    desk.mark(alpha=99_400)
    for intent in intents(desk.out):
        if intent.purpose is not Purpose.ENTRY:
            desk.complete(intent, 99_400)
    desk.command("resume")
    assert desk.desk.trading is TradingState.REDUCING
    assert "drawdown" in [each for each in desk.out if isinstance(each, StateChanged)][-1].reason


def test_a_second_cause_lowers_a_reducing_day_further_and_never_raises_a_halted_one() -> None:
    desk = quiet(60)
    desk.alarm("broker_order", halts=True)
    assert (desk.desk.trading, desk.desk.rule) == (TradingState.HALTED, "alarm")
    desk.alarm("breaker", state="open")
    assert (desk.desk.trading, desk.desk.rule) == (TradingState.HALTED, "alarm")


WORDS = (
    "mark quiet crash signal fill unknown strange alarm breaker feed_down feed_up skew halt reduce flatten"
)
happening = st.sampled_from([*WORDS.split(), "resume"])


@given(st.lists(st.tuples(happening, st.integers(0, 2)), max_size=60))
@settings(max_examples=80, deadline=None)
def test_the_state_never_rises_without_the_owner_and_nothing_is_entered_below_active(
    history: list[tuple[str, int]],
) -> None:
    desk = ready(daily_loss_paise=300_000)
    prices = {"alpha": 100_000, "bravo": 50_000, "charlie": 20_000}
    for what, number in history:
        before, length = desk.desk.trading, len(desk.out)
        play(desk, prices, what, number)
        if what != "resume":
            assert ORDER.index(desk.desk.trading) >= ORDER.index(before), what
        for each in desk.out[length:]:
            if isinstance(each, Verdict) and each.approved and each.purpose is Purpose.ENTRY:
                assert each.state is TradingState.ACTIVE


def play(desk: Desk, prices: dict[str, int], what: str, number: int) -> None:
    live = [each for each in intents(desk.out) if each.intent_id in desk.desk.working]
    match what:
        case "mark" | "quiet" | "crash":
            name = list(prices)[number]
            prices[name] = round(prices[name] * (0.97 if what == "crash" else 1.001) / 5) * 5
            desk.mark(1, **prices) if what != "quiet" else desk.mark(40)
        case "signal":
            desk.signal(list(Side)[number % 2], (ALPHA, BRAVO, CHARLIE)[number])
        case "fill" if live:
            desk.complete(live[number % len(live)])
        case "unknown" | "strange" if live:
            word = "ON THE MOON" if what == "strange" else ""
            desk.update(live[number % len(live)], OrderStatus.UNKNOWN, word=word)
        case "alarm" | "breaker":
            desk.alarm("breaker", halts=what == "alarm", state="open")
        case "feed_down" | "feed_up":
            desk.feed(what.removeprefix("feed_"))
        case "skew":
            skew = ClockMeasured(
                **desk.head("gateway.findings"), run_id=RUN, skew_ms=5_000 * number, against="ntp"
            )
            desk.say(skew)
        case "halt" | "reduce" | "flatten" | "resume":
            desk.command(what)
