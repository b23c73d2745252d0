"""Topics and acts reach the audit once, whatever is killed, repeated, lost or not ours."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from day_tape import AUDITED, DATA, names, new_run, order_life, started, write

from flows.audit import Follower, acts_of, drain, topics_of
from infra.audit.acts import log_names, record_act
from infra.audit.reading import AuditBook, open_book
from infra.audit.trail import Trail, TrailError
from infra.audit.verification import verify_book
from infra.eventlog.sqlite_log import SqliteLog
from kitepilot import events as e
from kitepilot.audit.acts import LOGGED_IN
from kitepilot.audit.records import Record
from kitepilot.audit.streams import rolled
from kitepilot.run import RUN_FOLDER_VARIABLE, Run

pytestmark = pytest.mark.stack

PROCESS = "from kitepilot.run import current; from flows.audit import main; raise SystemExit(main(current()))"


@pytest.fixture
def run(tmp_path: Path, url: str) -> Run:
    return new_run(tmp_path, url)


@pytest.fixture
def log(run: Run) -> Iterator[SqliteLog]:
    log = SqliteLog(run.log_folder)
    yield log
    log.close()


@pytest.fixture
def book(url: str) -> Iterator[AuditBook]:
    with open_book(url) as opened:
        yield opened


def take_up(run: Run, trail_of: Callable[[str], Trail] = Trail) -> None:
    """One follower's life, to the ends of the logs."""
    trail = trail_of(run.config.storage.database_url)
    try:
        follower = Follower(trail, (topics_of(run), acts_of(run.home)))
        drain(follower)
        assert follower.behind() == 0
        follower.close()
    finally:
        trail.close()


def everything(book: AuditBook) -> list[Record]:
    return list(book.records())


def test_an_orders_whole_way_can_be_read_back_from_the_audit_alone(
    run: Run, log: SqliteLog, book: AuditBook
) -> None:
    for seq in range(3):
        write(log, order_life(run, seq))
    take_up(run)
    signal, intent, order = names(run, 1)
    story = book.order_story(order, 100)
    assert [(each.kind, json.loads(each.body).get("kind", "")) for each in story] == [
        ("signal_raised", ""), ("verdict", ""), ("approved_intent", ""), ("order_journaled", "submitting"),
        ("order_journaled", "accepted"), ("order_journaled", "fill"), ("order_updated", ""), ("filled", ""),
    ]  # fmt: skip
    assert book.order_story(intent, 100) == story
    raised, verdict = json.loads(story[0].body), json.loads(story[1].body)
    assert raised["signal_id"] == signal and raised["scores"] == {"lightgbm-7": 0.75}
    assert verdict["profile_version"] == 3 and verdict["checks"][0]["limit"] == 2.0
    assert {each.run_id for each in story} == {run.run_id}
    assert len(everything(book)) == 3 * AUDITED


def test_a_producer_that_was_started_again_is_heard_once(run: Run, log: SqliteLog, book: AuditBook) -> None:
    write(log, [*order_life(run, 0), *order_life(run, 1)])
    take_up(run)
    write(log, [*order_life(run, 1), *order_life(run, 2)])
    take_up(run)
    assert len(everything(book)) == 3 * AUDITED


def test_what_no_reader_takes_is_recorded_with_its_bytes_and_takes_no_number(
    run: Run, log: SqliteLog, book: AuditBook
) -> None:
    told = dict(order_life(run, 0))
    forged = msgspec.structs.replace(told["intents"], seq=10**9, config_hash="another")
    log.append("intents", [e.encode(forged), b"\xc1"])
    log.append("session", [e.encode(msgspec.structs.replace(told["session"], seq=10**9, quantity=-1))])
    write(log, order_life(run, 0))
    take_up(run)
    refused = [each for each in everything(book) if each.kind == "unreadable"]
    assert [each.topic for each in refused] == ["intents", "intents", "session"]
    body = json.loads(refused[0].body)
    assert "another" in body["why"]
    assert msgspec.json.decode(json.dumps(body["bytes"]), type=bytes) == e.encode(forged)
    assert len(everything(book)) == AUDITED + 3


def test_the_next_run_takes_up_what_was_said_while_no_audit_ran(
    run: Run, log: SqliteLog, book: AuditBook, url: str
) -> None:
    """Each run's numbers are its own, and so are its part of each topic and its digest."""
    write(log, [("session", started(run)), *order_life(run, 0)])
    take_up(run)
    write(log, order_life(run, 1))
    record_act(run.home, LOGGED_IN, "AB1234")
    second = new_run(run.home, url, number=2)
    write(log, [("session", started(second)), *order_life(second, 0)])
    take_up(second)
    by_run: dict[str, int] = {}
    for each in everything(book):
        by_run[each.run_id] = by_run.get(each.run_id, 0) + 1
    assert by_run == {run.run_id: 1 + 2 * AUDITED, second.run_id: 1 + AUDITED, "": 1}
    assert digests(book, url, second) == digests_of_the_log(log, second)
    session = next(s for s in streams(url, run) if s.topic == "session")
    assert (session.records, session.next_offset) == (9, second.start_offsets()["session"])


def test_acts_wait_for_the_audit_and_hold_who_did_them(run: Run, book: AuditBook) -> None:
    record_act(run.home, LOGGED_IN, "AB1234", broker="https://api.kite.trade")
    take_up(run)
    take_up(run)
    [login] = everything(book)
    assert (login.kind, login.subject, login.topic) == ("logged_in", "AB1234", "acts")
    assert "@" in json.loads(login.body)["by"]


def test_the_audit_says_what_it_could_not_read(run: Run, log: SqliteLog, book: AuditBook, url: str) -> None:
    """A log that lost its end, or was made anew: nothing is skipped in silence, and reading goes on."""
    write(log, order_life(run, 0))
    take_up(run)
    name, _ = log_names(run.home, "sqlite")
    with Trail(url)._connection as db:
        db.execute("UPDATE audit_streams SET next_offset = 99 WHERE log = %s AND topic = 'orders'", (name,))
    take_up(run)
    write(log, [each for each in order_life(run, 1) if each[0] == "orders"])
    take_up(run)
    gap = [each for each in everything(book) if each.kind == "gap"]
    assert [json.loads(each.body)["first_offset"] for each in gap] == [99]
    assert len(everything(book)) == AUDITED + 1 + 3


class DyingTrail(Trail):
    """The process dies at a write: before it is committed, or just after."""

    def __init__(self, url: str, *, committed: bool) -> None:
        super().__init__(url)
        self.committed = committed

    def append(self, *of: Any, **named: Any) -> Any:
        if self.committed:
            super().append(*of, **named)
        raise psycopg.OperationalError("the process died")


@pytest.mark.parametrize("committed", [True, False])
def test_a_death_at_any_write_neither_loses_nor_doubles_a_record(
    run: Run, log: SqliteLog, book: AuditBook, committed: bool
) -> None:
    take_up(run)
    for seq in range(6):
        write(log, order_life(run, seq))
        with pytest.raises(psycopg.OperationalError):
            take_up(run, lambda url: DyingTrail(url, committed=committed))
    take_up(run)
    assert_exactly_once(book, log, run, rounds=6)


def test_of_two_followers_one_is_refused_and_nothing_is_doubled(
    run: Run, log: SqliteLog, book: AuditBook, url: str
) -> None:
    first, second = (Follower(Trail(url), (topics_of(run), acts_of(run.home))) for _ in range(2))
    write(log, order_life(run, 0))
    first.step()
    with pytest.raises(TrailError, match="another process"):
        second.step()
    assert_exactly_once(book, log, run, rounds=1)


def test_kill_9_of_the_audit_at_random_moments_leaves_no_gap_and_no_double(
    run: Run, log: SqliteLog, book: AuditBook, url: str, tmp_path: Path
) -> None:
    rounds, chance, done = 120, random.Random(4), threading.Event()

    def trade() -> None:
        for seq in range(rounds):
            write(log, order_life(run, seq))
        done.set()

    trader = threading.Thread(target=trade)
    trader.start()
    for _ in range(3):
        process = start(run, tmp_path)
        before, within = book.last_seq(), time.monotonic() + 60
        grown = before + chance.randrange(1, 300)
        while book.last_seq() < min(grown, rounds * AUDITED) and time.monotonic() < within:
            time.sleep(chance.random() / 50)
        process.kill()
        process.wait(20)
    trader.join(120)
    assert done.is_set()
    run.ready_file("audit").unlink(missing_ok=True)
    process = start(run, tmp_path)
    deadline = time.monotonic() + 90
    while book.last_seq() < rounds * AUDITED or not run.ready_file("audit").exists():
        assert process.poll() is None and time.monotonic() < deadline, book.last_seq()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert_exactly_once(book, log, run, rounds)


def start(run: Run, folder: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {RUN_FOLDER_VARIABLE: str(run.folder)}
    with (folder / "audit.err").open("ab") as err:
        return subprocess.Popen([sys.executable, "-c", PROCESS], env=environment, stderr=err)


def assert_exactly_once(book: AuditBook, log: SqliteLog, run: Run, rounds: int) -> None:
    records = everything(book)
    places = [(each.topic, each.log_offset) for each in records]
    assert len(places) == len(set(places)) == rounds * AUDITED
    assert [each.seq for each in records] == list(range(1, len(records) + 1))
    assert verify_book(book, run.home).flaw is None
    found = digests(book, run.config.storage.database_url, run)
    assert found == digests_of_the_log(log, run)
    assert sum(count for count, _ in found.values()) == rounds * (AUDITED + DATA)


def streams(url: str, run: Run) -> list[Any]:
    trail = Trail(url)
    found = trail.streams_of(run.run_id)
    trail.close()
    return found


def digests(book: AuditBook, url: str, run: Run) -> dict[str, tuple[int, bytes]]:
    return {each.topic: (each.records, each.digest) for each in streams(url, run) if each.records}


def digests_of_the_log(log: SqliteLog, run: Run) -> dict[str, tuple[int, bytes]]:
    """Records and digest of each followed topic, made from the log itself."""
    found = {}
    for topic in ("session", "decisions", "intents", "orders", "postbacks"):
        reader = log.reader({(topic, 0): run.start_offsets()[topic]})
        count, digest = 0, bytes(32)
        while records := reader.poll(1_000):
            for record in records:
                count, digest = count + 1, rolled(digest, record.value)
        reader.close()
        if count:
            found[topic] = (count, digest)
    return found
