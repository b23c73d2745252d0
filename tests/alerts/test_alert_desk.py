"""Notices, acknowledgements and time: who is told what, in which order, and until when."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot.alerts import desk as fold
from kitepilot.alerts.desk import AGAIN, MOST_ALERTS, OVER, RAISED, Desk, Message, Policy, Target
from kitepilot.alerts.kinds import BY_NAME, KINDS, OF_ALARMS, Severity
from kitepilot.alerts.notices import Notice
from kitepilot.market.calendar import ist_ns, to_ist

S = 1_000_000_000
NOON = ist_ns(date(2026, 11, 20), "12:00")
ME = Target(name="me")
PARTNER = Target(name="partner", least=Severity.CRITICAL, after_s=600)
POLICY = Policy(targets=(ME, PARTNER), quiet=(22 * 60, 7 * 60), repeat_s=300, settle_s=300)
CRITICAL, WARNING = "halted", "feed_gap"


def raised(kind: str = CRITICAL, at: int = NOON, subject: str = "x", *, over: bool = False) -> Notice:
    return Notice(kind, subject, "why", at, over)


def desk_with(*notices: Notice) -> Desk:
    desk = Desk()
    for notice in notices:
        fold.take(desk, notice, POLICY)
    return desk


def tell_all(desk: Desk, target: Target, at: int, policy: Policy = POLICY) -> list[Message]:
    """Deliver all that is due at one moment."""
    told = []
    while (message := fold.due(desk, policy, target, at)) is not None:
        told.append(message)
        fold.told(desk, message, at)
        assert len(told) < 1_000
    return told


def test_an_alert_is_told_at_once_and_once_however_often_it_is_noticed() -> None:
    desk = desk_with(raised(WARNING), raised(WARNING, NOON + S), raised(WARNING, NOON + 2 * S))
    assert [m.word for m in tell_all(desk, ME, NOON + 3 * S)] == [RAISED]
    assert tell_all(desk, ME, NOON + 86_400 * S) == []
    assert desk.alerts["feed_gap:x"].noticed == 3


def test_a_critical_alert_calls_again_and_then_somebody_else_until_it_is_acknowledged() -> None:
    desk = desk_with(raised())
    assert [m.word for m in tell_all(desk, ME, NOON)] == [RAISED]
    assert tell_all(desk, PARTNER, NOON + 599 * S) == []
    assert [m.word for m in tell_all(desk, ME, NOON + 300 * S)] == [AGAIN]
    assert [m.word for m in tell_all(desk, PARTNER, NOON + 600 * S)] == [RAISED]
    assert fold.acknowledge(desk, "halted:x", "owner", NOON + 700 * S)
    assert not fold.acknowledge(desk, "halted:x", "owner", NOON + 701 * S)
    for target in (ME, PARTNER):
        assert tell_all(desk, target, NOON + 86_400 * S) == []


def test_whoever_acknowledges_in_time_keeps_the_partner_asleep() -> None:
    desk = desk_with(raised())
    fold.acknowledge(desk, "halted:x", "owner", NOON + 10 * S)
    assert tell_all(desk, PARTNER, NOON + 86_400 * S) == []


def test_who_was_told_of_it_is_told_that_it_is_over_and_nobody_else() -> None:
    desk = desk_with(raised())
    tell_all(desk, ME, NOON)
    fold.take(desk, raised(at=NOON + 5 * S, over=True), POLICY)
    assert [m.word for m in tell_all(desk, ME, NOON + 6 * S)] == [OVER]
    assert tell_all(desk, PARTNER, NOON + 86_400 * S) == []


def test_a_critical_alert_that_ended_before_anybody_was_told_is_still_told() -> None:
    desk = desk_with(raised(), raised(at=NOON + S, over=True))
    assert [m.word for m in tell_all(desk, ME, NOON + 2 * S)] == [OVER]


def test_a_halt_that_comes_back_is_told_again() -> None:
    desk = desk_with(raised())
    tell_all(desk, ME, NOON)
    fold.take(desk, raised(at=NOON + 5 * S, over=True), POLICY)
    tell_all(desk, ME, NOON + 5 * S)
    fold.take(desk, raised(at=NOON + 6 * S), POLICY)
    assert tell_all(desk, ME, NOON + 34 * S) == []
    assert [m.word for m in tell_all(desk, ME, NOON + 35 * S)] == [RAISED]


def test_a_feed_that_comes_and_goes_calls_nobody_each_time_but_calls_when_it_stays_away() -> None:
    desk = Desk()
    told = []
    for second in range(0, 240, 2):
        fold.take(desk, raised(WARNING, NOON + second * S), POLICY)
        told += tell_all(desk, ME, NOON + second * S)
        fold.take(desk, raised(WARNING, NOON + (second + 1) * S, over=True), POLICY)
        told += tell_all(desk, ME, NOON + (second + 1) * S)
    assert [m.word for m in told] == [RAISED, OVER]
    fold.take(desk, raised(WARNING, NOON + 240 * S), POLICY)
    assert [m.word for m in tell_all(desk, ME, NOON + 600 * S)] == [RAISED]


@pytest.mark.parametrize(("kind", "tells"), [(CRITICAL, "23:30"), (WARNING, "07:00")])
def test_at_night_only_what_is_critical_wakes_somebody(kind: str, tells: str) -> None:
    at = ist_ns(date(2026, 11, 20), "23:30")
    desk = desk_with(raised(kind, at))
    message = fold.due(desk, POLICY, ME, at + 86_400 * S)
    assert message is not None
    assert f"{to_ist(message.due_at):%H:%M}" == tells
    assert message.due_at >= at


def test_a_message_that_was_not_taken_stays_the_first_that_is_due() -> None:
    desk = desk_with(raised(subject="first"), raised(at=NOON + S, subject="second"))
    for _ in range(3):
        message = fold.due(desk, POLICY, ME, NOON + 5 * S)
        assert message is not None
        assert message.key == "halted:first"


def test_the_table_names_every_kind_once_and_every_alarm_has_one() -> None:
    assert len(BY_NAME) == len(KINDS)
    assert set(OF_ALARMS.values()) <= BY_NAME.keys()


acts = st.lists(
    st.tuples(
        st.sampled_from(["raise", "over", "ack", "tell"]),
        st.sampled_from(["halted", "unknown_order", "feed_gap", "drift", "reduced_by_owner"]),
        st.sampled_from("ab"),
        st.integers(0, 4_000),
    ),
    max_size=60,
)


@given(acts)
def test_no_history_silences_a_critical_alert_that_stands_unacknowledged(
    history: list[tuple[str, str, str, int]],
) -> None:
    """Liveness: whatever happened before, within its longest wait each target is told of what is open."""
    desk, now = Desk(), NOON
    for act, kind, subject, seconds in history:
        now += seconds * S
        if act == "ack":
            fold.acknowledge(desk, f"{kind}:{subject}", "owner", now)
        elif act == "tell":
            tell_all(desk, ME, now)
        else:
            fold.take(desk, raised(kind, now, subject, over=act == "over"), POLICY)
    waits = {key for key, a in desk.alerts.items() if a.open and a.severity is Severity.CRITICAL}
    for target in (ME, PARTNER):
        assert waits <= {m.key for m in tell_all(desk, target, now + 3_601 * S)}


@given(acts)
def test_what_is_told_to_one_target_was_due_is_told_once_and_in_order(
    history: list[tuple[str, str, str, int]],
) -> None:
    """Safety: only what is open and grave is told; one alert has one first and one last word."""
    desk, now, said = Desk(), NOON, list[Message]()
    for act, kind, subject, seconds in history:
        now += seconds * S
        if act == "ack":
            fold.acknowledge(desk, f"{kind}:{subject}", "owner", now)
        elif act == "tell":
            batch = tell_all(desk, ME, now)
            assert all(m.due_at <= now and m.severity is not Severity.INFO for m in batch)
            assert [m.due_at for m in batch] == sorted(m.due_at for m in batch)
            for message in batch:
                alert = desk.alerts[message.key]
                assert message.word == OVER or not alert.acknowledged_at
            said += batch
        else:
            fold.take(desk, raised(kind, now, subject, over=act == "over"), POLICY)
    for word in (RAISED, OVER):
        numbers = [m.number for m in said if m.word == word]
        assert len(numbers) == len(set(numbers))


@settings(max_examples=15)
@given(st.lists(st.sampled_from(["halted", "feed_gap"]), min_size=MOST_ALERTS + 1, max_size=MOST_ALERTS + 80))
def test_alerts_are_bounded_and_what_is_critical_is_forgotten_last(kinds: list[str]) -> None:
    desk = desk_with(*(raised(kind, NOON + n, str(n)) for n, kind in enumerate(kinds)))
    assert len(desk.alerts) == MOST_ALERTS
    assert desk.forgotten == len(kinds) - MOST_ALERTS
    kept = sum(alert.kind == "halted" for alert in desk.alerts.values())
    assert kept == min(kinds.count("halted"), MOST_ALERTS)
