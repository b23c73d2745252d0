"""Events and looks at the machine -> what a person is told began, and what is over."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from kitepilot import events as e
from kitepilot.alerts.kinds import BY_NAME, Severity
from kitepilot.alerts.machine import GIB, MIB, Look, Seen, looked
from kitepilot.alerts.notices import Heard, Notice, notices
from kitepilot.config import RiskSection
from kitepilot.market.calendar import ist_ns
from kitepilot.risk.ladder import ASK_BROKER_AFTER

S = 1_000_000_000
DAY = date(2026, 11, 20)
OPEN, CLOSE = ist_ns(DAY, "09:15"), ist_ns(DAY, "15:30")
RUN = "live-20261120-0001"
ACTIVE, REDUCING, HALTED = e.TradingState.ACTIVE, e.TradingState.REDUCING, e.TradingState.HALTED


@dataclass
class Ear:
    """Folds events and looks as the process does; remembers what stands."""

    mode: str = "live"
    heard: Heard = field(default_factory=Heard)
    seen: Seen = field(default_factory=Seen)
    standing: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        parameters = e.DecisionParameters(
            session_date=DAY.isoformat(),
            open_at=OPEN,
            close_at=CLOSE,
            instruments=(),
            profile=RiskSection().profile(),
            strategies=(),
        )
        self.hear(e.RunStarted, run_id=RUN, mode=self.mode, config_hash="", parameters=parameters)

    def hear(self, event_type: type[e.Event], at: int = OPEN, /, **fields: Any) -> list[Notice]:
        if "run_id" in event_type.__struct_fields__:
            fields.setdefault("run_id", RUN)
        event: Any = event_type(source="test", seq=0, event_at=at, **fields)
        return self._keep(notices(self.heard, e.decode(e.encode(event)), at))

    def look(self, at: int, **fields: Any) -> list[Notice]:
        return self._keep(
            looked(self.seen, Look(at=at, **({"free_bytes": 9 * GIB} | fields)), self.heard, 30.0)
        )

    def _keep(self, found: Any) -> list[Notice]:
        listed = list(found)
        for notice in listed:
            assert notice.kind in BY_NAME
            if notice.over:
                self.standing = {
                    each
                    for each in self.standing
                    if each[0] != notice.kind or notice.subject not in ("", each[1])
                }
            else:
                self.standing.add((notice.kind, notice.subject))
        return listed


def state(previous: e.TradingState, now: e.TradingState, rule: str = "") -> dict[str, Any]:
    return {"previous": previous, "state": now, "reason": "why", "rule": rule}


@pytest.mark.parametrize(
    ("now", "rule", "kind"),
    [
        (HALTED, "reconciliation", "halted"),
        (HALTED, "", "halted"),
        (REDUCING, "stale_feed", "reducing"),
        (REDUCING, "daily_loss", "loss_limit"),
        (REDUCING, "drawdown", "loss_limit"),
        (REDUCING, "", "reduced_by_owner"),
    ],
)
def test_a_lowered_state_is_told_by_its_rule_and_over_when_trading_is_active(
    now: e.TradingState, rule: str, kind: str
) -> None:
    ear = Ear()
    ear.hear(e.StateChanged, **state(ACTIVE, now, rule))
    assert {each[0] for each in ear.standing} == {kind}
    ear.hear(e.StateChanged, **state(now, ACTIVE))
    assert ear.standing == set()


def test_a_note_of_the_decisions_is_no_change_of_state() -> None:
    assert Ear().hear(e.StateChanged, **state(HALTED, HALTED)) == []


def account(worst_case_paise: int) -> dict[str, Any]:
    zeros = {
        f.name: 0 for f in msgspec.structs.fields(e.AccountMarked) if f.required and f.name not in SPOKEN
    }
    return zeros | {"state": ACTIVE, "worst_case_paise": worst_case_paise}


SPOKEN = ("source", "seq", "event_at", "run_id", "state")


def test_the_days_loss_is_told_at_eighty_percent_once_and_over_below_seventy() -> None:
    ear, cap = Ear(), RiskSection().limits().daily_loss_paise
    found = [bool(ear.hear(e.AccountMarked, **account(cap * p // 100))) for p in (79, 80, 85, 75, 80, 69, 20)]
    assert found == [False, True, False, False, False, True, False]
    assert ear.standing == set()


def test_an_order_of_unknown_outcome_is_told_until_its_outcome_is_known() -> None:
    ear = Ear()
    order = {
        "intent_id": "A",
        "order_id": "",
        "token": 1,
        "venue_status": "",
        "quantity": 5,
        "filled_quantity": 0,
    }
    ear.hear(e.OrderUpdated, status=e.OrderStatus.SUBMITTING, **order)
    ear.hear(e.OrderUpdated, status=e.OrderStatus.UNKNOWN, **order)
    ear.hear(e.OrderUpdated, status=e.OrderStatus.UNKNOWN, **order)
    assert ear.standing == {("unknown_order", "A")}
    ear.hear(e.OrderUpdated, status=e.OrderStatus.FILLED, **order)
    assert ear.standing == set()


def exit_intent(attempt: int) -> dict[str, Any]:
    return {
        "intent_id": "A",
        "config_hash": "",
        "signal_id": "",
        "verdict_id": "",
        "strategy": "s",
        "purpose": e.Purpose.SQUARE_OFF,
        "token": 7,
        "tradingsymbol": "INFY",
        "side": e.Side.SELL,
        "quantity": 5,
        "order_type": "MARKET",
        "limit_price_paise": 0,
        "validity": "IOC",
        "decision_price_paise": 0,
        "received_at": 0,
        "signal_emitted_at": 0,
        "attempt": attempt,
    }


def test_a_position_that_does_not_leave_calls_the_owner_until_a_fill_comes() -> None:
    ear = Ear()
    for attempt in range(ASK_BROKER_AFTER):
        ear.hear(e.ApprovedIntent, **exit_intent(attempt))
    assert ear.standing == set()
    ear.hear(e.ApprovedIntent, **exit_intent(ASK_BROKER_AFTER))
    assert ear.standing == {("exit_ladder", "INFY")}
    fill = {"intent_id": "A", "order_id": "1", "trade_id": "1", "side": e.Side.SELL, "price_paise": 1}
    ear.hear(e.Filled, token=7, quantity=5, filled_at=0, **fill)
    assert ear.standing == set()


def test_books_that_differ_are_told_until_they_are_equal() -> None:
    ear, compared = Ear(), {"occasion": "minute", "orders": 1, "trades": 1, "positions": 1}
    difference = e.Difference(rule="position", subject="INFY", ours="5", theirs="0")
    ear.hear(e.Reconciled, differences=(difference,), verdict="halt", **compared)
    assert ear.standing == {("reconciliation", "minute")}
    ear.hear(e.Reconciled, differences=(), verdict="equal", **compared | {"occasion": "end_of_day"})
    assert ear.standing == set()


def test_the_feed_a_breaker_and_a_model_are_told_and_over() -> None:
    ear = Ear()
    ear.hear(e.FeedChanged, state="down", detail="idle")
    alarm = {"kind": "breaker", "subject": "orders", "detail": "open", "halts": False}
    ear.hear(e.Alarmed, state="open", **alarm)
    ear.hear(e.ModelJudged, model="m", state="stale")
    assert {kind for kind, _ in ear.standing} == {"feed_gap", "breaker", "model_stale"}
    ear.hear(e.FeedChanged, state="up")
    ear.hear(e.Alarmed, state="closed", **alarm)
    ear.hear(e.ModelJudged, model="m", state="fresh")
    assert ear.standing == set()


def test_in_market_hours_silence_is_told_and_over_with_the_first_word() -> None:
    ear = Ear()
    ear.look(OPEN - 60 * S)
    ear.hear(e.FeedChanged, OPEN + S, state="up")
    ear.look(OPEN + 30 * S)
    assert ear.standing == set()
    ear.look(OPEN + 31 * S)
    assert ear.standing == {("dead_man", "session")}
    ear.hear(e.FeedChanged, OPEN + 40 * S, state="up")
    ear.look(OPEN + 41 * S)
    assert ear.standing == set()


@pytest.mark.parametrize("at", [OPEN - 600 * S, CLOSE + 600 * S])
def test_outside_market_hours_silence_is_only_silence(at: int) -> None:
    ear = Ear()
    ear.look(at)
    ear.look(at + 300 * S)
    assert ear.standing == set()


def test_a_paper_session_has_its_own_hours_and_ends_with_its_own_word() -> None:
    ear, midnight = Ear(mode="paper"), ist_ns(DAY, "00:00")
    ear.heard.session_at, ear.heard.heard_at = OPEN + S, midnight
    ear.look(midnight)
    ear.look(midnight + 31 * S)
    assert ear.standing == {("dead_man", "session")}
    ended = Ear(mode="paper")
    ended.hear(e.Commanded, CLOSE - S, command_id="1", command="end_of_day")
    ended.look(CLOSE)
    ended.look(CLOSE + 600 * S)
    assert ended.standing == set()


def test_a_process_that_is_another_one_and_one_that_is_gone_are_told() -> None:
    ear = Ear()
    ear.look(OPEN, processes={"gateway": 10, "market": 11})
    ear.look(OPEN + S, processes={"gateway": 20})
    assert ear.standing == {("process_restarted", "gateway")}
    ear.look(OPEN + 21 * S, processes={"gateway": 20})
    assert ("process_gone", "market") in ear.standing
    ear.look(OPEN + 22 * S, processes={"gateway": 20, "market": 30})
    assert ear.standing == {("process_restarted", "gateway"), ("process_restarted", "market")}


def test_a_backtest_that_is_done_calls_nobody() -> None:
    ear = Ear()
    ear.look(OPEN, processes={"market": 11, "research": 12, "backtests": 13})
    ear.look(OPEN + S, processes={"market": 11, "research": 14})
    ear.look(OPEN + 2 * S, processes={"market": 11})
    ear.look(OPEN + 30 * S, processes={"market": 11})
    assert not {kind for kind, _ in ear.standing} & {"process_gone", "process_restarted"}


def test_a_process_that_is_back_soon_was_never_gone() -> None:
    ear = Ear()
    ear.look(OPEN, processes={"market": 11})
    for second in range(1, 60, 2):
        ear.hear(e.FeedChanged, OPEN + second * S, state="up")
        ear.look(OPEN + second * S, processes={} if second % 4 == 1 else {"market": 11})
    assert ear.standing == set()


def test_room_on_the_disk_is_told_in_two_steps_and_over_with_room_to_spare() -> None:
    ear = Ear()
    stood = []
    for free in (5 * GIB, 2 * GIB - MIB, 400 * MIB, 900 * MIB, 2 * GIB, 3 * GIB):
        ear.look(OPEN, free_bytes=free)
        stood.append(sorted(kind for kind, _ in ear.standing))
    both = ["disk_full", "disk_low"]
    assert stood == [[], ["disk_low"], both, both, ["disk_low"], []]


def test_the_fence_and_the_watchdogs_word_and_a_log_out_of_reach_are_told() -> None:
    ear = Ear()
    ear.look(OPEN, fence="decisions silent", watchdog="no fill explains", log_trouble="locked")
    assert {kind for kind, _ in ear.standing} == {"watchdog_flatten", "watchdog", "log_unreadable"}
    ear.look(OPEN + S)
    assert ear.standing == set()


def stored_day(name: str) -> list[e.AnyEvent]:
    """A recorded session of the synthetic market, its topics put together by session time."""
    folder = Path(__file__).parents[1] / "replay" / "days" / name
    said = [
        e.decode(value)
        for topic in ("session", "decisions", "intents")
        for value in pq.read_table(folder / f"{topic}.parquet")["value"].to_pylist()
    ]
    return sorted(said, key=lambda event: event.event_at)


@pytest.mark.parametrize(
    ("name", "told"),
    [("quiet", set()), ("eventful", {"breaker", "feed_gap", "halted"})],
)
def test_a_recorded_day_calls_somebody_for_what_happened_in_it_and_for_nothing_else(
    name: str, told: set[str]
) -> None:
    heard = Heard()
    found = [notice for event in stored_day(name) for notice in notices(heard, event, event.event_at)]
    assert {each.kind for each in found if BY_NAME[each.kind].severity is not Severity.INFO} == told


def test_a_login_that_ends_soon_is_told_half_an_hour_before() -> None:
    ear = Ear()
    ear.hear(e.Commanded, CLOSE, command_id="1", command="end_of_day")
    ear.look(OPEN)
    ear.look(ist_ns(date(2026, 11, 21), "05:29"))
    assert ear.standing == set()
    ear.look(ist_ns(date(2026, 11, 21), "05:30"))
    assert ear.standing == {("login_ends", "login")}
