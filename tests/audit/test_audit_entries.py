"""What goes into the audit: every kind of message is in it, or is left out for a stated reason."""

from __future__ import annotations

import typing

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot import events as e
from kitepilot.audit import entries
from kitepilot.audit.acts import LOGGED_IN, Acted, encode_act
from kitepilot.ports import LogRecord
from kitepilot.topics import ACTS, DEAD_LETTER, SESSION, TICKS, TOPICS

COMMAND = e.Commanded(
    source="cli", seq=3, event_at=10, emitted_at=12, command_id="c-1", command="halt", by="owner"
)


def record(value: bytes, topic: str = SESSION.name) -> LogRecord:
    return LogRecord(topic, 0, 41, 99, b"", value)


def test_every_message_is_audited_or_left_out_for_a_reason() -> None:
    every = {*typing.get_args(e.AnyEvent), Acted}
    assert entries.AUDITED | entries.DATA.keys() == every
    assert not entries.AUDITED & entries.DATA.keys()
    assert all(len(reason.split()) > 3 for reason in entries.DATA.values())


def test_every_topic_with_something_to_audit_is_followed() -> None:
    data_alone = {"bars", "features", DEAD_LETTER.name, TICKS.name}
    assert {topic.name for topic in TOPICS} - data_alone == {topic.name for topic in entries.FOLLOWED}


def test_a_command_is_kept_word_for_word_with_who_said_it() -> None:
    said = entries.read(record(e.encode(COMMAND)), "paper-1", "")
    assert isinstance(said, e.Commanded)
    entry = entries.entry_of(said, record(e.encode(COMMAND)), "paper-1")
    assert entry is not None
    assert (entry.kind, entry.subject, entry.run_id, entry.log_offset) == ("commanded", "c-1", "paper-1", 41)
    assert msgspec.json.decode(entry.body, type=e.Commanded) == COMMAND


def test_a_login_is_an_act_of_its_name() -> None:
    act = Acted(
        source="cli-1", seq=0, event_at=5, act=LOGGED_IN, run_id="", subject="AB1234", by="me@desk",
        facts={"broker": "https://api.kite.trade"},
    )  # fmt: skip
    at = record(encode_act(act), ACTS.name)
    said = entries.read(at, "paper-1", "")
    assert isinstance(said, Acted)
    entry = entries.entry_of(said, at, "")
    assert entry is not None and (entry.kind, entry.subject, entry.run_id) == ("logged_in", "AB1234", "")


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([*(t.name for t in entries.FOLLOWED), ACTS.name]))
def test_rubbish_on_any_topic_becomes_a_record_that_holds_it(value: bytes, topic: str) -> None:
    said = entries.read(record(value, topic), "paper-1", "")
    assert isinstance(said, entries.Refused)
    entry = entries.unreadable(said, record(value, topic), "paper-1")
    body = msgspec.json.decode(entry.body)
    assert entry.kind == "unreadable" and body["length"] == len(value)
    assert msgspec.json.decode(f'"{body["bytes"]}"', type=bytes) == value


def test_numbers_and_letters_that_no_table_holds_are_no_way_to_stop_the_audit() -> None:
    huge = msgspec.structs.replace(COMMAND, event_at=2**63)
    assert isinstance(entries.read(record(e.encode(huge)), "paper-1", ""), entries.Refused)
    zero = msgspec.structs.replace(COMMAND, command_id="a\0b", source="x\0")
    entry = entries.entry_of(zero, record(e.encode(zero)), "paper-1")
    assert entry is not None
    assert "\0" not in entry.subject + entry.source + entry.body
