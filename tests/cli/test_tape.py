"""Reading a topic back: what cannot be read is counted, what was said twice is read once."""

from __future__ import annotations

from pathlib import Path

from infra.eventlog.sqlite_log import SqliteLog
from kitepilot import events as e
from kitepilot.cli.tape import Tape
from kitepilot.risk.admission import admit
from kitepilot.topics import SESSION, TOPICS


def marked(seq: int, last_paise: int = 100) -> bytes:
    event = e.Marked(
        source="market-0", seq=seq, event_at=seq, received_at=0, tokens=[257], last_paise=[last_paise],
        bid_paise=[100], ask_paise=[100], quoted_at=[0],
    )  # fmt: skip
    return e.encode(event, emitted_at=1)


def tape_of(folder: Path, values: list[bytes]) -> Tape:
    log = SqliteLog(folder)
    log.create_topics(TOPICS)
    log.append(SESSION.name, values)
    return Tape(log, SESSION.name, 0, len(values), decode=admit)


def test_garbage_and_repeats_are_counted_and_left_out(tmp_path: Path) -> None:
    tape = tape_of(tmp_path, [marked(0), b"\xc1", b"", marked(0), marked(1)])
    assert [event.seq for event in tape] == [0, 1]
    assert (tape.read, tape.undecodable, tape.repeated) == (5, 2, 1)


def test_what_the_decision_flow_refuses_is_not_folded_by_the_proof_either(tmp_path: Path) -> None:
    """And it takes no number: the same number said well afterwards counts."""
    tape = tape_of(tmp_path, [marked(0), marked(1, last_paise=-5), marked(1)])
    assert [(event.seq, event.last_paise) for event in tape if isinstance(event, e.Marked)] == [
        (0, [100]),
        (1, [100]),
    ]
    assert tape.undecodable == 1
