"""Each message of a run is in its table once, whatever is killed and whatever a producer repeats."""

from __future__ import annotations

import json
import signal
import threading
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from archive_messages import SECOND, intent_name, samples, tick_message
from clickhouse_process import start, wait_until
from loopback_ports import free_port

from flows.archive import Archive, open_archive, start_of
from infra.clickhouse import book
from infra.clickhouse.client import connect
from infra.clickhouse.event_rows import SHAPES
from infra.clickhouse.inserts import Insert, Inserter
from infra.eventlog import open_log
from kitepilot.events import AnyEvent, ApprovedIntent, Filled, Marked, encode
from kitepilot.ports import EventLog, LogRecord
from kitepilot.run import Run
from kitepilot.topics import TOPICS

pytestmark = pytest.mark.stack

ARCHIVE = (
    "from kitepilot.run import current; from flows.archive import main; raise SystemExit(main(current()))"
)
TABLES = ["ticks", *SHAPES]


def new_log(run: Run) -> EventLog:
    """The log of a home shared with other tests: this run begins at its present ends."""
    log = open_log(run)
    log.create_topics(TOPICS)
    starts = {topic.name: log.end_offset(topic.name) for topic in TOPICS}
    (run.folder / "start_offsets.json").write_text(json.dumps(starts))
    return log


def read_all(log: EventLog, run: Run) -> list[LogRecord]:
    """The run's records, topics interleaved."""
    reader = log.reader(start_of(run))
    found: list[LogRecord] = []
    while records := reader.poll(1000):
        found += records
    reader.close()
    starts = run.start_offsets()
    return sorted(found, key=lambda record: record.offset - starts[record.topic])


def ours(event: AnyEvent, run: Run) -> AnyEvent:
    """An intent is archived only if it is one of the run."""
    if not isinstance(event, ApprovedIntent):
        return event
    return msgspec.structs.replace(event, run_id=run.run_id, config_hash=run.config_hash)


def write_day(log: EventLog, run: Run, first: int, count: int) -> None:
    """`count` rounds of every event, and a ticks message each."""
    for seq in range(first, first + count):
        for topic, events in samples(seq).items():
            log.append(topic, [encode(ours(event, run), emitted_at=9) for event in events])
        log.append("ticks", [tick_message(seq * 100, 100, clock=True)])


def counts(run: Run) -> dict[str, int]:
    with connect(run, "api") as client:
        return {
            table: client.query(
                f"SELECT count() FROM {table} WHERE run_id = {{run:String}}", parameters={"run": run.run_id}
            ).result_rows[0][0]
            for table in TABLES
        }


def expected(rounds: int) -> dict[str, int]:
    """Rows per table after `rounds` rounds of `write_day`."""
    per_round = dict.fromkeys(TABLES, 1) | {"ticks": 100, "marks": 2, "bars": 2, "features": 2, "scores": 2}
    return {table: rows * rounds for table, rows in (per_round | {"events": 14}).items()}


def one(run: Run, query: str) -> Any:
    with connect(run, "api") as client:
        return client.query(query, parameters={"run": run.run_id}).result_rows[0]


def test_a_backfilled_bar_stands_beside_the_one_made_from_ticks_and_says_so(run: Run) -> None:
    log = new_log(run)
    [made] = samples(0)["bars"]
    filled = msgspec.structs.replace(made, source="backfill", backfilled=True, volume=[130, 200])
    log.append("bars", [encode(made), encode(filled), encode(filled)])
    archive = open_archive(run, None)
    archive.add(read_all(log, run))
    archive.flush()
    rows = "FROM bars WHERE run_id = {run:String} AND token = 408065"
    assert one(run, f"SELECT groupArray(tuple(backfilled, volume)) {rows}") == ([(False, 100), (True, 130)],)


def test_every_kind_of_message_becomes_rows_that_say_the_same(run: Run) -> None:
    log = new_log(run)
    write_day(log, run, 0, 3)
    archive = open_archive(run, None)
    archive.add(read_all(log, run))
    archive.flush()

    assert counts(run) == expected(3)
    fills = {each["order_id"]: each for each in book.fills(run)}
    assert fills["f0"]["quantity"] == 5 and book.foreign_orders(run) == {"f0", "f1", "f2"}
    assert book.orders_by_broker(run) == set()
    fill = fills["o0"]
    assert (fill["order_id"], fill["quantity"], fill["price_paise"]) == ("o0", 10, 150_005)
    assert fill["at"] % SECOND == 123_456_789
    assert book.quantities(run) == {408065: (20, 10)}
    assert book.count_intents(run) == 3
    assert book.orders(run) == {f"o{n}": intent_name(n) for n in range(3)}
    assert one(
        run,
        "SELECT check_code, check_limit, toString(event_at_ist) FROM verdicts "
        "WHERE run_id = {run:String} ORDER BY seq LIMIT 1",
    ) == (["gross_exposure"] * 2, [2.0, 2.0], "2026-11-20 09:15:00.000000000")
    assert one(
        run, "SELECT names, values FROM features WHERE run_id = {run:String} AND token = 738561 LIMIT 1"
    ) == (["gap", "spread", "imbalance"], [3.0, 4.0, 5.0])
    assert one(
        run, "SELECT side, features, scores['lightgbm'] FROM signals WHERE run_id = {run:String} LIMIT 1"
    ) == ("", {"vwap_gap": 0.25}, 0.75)
    assert one(run, "SELECT hex(payload), count FROM dead_letters WHERE run_id = {run:String} LIMIT 1") == (
        "00FF",
        2,
    )
    assert one(
        run,
        "SELECT token, bid_paise, bid_quantity, toUnixTimestamp64Nano(received_at), last_paise FROM ticks "
        "WHERE run_id = {run:String} AND volume = 7",
    ) == (
        408065,
        [150_000, 149_995, 149_990, 149_985, 149_980],
        [10, 11, 12, 13, 14],
        1_795_146_300_000_000_007,
        150_007,
    )


def test_all_offsets_are_accounted_for_and_counted_by_fate(run: Run) -> None:
    log = new_log(run)
    write_day(log, run, 0, 2)
    log.append("session", [encode(samples(0)["session"][1])])  # a restarted producer repeats itself
    log.append("session", [b"\xc1 not msgpack"])
    quiet = Marked(
        source="market", seq=99, event_at=1, received_at=0, tokens=[], last_paise=[], bid_paise=[],
        ask_paise=[], quoted_at=[],
    )  # fmt: skip
    log.append("session", [encode(quiet)])
    log.append("ticks", [b"x" * 191, tick_message(0, 0, clock=True)])
    archive = open_archive(run, None)
    archive.add(read_all(log, run))
    archive.flush()

    by_topic = {count.topic: count for count in book.topic_counts(run)}
    session, ticks = by_topic["session"], by_topic["ticks"]
    assert (session.duplicates, session.dead, session.empty) == (1, 1, 1)
    assert (ticks.dead, ticks.empty, ticks.own_records) == (1, 1, 3)
    starts = run.start_offsets()
    for topic in TOPICS:
        logged = log.end_offset(topic.name) - starts[topic.name]
        assert book.archived_records(run)[topic.name] == logged
        assert book.next_offsets(run)[topic.name] == log.end_offset(topic.name)
        assert by_topic[topic.name].stored_rows == by_topic[topic.name].rows
    reasons = one(
        run, "SELECT groupArray(origin_topic), sum(length(payload)) FROM dead_letters "
        "WHERE run_id = {run:String} AND reason = 'undecodable'"
    )  # fmt: skip
    assert sorted(reasons[0]) == ["session", "ticks"]
    assert reasons[1] == 191 + len(b"\xc1 not msgpack")


def test_columns_of_unequal_length_are_dead_letters_and_the_rest_is_stored(run: Run) -> None:
    log = new_log(run)
    torn = samples(0)["session"][1]
    assert isinstance(torn, Marked)
    torn.last_paise.pop()
    huge = samples(1)["session"][1]
    assert isinstance(huge, Marked)
    huge.last_paise[0] = 1 << 63
    log.append("session", [encode(torn), encode(huge), encode(samples(2)["session"][1])])
    archive = open_archive(run, None)
    archive.add(read_all(log, run))
    archive.flush()
    assert {table: n for table, n in counts(run).items() if n} == {"marks": 2, "dead_letters": 2}


def test_what_a_topics_own_readers_refuse_takes_neither_a_row_nor_a_number(run: Run) -> None:
    """A stranger's message with a huge number must not make the producer's own look like repeats."""
    log = new_log(run)
    wanted = samples(0)
    fill = next(event for event in wanted["session"] if isinstance(event, Filled))
    absurd = msgspec.structs.replace(fill, seq=10**9, quantity=-1)
    stranger = msgspec.structs.replace(wanted["intents"][0], seq=10**9)
    log.append("session", [encode(absurd), *(encode(event) for event in wanted["session"])])
    log.append("intents", [encode(stranger), encode(ours(wanted["intents"][0], run))])
    archive = open_archive(run, None)
    archive.add(read_all(log, run))
    archive.flush()
    assert sum(book.quantities(run)[fill.token]) == 10
    assert book.count_intents(run) == 1
    assert {c.topic: (c.dead, c.duplicates) for c in book.topic_counts(run)} == {
        "session": (1, 0),
        "intents": (1, 0),
    }


class Crash(Exception):
    """The process dies here."""


class DyingInserter(Inserter):
    """The real inserter, but the process dies at one of its inserts: before it is sent, or once it landed."""

    def __init__(self, *of: Any, dies_at: int, landed: bool) -> None:
        super().__init__(*of)
        self.left, self.landed = dies_at, landed
        self.last: Insert | None = None

    def _send(self, insert: Insert) -> None:
        self.left -= 1
        if self.left == 0 and not self.landed:
            self.last = insert
            raise Crash
        super()._send(insert)
        if self.left == 0:
            raise Crash


@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("dies_at", [1, 7, 14, 15])
def test_a_crash_at_any_insert_of_a_flush_neither_loses_nor_doubles_a_row(
    run: Run, dies_at: int, landed: bool
) -> None:
    log = new_log(run)
    write_day(log, run, 0, 6)
    records = read_all(log, run)
    spool = run.folder / "archive.spool"
    dying = DyingInserter(connect(run, "sink"), spool, dies_at=dies_at, landed=landed)
    first = Archive(run.run_id, date(2026, 11, 20), start_of(run), dying)
    first.add(records[:-8])
    with pytest.raises(Crash):
        first.flush()

    # nothing was committed, so everything is read again, and cut elsewhere
    again = open_archive(run, None)
    if dying.last is not None:  # the insert that was still on its way when the process died lands only now
        Inserter(connect(run, "sink"), spool)._send(dying.last)
    for begin in range(0, len(records), 17):
        again.add(records[begin : begin + 17])
        again.flush()
    assert counts(run) == expected(6)


@pytest.mark.slow
def test_kill_9_of_the_archive_while_the_day_goes_on_leaves_exact_counts(run: Run) -> None:
    log = new_log(run)
    rounds, done = 400, threading.Event()

    def trade() -> None:
        for seq in range(rounds):
            write_day(log, run, seq, 1)
            if seq % 50 == 49:  # a producer was restarted and repeats its last messages
                log.append("orders", [encode(event) for event in samples(seq)["orders"]])
        done.set()

    trader = threading.Thread(target=trade)
    trader.start()
    spool = run.folder / "archive.spool"
    for _ in range(4):
        process = start(run, ARCHIVE, "archive")
        seen = changed_at(spool)
        wait_until(lambda seen=seen: changed_at(spool) > seen or done.is_set(), 30)
        process.kill()  # in the middle of a flush
        process.wait()
    trader.join()
    process = start(run, ARCHIVE, "archive")
    wait_until(lambda: _lag(log, run) == 0, 60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert counts(run) == expected(rounds)
    assert {c.topic: c.duplicates for c in book.topic_counts(run)}["orders"] == rounds // 50


def changed_at(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _lag(log: EventLog, run: Run) -> int:
    reached = book.next_offsets(run)
    starts = run.start_offsets()
    return sum(log.end_offset(t.name) - reached.get(t.name, starts[t.name]) for t in TOPICS)


def test_without_a_clickhouse_the_archive_says_so_in_one_line(tmp_path: Path) -> None:
    from clickhouse_process import new_run

    from infra.clickhouse.client import ClickHouseUnreachableError

    run = new_run(tmp_path, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ClickHouseUnreachableError, match="no ClickHouse answers at http://"):
        connect(run, "sink", wait_s=0.2)
