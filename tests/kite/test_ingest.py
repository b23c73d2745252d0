"""The ingester between a WebSocket server and the real log: order kept, nothing dropped, faults buried."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from test_ticker_frames import FULL, INDEX, INFY, QUOTE, container
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from broker_adapter import feed_records, ingest
from broker_adapter.feed_records import Batch, Beat, Translator
from broker_adapter.ingest import Ingester
from broker_adapter.kite.session import Session, save
from broker_adapter.kite.ticker import Binary, Down, Frame, Text, Up
from infra.eventlog import open_log
from kitepilot import config as configuration
from kitepilot.events import Alarmed, DeadLetter, DecisionParameters, InstrumentTerms, decode
from kitepilot.market.ticks import KIND_CLOCK, KIND_FEED, RECORD_BYTES, read_own_record, records
from kitepilot.ports import EventLog, LogError
from kitepilot.run import Run
from kitepilot.topics import DEAD_LETTER, SESSION, TICKS, TOPICS

Handler = Callable[[ServerConnection], Awaitable[None]]
Check = Callable[[ServerConnection, Request], Response | None]


def clock(at: int) -> str:
    return json.dumps({"type": "message", "data": f"clock {at}"})


def tick(volume: int) -> bytes:
    return container(FULL[:16] + volume.to_bytes(4, "big") + FULL[20:])


@contextlib.asynccontextmanager
async def ingesting(
    handler: Handler, folder: Path, mode: str = "paper", check: Check | None = None
) -> AsyncIterator[tuple[Run, EventLog, Ingester]]:
    async with serve(handler, "127.0.0.1", 0, process_request=check) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        config = configuration.build({"mode": mode, "broker": {"ticker_url": url, "idle_timeout_s": 2.0}})
        run = Run("r", folder / "runs" / "r", config)
        run.folder.mkdir(parents=True, exist_ok=True)
        save(run, Session(api_key="kitepilot_paper", access_token="t", user_id="u", login_time=""))
        log = open_log(run)
        log.create_topics(TOPICS)
        house = Ingester(run, log, [INFY])
        stopping = asyncio.Event()
        serving = asyncio.create_task(house.serve(stopping))
        try:
            yield run, log, house
        finally:
            stopping.set()
            await asyncio.wait_for(serving, 20)
            log.close()


def messages(log: EventLog, topic: str) -> list[bytes]:
    reader = log.reader({(topic, 0): 0})
    try:
        return [record.value for record in reader.poll(100_000)]
    finally:
        reader.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_ticks_and_clock_keep_their_order_and_none_is_missing(tmp_path: Path) -> None:
    count = 2_000

    async def handler(socket: ServerConnection) -> None:
        for number in range(count):
            await socket.send(tick(number))
            await socket.send(clock(number + 1))
        await socket.wait_closed()

    async with ingesting(handler, tmp_path) as (run, log, house):
        await until(lambda: house.counts.clocks == count)
        assert run.ready_file("ingest").exists()
    told = []
    for message in messages(log, TICKS.name):
        record = records(message)[0]
        if record["packet"]["token"]:
            told.append(("tick", int(record["packet"]["volume"])))
        else:
            kind, at, _, _ = read_own_record(message)
            told += [("clock", at)] if kind == KIND_CLOCK else []
    expected = [pair for n in range(count) for pair in (("tick", n), ("clock", n + 1))]
    assert told == expected
    counts = json.loads((run.folder / ingest.COUNTS_FILE).read_bytes())
    assert (counts["ticks"], counts["clocks"], counts["session_at"]) == (count, count, count)


async def test_the_feed_going_down_and_up_has_a_place_in_the_order(tmp_path: Path) -> None:
    connections = 0

    async def handler(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await socket.recv()
        await socket.recv()  # subscribed
        await socket.send(clock(connections))
        if connections == 1:
            await socket.close()
        await socket.wait_closed()

    async with ingesting(handler, tmp_path) as (_, log, house):
        await until(lambda: house.counts.clocks == 2)
        assert (house.counts.connects, house.counts.reconnects) == (2, 1)
    own = [read_own_record(m) for m in messages(log, TICKS.name)]
    assert [(kind, at, text.split()[:1]) for kind, at, _, text in own] == [
        (KIND_FEED, 0, ["up"]), (KIND_CLOCK, 1, []), (KIND_FEED, 1, ["down"]), (KIND_FEED, 1, ["up"]),
        (KIND_CLOCK, 2, []),
    ]  # fmt: skip


async def test_a_poisoned_frame_is_buried_with_its_bytes_and_the_day_goes_on(tmp_path: Path) -> None:
    poison = [container(FULL)[:-3], container(FULL[:99]), b"\0\1"]

    async def handler(socket: ServerConnection) -> None:
        for frame in poison:
            await socket.send(frame)
        await socket.send("{broken")
        await socket.send('{"type":"error","data":"too many instruments"}')
        await socket.send(tick(7))
        await socket.send(clock(9))
        await socket.wait_closed()

    async with ingesting(handler, tmp_path) as (_, log, house):
        await until(lambda: house.counts.clocks == 1)
        assert (house.counts.connects, house.counts.server_errors, house.counts.bad_frames) == (1, 1, 4)
    letters = [decode(value) for value in messages(log, DEAD_LETTER.name)]
    assert all(isinstance(letter, DeadLetter) and letter.reason == "bad_frame" for letter in letters)
    assert [letter.payload for letter in letters if isinstance(letter, DeadLetter)] == [
        poison[0], FULL[:99], poison[2], b"{broken",
    ]  # fmt: skip
    assert [letter.seq for letter in letters] == [0, 1, 2, 3]


async def test_live_time_is_the_machines_and_keeps_running_without_ticks(tmp_path: Path) -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with ingesting(handler, tmp_path, "live") as (_, log, house):
        await until(lambda: house.counts.clocks >= 5)
    times = [at for kind, at, _, _ in map(read_own_record, messages(log, TICKS.name)) if kind == KIND_CLOCK]
    gaps = np.diff(times) / 1e9
    assert (gaps >= 0.09).all()


async def test_a_frame_larger_than_a_message_is_split_between_records(tmp_path: Path) -> None:
    packets = feed_records.MESSAGE_RECORDS + 10

    async def handler(socket: ServerConnection) -> None:
        await socket.send(container(*[FULL] * packets))
        await socket.wait_closed()

    async with ingesting(handler, tmp_path) as (_, log, house):
        await until(lambda: house.counts.ticks == packets)
    sizes = [len(m) // RECORD_BYTES for m in messages(log, TICKS.name)]
    assert sizes == [1, feed_records.MESSAGE_RECORDS, 10]  # the first is the feed coming up


async def test_a_restarted_ingester_goes_on_counting_where_the_killed_one_was(tmp_path: Path) -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.send(tick(1))
        await socket.send(clock(1))
        await socket.wait_closed()

    for incarnation in (1, 2, 3):
        async with ingesting(handler, tmp_path) as (run, _, house):
            await until(lambda house=house, n=incarnation: house.counts.clocks == n)
            assert house.counts.feed == "up"
    counts = json.loads((run.folder / ingest.COUNTS_FILE).read_bytes())
    assert (counts["incarnations"], counts["ticks"], counts["clocks"], counts["connects"]) == (3, 3, 3, 3)


async def test_a_login_that_is_needed_calls_a_person_once(tmp_path: Path) -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        return connection.respond(403, "no\n")

    async with ingesting(ServerConnection.wait_closed, tmp_path, check=refuse) as (_, log, house):
        await until(lambda: house.counts.feed.startswith("down: login needed"))
        await until(lambda: log.end_offset(SESSION.name) == 1)
    [alarm] = [decode(value) for value in messages(log, SESSION.name)]
    assert isinstance(alarm, Alarmed)
    assert (alarm.kind, alarm.subject, alarm.halts, alarm.run_id) == ("feed", "ticker", False, "r")
    assert alarm.detail == "login needed: handshake refused"


SECOND = 1_000_000_000


class Desk:
    """A translator fed by hand, without sockets."""

    def __init__(self, folder: Path, mode: str = "paper") -> None:
        self.translator = Translator(Run("r", folder, configuration.build({"mode": mode})))
        self.batch = Batch()

    def hear(self, *frames: Frame | Beat) -> Desk:
        for frame in frames:
            self.translator.take(frame, self.batch)
        return self

    @property
    def feed(self) -> list[str]:
        own = [m for m in self.batch.ticks if len(m) == RECORD_BYTES and not m[8:12].strip(b"\0")]
        return [text for kind, _, _, text in map(read_own_record, own) if kind == KIND_FEED]


def test_packets_in_quote_mode_are_expected_until_the_mode_command_had_time_to_work(tmp_path: Path) -> None:
    early = container(QUOTE, INDEX[:28], FULL)
    desk = Desk(tmp_path).hear(Up(0), Binary(1, early), Binary(2, container(QUOTE[:8])))
    counts = desk.translator.counts
    assert (counts.before_mode, counts.ticks, counts.bad_frames) == (3, 1, 0)
    assert desk.batch.letters == []
    desk.hear(Binary(feed_records.MODE_TAKES_NS, container(QUOTE)))
    assert (counts.before_mode, counts.ticks) == (3, 2), "then it is on the log, and refused by the kernel"
    desk.hear(Down(2 * SECOND, "closed"), Up(60 * SECOND), Binary(61 * SECOND, container(QUOTE)))
    assert (counts.before_mode, counts.ticks) == (4, 2)


def test_a_feed_that_stays_down_is_told_once_for_each_reason(tmp_path: Path) -> None:
    closed, refused = Down(1, "closed: 1006"), Down(2, "login needed: handshake refused")
    desk = Desk(tmp_path).hear(closed, closed, refused, refused, refused, closed, Up(3), closed)
    assert desk.feed == [
        "down closed: 1006", "down login needed: handshake refused", "down closed: 1006", "up",
        "down closed: 1006",
    ]  # fmt: skip
    assert len(desk.batch.alarms) == 1


def test_in_paper_a_silence_lasts_as_long_as_session_time_ran_without_us(tmp_path: Path) -> None:
    desk = Desk(tmp_path).hear(Up(0), Text(1, clock(100)), Down(2, "closed"), Up(3), Binary(4, tick(1)))
    assert desk.batch.silences == []
    desk.hear(Text(5, clock(190)), Text(6, clock(191)))
    assert desk.batch.silences == [(100, 190)]


def test_live_a_silence_is_from_frame_to_frame_and_heartbeats_count(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "live").hear(Up(10), Binary(20, b"\0"), Beat(), Down(99, "silent"), Beat(), Up(100))
    assert desk.batch.silences == []
    assert desk.hear(Binary(107, tick(1)), Binary(108, tick(2))).batch.silences == [(20, 107)]


def test_the_silence_of_a_killed_ingester_is_seen_by_the_next(tmp_path: Path) -> None:
    first = Desk(tmp_path).hear(Up(0), Text(1, clock(100)))
    run = Run("r", tmp_path, configuration.build({}))
    second, batch = Translator(run, first.translator.counts), Batch()
    for frame in (Up(2), Text(3, clock(160))):
        second.take(frame, batch)
    assert batch.silences == [(100, 160)]


class FullDisk:
    """A log that takes nothing any more."""

    def append(self, topic: str, values: object, **_: object) -> int:
        raise LogError("no space left in the log's folder")


async def test_a_log_that_fails_ends_the_process_with_its_reason(tmp_path: Path) -> None:
    config = configuration.build({"broker": {"ticker_url": "ws://127.0.0.1:9"}})
    run = Run("r", tmp_path / "runs" / "r", config)
    run.folder.mkdir(parents=True)
    with pytest.raises(LogError, match="no space left"):
        await asyncio.wait_for(Ingester(run, FullDisk(), [INFY]).serve(asyncio.Event()), 10)  # type: ignore[arg-type]


def test_without_the_runs_parameters_the_process_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run("r", tmp_path, configuration.Config())
    assert ingest.main(run) == 1
    assert "parameters.json" in capsys.readouterr().err


def test_the_process_ingests_until_sigterm_and_writes_its_counts(tmp_path: Path) -> None:
    served = threading.Event()

    asked: list[str] = []

    async def handler(socket: ServerConnection) -> None:
        asked.append(str(await socket.recv()))
        await socket.send(tick(1))
        await socket.send(clock(1))
        await socket.wait_closed()

    async def venue(ready: queue.Queue[int], done: asyncio.Event) -> None:
        async with serve(handler, "127.0.0.1", 0) as server:
            ready.put(server.sockets[0].getsockname()[1])
            await done.wait()

    ready: queue.Queue[int] = queue.Queue()
    loop = asyncio.new_event_loop()
    done = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(venue(ready, done)))
    thread.start()
    config = configuration.build({"broker": {"ticker_url": f"ws://127.0.0.1:{ready.get(timeout=10)}"}})
    run = Run("r", tmp_path / "runs" / "r", config)
    run.folder.mkdir(parents=True)
    save(run, Session(api_key="kitepilot_paper", access_token="t", user_id="u", login_time=""))
    (run.folder / "parameters.json").write_bytes(msgspec.json.encode(watching(INFY)))
    open_log(run).create_topics(TOPICS)

    def stop_when_written() -> None:
        while not served.wait(0.02):
            if run.ready_file("ingest").exists() and len(messages(open_log(run), TICKS.name)) >= 3:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    stopper = threading.Thread(target=stop_when_written)
    stopper.start()
    assert ingest.main(run) == 0
    served.set()
    stopper.join()
    loop.call_soon_threadsafe(done.set)
    thread.join()
    loop.close()
    assert [json.loads(one) for one in asked] == [{"a": "subscribe", "v": [INFY]}]
    assert json.loads((run.folder / ingest.COUNTS_FILE).read_bytes())["ticks"] == 1


def watching(token: int) -> DecisionParameters:
    terms = InstrumentTerms(
        token=token, tradingsymbol="INFY", tick_size_paise=10, lot_size=1, closing_auction=True,
        entry_cutoff_at=0, square_off_at=0, force_flat_at=0, continuous_close_at=0,
    )  # fmt: skip
    return DecisionParameters(
        session_date="2026-11-20", open_at=0, close_at=0, instruments=(terms,), strategies=(),
        profile=configuration.Config().risk.profile(),
    )  # fmt: skip
