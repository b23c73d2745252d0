"""Backfill against a hand-made REST server of Kite's that answers as the test says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from broker_adapter.backfill import PORTION, SETTLE_NS, STRANGE_IN_A_ROW, Backfill
from broker_adapter.gaps import MINUTE_S, NS, Silence
from broker_adapter.kite.candle_requests import ATTEMPTS
from broker_adapter.kite.clock import VenueClock
from broker_adapter.kite.session import Session, save
from kitepilot import config as configuration
from kitepilot.events import Alarmed, BarsClosed, DeadLetter, canonical, decode
from kitepilot.run import Run

OPEN_S = 1_795_146_300  # 2026-11-20 09:15:00 IST
Answer = Callable[[int, int], tuple[int, bytes]]  # token, its how-manieth request -> status, body


def candles(token: int, minutes: Sequence[int]) -> bytes:
    """A candle for each minute after 09:15, its prices told by token and minute."""
    rows = [
        [f"2026-11-20T09:{15 + m:02d}:00+0530", token, token + m + 0.05, token, token, m] for m in minutes
    ]
    return json.dumps({"status": "success", "data": {"candles": rows}}).encode()


class Kite:
    """Remembers what was asked of it."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[tuple[int, str, str]] = []
        kite = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = parse_qs(url.query)
                token = int(url.path.split("/")[3])
                kite.asked.append((token, query["from"][0], query["to"][0]))
                assert self.headers["Authorization"] == "token kitepilot_paper:t"
                status, body = answer(token, sum(one[0] == token for one in kite.asked))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


class Floor:
    """A backfill with its clock and what it has put on the log."""

    def __init__(self, backfill: Backfill, clock: VenueClock, log: list[tuple[str, bytes]]) -> None:
        self.backfill, self.clock, self.log = backfill, clock, log

    def told(self, kind: type) -> list[object]:
        return [event for event in (decode(value) for _, value in self.log) if isinstance(event, kind)]

    @property
    def bars(self) -> dict[tuple[int, int], tuple[int, int, int]]:
        """(token, minute after 09:15) -> (open, high, volume)."""
        return {
            (token, (event.close_at // NS - OPEN_S) // MINUTE_S - 1): (opened, high, volume)
            for event in self.told(BarsClosed)
            if isinstance(event, BarsClosed) and event.backfilled and event.interval_s == MINUTE_S
            for token, opened, high, volume in zip(
                event.tokens, event.open_paise, event.high_paise, event.volume, strict=True
            )
        }

    async def done(self) -> None:
        """Session time runs until nothing is left to fetch."""
        async with asyncio.timeout(20):
            while self.backfill.waiting_minutes:
                self.clock.feed(max(self.clock.now(), OPEN_S * NS) + NS)
                await asyncio.sleep(0.001)


def a_run(folder: Path, port: int) -> Run:
    config = configuration.build({"broker": {"rest_url": f"http://127.0.0.1:{port}"}})
    run = Run("r", folder / "runs" / "r", config)
    run.folder.mkdir(parents=True, exist_ok=True)
    save(run, Session(api_key="kitepilot_paper", access_token="t", user_id="u", login_time=""))
    return run


@contextlib.asynccontextmanager
async def floor(
    folder: Path, kite: Kite, tokens: Sequence[int], log: list[tuple[str, bytes]] | None = None
) -> AsyncIterator[Floor]:
    thread = threading.Thread(target=kite.server.serve_forever, args=(0.01,))
    thread.start()
    log = [] if log is None else log
    clock = VenueClock()

    async def append(topic: str, values: Sequence[bytes]) -> None:
        log.extend((topic, value) for value in values)

    run = a_run(folder, kite.server.server_address[1])
    backfill = Backfill(run, tokens, clock, append, first_pause_s=0.001)
    task = asyncio.create_task(backfill.run())
    try:
        yield Floor(backfill, clock, log)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        kite.server.shutdown()
        thread.join()
        kite.server.server_close()


def silence(first: int, last: int) -> Silence:
    """A silence that touches minutes `first` to `last` after 09:15."""
    return Silence((OPEN_S + first * MINUTE_S + 30) * NS, (OPEN_S + last * MINUTE_S + 30) * NS)


async def test_the_missed_minutes_arrive_marked_and_in_order(tmp_path: Path) -> None:
    kite = Kite(lambda token, _: (200, candles(token, [2, 4])))  # nobody traded in minute 3
    async with floor(tmp_path, kite, [7, 8]) as desk:
        desk.backfill.missed(silence(2, 4))
        await desk.done()
        assert desk.backfill.take_count() == 4
    assert kite.asked == [(token, "2026-11-20 09:17:00", "2026-11-20 09:19:00") for token in (7, 8)]
    expected = {(t, m): (t * 100, (t + m) * 100 + 5, m) for t in (7, 8) for m in (2, 4)}
    assert desk.bars == expected
    messages = desk.told(BarsClosed)
    assert [m.seq for m in messages] == [0, 1, 2]  # type: ignore[attr-defined]
    assert len({m.source for m in messages}) == 1  # type: ignore[attr-defined]


async def test_a_minute_is_not_asked_for_before_it_is_settled(tmp_path: Path) -> None:
    kite = Kite(lambda token, _: (200, candles(token, [0])))
    async with floor(tmp_path, kite, [7]) as desk:
        due = (OPEN_S + MINUTE_S) * NS + SETTLE_NS
        desk.clock.feed(due - 1)
        desk.backfill.missed(silence(0, 0))
        for _ in range(20):
            await asyncio.sleep(0)
        assert desk.backfill.waiting_minutes == 1
        await desk.done()
    assert desk.clock.now() >= due
    assert desk.bars == {(7, 0): (700, 705, 0)}


async def test_a_backfill_that_was_killed_goes_on_and_repeats_its_numbers(tmp_path: Path) -> None:
    tokens = range(1, 2 * PORTION + 6)
    log: list[tuple[str, bytes]] = []
    down = threading.Event()

    def answer(token: int, _: int) -> tuple[int, bytes]:
        if token > PORTION + 3 and not down.is_set():
            down.set()
            return 503, b"{}"
        return 200, candles(token, [1])

    async with floor(tmp_path, Kite(answer), tokens, log) as desk:
        desk.backfill.missed(silence(1, 1))
        async with asyncio.timeout(20):
            while not down.is_set():
                desk.clock.feed(max(desk.clock.now(), OPEN_S * NS) + NS)
                await asyncio.sleep(0.001)
    finished = len(desk.told(BarsClosed))
    kept = (tmp_path / "runs" / "r" / "backfill.json").read_bytes()
    second = Kite(lambda token, _: (200, candles(token, [1])))
    async with floor(tmp_path, second, tokens, log) as desk:
        await desk.done()
    assert finished == 1, "one portion was on the log when it was killed"
    assert min(token for token, *_ in second.asked) == PORTION + 1
    assert desk.bars.keys() == {(token, 1) for token in tokens}

    (tmp_path / "runs" / "r" / "backfill.json").write_bytes(kept)  # killed before the file said so
    third = Kite(lambda token, _: (200, candles(token, [1])))
    async with floor(tmp_path, third, tokens, log) as desk:
        await desk.done()
    told = [event for event in desk.told(BarsClosed) if isinstance(event, BarsClosed)]
    assert len({(event.source, event.seq) for event in told}) == 3, "consumers drop what they have seen"
    assert len(told) == 5 and len({canonical(event) for event in told}) == 3, "a number says one thing"


async def test_a_broker_that_stumbles_is_asked_again(tmp_path: Path) -> None:
    def answer(token: int, nth: int) -> tuple[int, bytes]:
        return {1: (503, b""), 2: (429, b"{}"), 3: (502, b"<html>")}.get(nth, (200, candles(token, [0])))

    kite = Kite(answer)
    async with floor(tmp_path, kite, [7]) as desk:
        desk.backfill.missed(silence(0, 0))
        await desk.done()
    assert len(kite.asked) == 4
    assert desk.bars == {(7, 0): (700, 705, 0)}
    assert not desk.told(DeadLetter)


async def test_garbage_for_one_instrument_is_buried_and_the_others_are_filled(tmp_path: Path) -> None:
    garbage = candles(8, [0]).replace(b"8.05", b"8.051")
    refusal = b'{"status":"error","message":"invalid token"}'

    def answer(token: int, _: int) -> tuple[int, bytes]:
        return {8: (200, garbage), 9: (400, refusal)}.get(token, (200, candles(token, [0])))

    async with floor(tmp_path, Kite(answer), [7, 8, 9, 10]) as desk:
        desk.backfill.missed(silence(0, 0))
        await desk.done()
    assert desk.bars.keys() == {(7, 0), (10, 0)}
    letters = desk.told(DeadLetter)
    assert [(one.reason, one.payload, one.topic) for one in letters] == [  # type: ignore[attr-defined]
        ("not_backfilled", garbage, "bars"), ("not_backfilled", refusal, "bars"),
    ]  # fmt: skip
    assert not desk.told(Alarmed)


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (503, ATTEMPTS), (400, STRANGE_IN_A_ROW)])
async def test_a_broker_without_candles_is_given_up_with_an_alarm_and_asked_again_for_the_next_gap(
    tmp_path: Path, status: int, requests: int
) -> None:
    kite = Kite(lambda _, __: (status, b"{}"))
    tokens = range(1, 21)
    async with floor(tmp_path, kite, tokens) as desk:
        desk.backfill.missed(silence(0, 1))
        await desk.done()
        assert len(kite.asked) == requests
        [alarm] = desk.told(Alarmed)
        assert isinstance(alarm, Alarmed)
        assert (alarm.kind, alarm.subject, alarm.halts) == ("backfill", "09:15-09:16", False)
        assert desk.told(DeadLetter)[-1].count == len(tokens)  # type: ignore[attr-defined]
        desk.backfill.missed(silence(5, 5))
        await desk.done()
    assert len(kite.asked) == 2 * requests
    assert not desk.bars


async def test_what_was_given_before_the_broker_went_away_is_kept(tmp_path: Path) -> None:
    kite = Kite(lambda token, _: (200, candles(token, [0])) if token < 4 else (503, b""))
    async with floor(tmp_path, kite, range(1, 7)) as desk:
        desk.backfill.missed(silence(0, 0))
        await desk.done()
    assert desk.bars.keys() == {(1, 0), (2, 0), (3, 0)}
    assert [letter.count for letter in desk.told(DeadLetter)] == [3]  # type: ignore[attr-defined]


async def test_a_damaged_backlog_is_no_reason_not_to_start(tmp_path: Path) -> None:
    kite = Kite(lambda token, _: (200, candles(token, [0])))
    run = a_run(tmp_path, kite.server.server_address[1])
    (run.folder / "backfill.json").write_text("{")
    async with floor(tmp_path, kite, [7]) as desk:
        desk.backfill.missed(silence(0, 0))
        await desk.done()
    assert desk.bars.keys() == {(7, 0)}
