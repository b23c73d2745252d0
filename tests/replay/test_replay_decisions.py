"""A recorded session decided again: equal however it is cut; if not, the first difference by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent))
from recorded_day import RecordedDay, a_recorded_day, decisions_of, rewritten

from flows.replay import Verdict as Finding
from flows.replay import verify_decisions
from flows.replay.decisions import cause_of
from flows.replay.recorded import UnreadableRunError, open_recorded
from kitepilot.events import (
    AccountMarked,
    ApprovedIntent,
    Commanded,
    SignalRaised,
    Verdict,
    canonical,
    decode,
    encode,
    stream_hash,
)
from kitepilot.topics import DECISIONS, INTENTS, SESSION

Change = Callable[[str, int, bytes], list[bytes]]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> RecordedDay:
    return a_recorded_day(tmp_path_factory.mktemp("day"))


def found_after(day: RecordedDay, folder: Path, change: Change) -> tuple[RecordedDay, Finding]:
    other = rewritten(day, folder, change)
    return other, verify_decisions(other.recorded())


def messages_by_topic(finding: Finding) -> dict[str, int]:
    return {each.topic: each.messages for each in finding.streams}


def test_a_recorded_day_is_decided_again_byte_for_byte(day: RecordedDay) -> None:
    finding = verify_decisions(day.recorded())
    assert finding.equal, finding
    counted = messages_by_topic(finding)
    assert counted[DECISIONS.name] == len(decisions_of(day)) > 500
    assert counted[INTENTS.name] == len(day.values(INTENTS.name)) > 10, "the day must trade to prove anything"
    recorded = (decode(value) for value in decisions_of(day))
    assert finding.streams[0].sha256 == stream_hash(recorded)


@settings(max_examples=8, deadline=None)
@given(poll_records=st.integers(1, 4000), workers=st.integers(1, 3))
def test_neither_batch_size_nor_worker_count_changes_a_decision(
    day: RecordedDay, poll_records: int, workers: int
) -> None:
    finding = verify_decisions(day.recorded(), poll_records=poll_records, workers=workers)
    assert finding.equal
    assert [each.sha256 for each in finding.streams] == [
        each.sha256 for each in verify_decisions(day.recorded()).streams
    ]


def test_one_changed_number_in_a_verdict_is_named_with_both_sides_and_its_cause(
    day: RecordedDay, tmp_path: Path
) -> None:
    verdicts = [
        (at, event)
        for at, value in enumerate(decisions_of(day))
        if isinstance(event := decode(value), Verdict) and event.approved
    ]
    place, victim = verdicts[3]

    def one_paisa_more(topic: str, at: int, value: bytes) -> list[bytes]:
        if topic != DECISIONS.name or at != place:
            return [value]
        return [encode(replace(victim, limit_price_paise=victim.limit_price_paise + 1))]

    other, finding = found_after(day, tmp_path, one_paisa_more)
    difference = finding.difference
    assert finding.status == "differs" and difference is not None
    assert difference.fields() == [
        ("limit_price_paise", victim.limit_price_paise + 1, victim.limit_price_paise)
    ]
    assert (difference.topic, difference.seq, difference.kind) == (DECISIONS.name, victim.seq, "differs")
    assert messages_by_topic(finding)[DECISIONS.name] == victim.seq, "all before it agree"
    cause = cause_of(other.recorded(), difference)
    assert cause is not None
    signal = decode(cause.value)
    assert isinstance(signal, SignalRaised) and signal.signal_id == victim.signal_id


def test_an_intent_that_was_never_allowed_is_found(day: RecordedDay, tmp_path: Path) -> None:
    forged = replace(decode(day.values(INTENTS.name)[-1]), intent_id="A" * 18, quantity=1)  # type: ignore[type-var]
    assert isinstance(forged, ApprovedIntent)
    last = len(day.values(INTENTS.name)) - 1

    def one_more(topic: str, at: int, value: bytes) -> list[bytes]:
        more = topic == INTENTS.name and at == last
        return [value, encode(replace(forged, seq=forged.seq + 1))] if more else [value]

    _, finding = found_after(day, tmp_path, one_more)
    assert finding.difference is not None and finding.difference.kind == "only recorded"
    assert finding.difference.recorded is not None
    assert finding.difference.recorded.event == replace(forged, seq=forged.seq + 1)


def test_a_message_that_is_not_in_the_record_is_found(day: RecordedDay, tmp_path: Path) -> None:
    _, finding = found_after(
        day, tmp_path, lambda topic, at, value: [] if (topic, at) == (DECISIONS.name, 500) else [value]
    )
    assert finding.difference is not None
    assert (finding.difference.kind, finding.difference.seq) == ("not recorded", 500)


def test_what_a_crash_wrote_twice_is_equal_when_it_says_the_same(day: RecordedDay, tmp_path: Path) -> None:
    values = decisions_of(day)

    def epoch_again(topic: str, at: int, value: bytes) -> list[bytes]:
        if topic != DECISIONS.name or at != 300:
            return [value]
        again = [encode(replace(decode(each), emitted_at=5)) for each in values[280:301]]  # type: ignore[type-var]
        return [value, *again]

    _, finding = found_after(day, tmp_path, epoch_again)
    assert finding.equal
    assert finding.streams[0].repeated == 21


def test_a_repetition_that_says_something_else_is_a_difference(day: RecordedDay, tmp_path: Path) -> None:
    place, mark = next(
        (at, event)
        for at, value in enumerate(decisions_of(day))
        if at > 300 and isinstance(event := decode(value), AccountMarked)
    )

    def another_story(topic: str, at: int, value: bytes) -> list[bytes]:
        told_again = encode(replace(mark, realised_paise=mark.realised_paise + 1))
        return [value, told_again] if (topic, at) == (DECISIONS.name, place) else [value]

    _, finding = found_after(day, tmp_path, another_story)
    assert finding.difference is not None
    assert (finding.difference.kind, finding.difference.seq) == ("repeated differently", mark.seq)


def test_a_record_cut_off_in_the_middle_is_not_called_equal(day: RecordedDay, tmp_path: Path) -> None:
    half = len(decisions_of(day)) // 2
    _, finding = found_after(
        day, tmp_path, lambda topic, at, value: [] if topic == DECISIONS.name and at >= half else [value]
    )
    assert finding.status == "cut_short" and finding.difference is None
    assert finding.streams[0].messages == half


def test_what_came_after_the_days_end_need_not_have_been_decided(day: RecordedDay, tmp_path: Path) -> None:
    """The decision flow is stopped while the market still ticks: Ctrl-C."""
    said = [event for value in day.values(SESSION.name) if isinstance(event := decode(value), Commanded)]
    assert [event.command for event in said] == ["end_of_day"]
    last_decided = len(decisions_of(day)) - 1
    _, finding = found_after(
        day,
        tmp_path,
        lambda topic, at, value: [] if (topic, at) == (DECISIONS.name, last_decided) else [value],
    )
    assert finding.equal
    assert finding.notes, "and it is said"


def test_junk_on_the_topics_decides_nothing_and_hides_nothing(day: RecordedDay, tmp_path: Path) -> None:
    _, finding = found_after(
        day,
        tmp_path,
        lambda topic, at, value: (
            [b"\xc1 junk", value] if topic in (DECISIONS.name, INTENTS.name) and at == 2 else [value]
        ),
    )
    assert finding.equal
    assert finding.unreadable == 2


def test_a_session_of_which_records_are_gone_cannot_be_verified(day: RecordedDay) -> None:
    run = day.recorded()
    beyond = {**run.ends, SESSION.name: run.ends[SESSION.name] + 5}
    with pytest.raises(UnreadableRunError, match=f"'session' ends at offset {run.ends[SESSION.name]}"):
        open_recorded(run.run_id, _QuietLog(day), run.starts, beyond)


class _QuietLog:
    """The day's log, without waiting for records that nobody will write."""

    def __init__(self, day: RecordedDay) -> None:
        self._log = day.log

    def reader(self, start):  # type: ignore[no-untyped-def]
        reader = self._log.reader(start)
        poll = reader.poll
        reader.poll = lambda most, timeout_s=0.0: poll(most)  # type: ignore[method-assign]
        return reader

    def close(self) -> None: ...


def test_a_run_that_was_never_announced_is_told_apart(day: RecordedDay) -> None:
    run = day.recorded()
    with pytest.raises(UnreadableRunError, match="hold no start of paper-20261120-0007"):
        open_recorded("paper-20261120-0007", day.log, run.starts, run.ends)


def test_a_field_that_the_record_does_not_know_yet_gets_its_default(day: RecordedDay, tmp_path: Path) -> None:
    """Logs of an older version: new fields with defaults decode, and both sides then say the default."""
    import msgspec

    def older(topic: str, at: int, value: bytes) -> list[bytes]:
        if topic not in (DECISIONS.name, INTENTS.name, SESSION.name):
            return [value]
        fields = msgspec.msgpack.decode(value)
        for name in ("protection_bps", "attempt", "message", "emitted_at"):
            if fields.get(name) in (0, ""):
                del fields[name]
        return [msgspec.msgpack.encode(fields)]

    older_day, finding = found_after(day, tmp_path, older)
    assert sum(map(len, decisions_of(older_day))) <= sum(map(len, decisions_of(day)))
    assert finding.equal
    first = decode(older_day.values(INTENTS.name)[0])
    assert canonical(first) == canonical(decode(day.values(INTENTS.name)[0]))
