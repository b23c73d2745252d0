"""How long the others have been silent, by the watchdog's own clock; and its last words on a full disk."""

from __future__ import annotations

import errno
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_adapter.watchdog import journal
from broker_adapter.watchdog.journal import Journal
from broker_adapter.watchdog.reserve import BYTES, FILE, Reserve
from broker_adapter.watchdog.words import MOST_BETWEEN_LOOKS_NS, DecisionsEar, Silence, Words
from infra.eventlog import open_log
from infra.fence import Fence
from kitepilot import events as e
from kitepilot.config import Config
from kitepilot.ports import EventLog, LogError
from kitepilot.run import Run
from kitepilot.topics import DECISIONS, TOPICS

AT = 1_795_146_300_000_000_000


class Clock:
    """A machine clock that is moved by hand."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


@given(st.lists(st.tuples(st.integers(0, 10**10), st.booleans()), max_size=30))
def test_silence_adds_up_from_the_last_word_and_never_counts_time_we_slept_through(
    looks: list[tuple[int, bool]],
) -> None:
    clock = Clock()
    silence, word, expected = Silence(clock), 0, 0
    silence.look(word)
    for passed, spoke in looks:
        clock.ns += passed
        word += spoke
        expected = 0 if spoke else expected + min(passed, MOST_BETWEEN_LOOKS_NS)
        assert silence.look(word) == expected


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = tmp_path / "runs" / "paper-20261120-0001"
    folder.mkdir(parents=True)
    made = Run(folder.name, folder, Config())
    log = open_log(made)
    log.create_topics(TOPICS)
    log.append(DECISIONS.name, [e.encode(mark(0), emitted_at=0)])  # of an earlier run
    (folder / "start_offsets.json").write_text(
        json.dumps({topic.name: log.end_offset(topic.name) for topic in TOPICS})
    )
    log.close()
    return made


def mark(number: int) -> e.AccountMarked:
    return e.AccountMarked(
        source="decisions", seq=number, event_at=AT + number, run_id="r", state=e.TradingState.ACTIVE,
        realised_paise=0, unrealised_paise=0, charges_paise=0, open_positions=0, gross_exposure_paise=0,
        working_orders=0, oldest_working_at=0, orders=0, fills=0,
    )  # fmt: skip


def await_heard(ear: DecisionsEar, wanted: int) -> None:
    deadline = time.monotonic() + 30
    while ear.heard is None or ear.heard[1] != wanted:
        assert time.monotonic() < deadline, f"heard {ear.heard}, trouble {ear.trouble!r}"
        time.sleep(0.02)


def test_the_decisions_of_an_earlier_run_are_not_this_ones_word(run: Run) -> None:
    ear = DecisionsEar(run)
    words = Words(Fence(run.folder), ear)
    assert words.decisions(AT) is None and words.gateway() is None
    ear.start()
    log = open_log(run)
    log.append(DECISIONS.name, [e.encode(mark(5), emitted_at=0), b"nobody can read this"])
    await_heard(ear, AT + 5)
    word = words.decisions(AT + 12)
    assert word is not None and word.behind_ns == 7
    log.close()
    ear.stop()


def test_a_watchdog_that_starts_late_hears_the_last_word_that_was_said(run: Run) -> None:
    log = open_log(run)
    log.append(DECISIONS.name, [e.encode(mark(number), emitted_at=0) for number in range(1, 4)])
    ear = DecisionsEar(run)
    ear.start()
    await_heard(ear, AT + 3)
    log.close()
    ear.stop()


def test_a_log_that_fails_is_opened_again_until_it_can_be_read(run: Run) -> None:
    tries: list[int] = []

    def failing(of: Run) -> EventLog:
        tries.append(1)
        if len(tries) == 1:
            raise LogError("no broker")
        return open_log(of)

    log = open_log(run)
    log.append(DECISIONS.name, [e.encode(mark(1), emitted_at=0)])
    ear = DecisionsEar(run, failing)
    ear.start()
    await_heard(ear, AT + 1)
    assert len(tries) == 2
    log.close()
    ear.stop()


def test_on_a_full_disk_the_reserve_makes_room_once(tmp_path: Path) -> None:
    reserve, tries = Reserve(tmp_path), []
    assert (tmp_path / FILE).stat().st_size == BYTES

    def full() -> str:
        tries.append(1)
        if (tmp_path / FILE).exists():
            raise OSError(errno.ENOSPC, "no space left on device")
        return "written"

    assert reserve.write(full) == "written" and len(tries) == 2

    def still_full() -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with pytest.raises(OSError, match="no space"):
        reserve.write(still_full)


def test_a_line_that_was_torn_when_the_machine_died_is_passed_over(tmp_path: Path) -> None:
    first = Journal(tmp_path, "r")
    first.write("fence", 1, 2, "why")
    first.close()
    path = tmp_path / journal.FILE
    path.write_bytes(path.read_bytes() + b'{"seq":1,"at":3,"ki')
    second = Journal(tmp_path, "r")
    second.write("flat", 4, 5)
    second.close()
    assert [(line.seq, line.kind) for line in journal.read(path)] == [(0, "fence"), (1, "flat")]
