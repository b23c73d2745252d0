"""When the watchdog flattens for the others: never while both speak, always when one is silent."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from kitepilot.risk.deadman import Act, Heard, Held, Hours, Patience, Word, judge, suspicion

S = 1_000_000_000
PATIENCE = Patience(silence=15 * S, behind=5 * S, late=60 * S)
HOURS = Hours(open_at=1_000 * S, close_at=20_000 * S)

spans = st.integers(0, 10_000 * S)
words = st.none() | st.builds(Word, spans, spans)
trading = st.integers(HOURS.open_at, HOURS.close_at - 1)
moments = st.integers(0, 2 * HOURS.close_at)
holdings = st.none() | st.builds(Held, st.integers(0, 50))


def verdict(heard: Heard, held: Held | None) -> Act:
    return judge(heard, suspicion(heard, HOURS, PATIENCE), held).act


def speaks(word: Word | None) -> bool:
    return word is None or word.silent_ns < PATIENCE.silence


@given(moments, words, words, holdings)
def test_nothing_is_flattened_while_both_speak_and_nothing_is_late(
    at: int, decisions: Word | None, gateway: Word | None, held: Held | None
) -> None:
    assume(speaks(decisions) and speaks(gateway))
    expected = Act.ALARM if held is None else Act.NOTHING
    assert verdict(Heard(at, decisions, gateway), held) is expected


@given(trading, words, st.integers(PATIENCE.silence, 10**14), st.integers(1, 50))
def test_a_gateway_that_is_silent_while_something_is_held_is_always_flattened_for(
    at: int, decisions: Word | None, silent: int, held: int
) -> None:
    assert verdict(Heard(at, decisions, Word(silent)), Held(held)) is Act.FLATTEN


@given(trading, words, st.integers(PATIENCE.silence, 10**14), st.integers(PATIENCE.behind, 10**14))
def test_decisions_that_are_silent_while_the_session_goes_on_are_always_flattened_for(
    at: int, gateway: Word | None, silent: int, behind: int
) -> None:
    assert verdict(Heard(at, Word(silent, behind), gateway), Held(1)) is Act.FLATTEN


@given(trading, spans, st.integers(0, PATIENCE.behind - 1), holdings)
def test_an_exchange_that_stands_still_is_not_the_decisions_silence(
    at: int, silent: int, behind: int, held: Held | None
) -> None:
    assert suspicion(Heard(at, Word(silent, behind), Word(0)), HOURS, PATIENCE) == ""
    assert verdict(Heard(at, Word(silent, behind), Word(0)), held) is not Act.FLATTEN


@given(moments, words, words, holdings)
def test_outside_trading_hours_silence_means_nothing(
    at: int, decisions: Word | None, gateway: Word | None, held: Held | None
) -> None:
    assume(at not in HOURS)
    assert suspicion(Heard(at, decisions, gateway), HOURS, PATIENCE) == ""
    assert verdict(Heard(at, decisions, gateway), held) is not Act.FLATTEN


@given(moments, words, words, holdings)
def test_the_owner_is_obeyed_whatever_else_is_known(
    at: int, decisions: Word | None, gateway: Word | None, held: Held | None
) -> None:
    heard = Heard(at, decisions, gateway, asked="enough")
    judged = judge(heard, suspicion(heard, HOURS, PATIENCE), held)
    assert (judged.act, judged.reason) == (Act.FLATTEN, "enough")


@given(trading, st.integers(PATIENCE.silence, 10**14))
def test_silence_with_nothing_held_or_nobody_to_ask_calls_a_person_and_sends_nothing(
    at: int, silent: int
) -> None:
    heard = Heard(at, Word(0), Word(silent))
    assert verdict(heard, Held(0)) is Act.ALARM
    assert verdict(heard, None) is Act.ALARM


@given(moments, st.integers(1, 9))
def test_what_is_held_past_its_time_is_flattened_though_both_speak(at: int, count: int) -> None:
    judged = judge(Heard(at, Word(0), Word(0)), "", Held(count, ("INFY", "SBIN")))
    assert judged.act is Act.FLATTEN
    assert "INFY, SBIN" in judged.reason


def test_the_threshold_itself_is_silence_and_a_nanosecond_less_is_not() -> None:
    at = HOURS.open_at
    assert verdict(Heard(at, None, Word(PATIENCE.silence)), Held(1)) is Act.FLATTEN
    assert verdict(Heard(at, None, Word(PATIENCE.silence - 1)), Held(1)) is Act.NOTHING
    assert verdict(Heard(at, Word(PATIENCE.silence, PATIENCE.behind), None), Held(1)) is Act.FLATTEN
    assert verdict(Heard(at, Word(PATIENCE.silence, PATIENCE.behind - 1), None), Held(1)) is Act.NOTHING
