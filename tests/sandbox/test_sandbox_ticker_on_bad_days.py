"""Sockets that die, close, lie or are refused: what a raw client sees, how both ticker clients cope."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys

import pytest
from small_market import ALPHA, BETA, DAY, OPEN, S, SmallMarket, packet
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_client

from broker_adapter.kite.ticker import Down, Frame, Ticker, Up
from broker_adapter.kite.wire import BadFrame, decode, read_text
from broker_adapter.sandbox.faulty_frames import DAY_S, POISON
from kitepilot.market import calendar


@pytest.fixture
def venue(sandbox):
    """A market that runs at ten times the pace of a day, with a packet every second."""
    quotes = [(OPEN + n * S, packet(ALPHA, 500_00 + n, at=OPEN + n * S)) for n in range(3_000)]
    started = sandbox(SmallMarket(quotes, begins_at=OPEN - S), speed=10)
    started.start()
    return started


def arm(venue, fault: str, **more) -> None:
    assert venue.admin.post("/admin/faults", json={"fault": fault, **more}).status_code == 200


def struck(venue) -> int:
    return sum(row["hits"] for row in venue.admin.get("/admin/faults").json()["armed"])


def connect(venue, kite):
    return connect_client(venue.ticker_url(kite), max_queue=None)


def clock_of(frame: bytes | str) -> int:
    """Session time of a clock frame; 0 for any other."""
    if isinstance(frame, str) and '"data":"clock ' in frame:
        return int(json.loads(frame)["data"].split()[1])
    return 0


def next_text(socket, kind: str) -> str:
    while True:
        frame = socket.recv(timeout=10)
        if isinstance(frame, str) and json.loads(frame)["type"] == kind:
            return json.loads(frame)["data"]


def test_a_silent_socket_hears_nothing_more_while_a_new_one_hears_everything(venue):
    kite = venue.login()
    with contextlib.ExitStack() as stack:
        dead = stack.enter_context(connect(venue, kite))
        dead.recv(timeout=10)
        arm(venue, "silent_socket")
        venue.until(lambda _: struck(venue) == 1)
        silent_from = venue.state()["session_time_ns"]
        alive = stack.enter_context(connect(venue, kite))
        while clock_of(alive.recv(timeout=10)) < silent_from + 30 * S:
            pass
        heard = []
        with contextlib.suppress(TimeoutError):
            while True:  # what had arrived before the silence
                heard.append(dead.recv(timeout=0))
        assert max((clock_of(frame) for frame in heard), default=0) <= silent_from
        assert b"\0" not in heard[-1:]
        pong = dead.ping()
        while clock_of(alive.recv(timeout=10)) < silent_from + 60 * S:
            pass
        assert not pong.is_set()
        dead.socket.close()


def test_an_abrupt_close_is_no_closing_handshake(venue):
    with connect(venue, venue.login()) as socket:
        socket.recv(timeout=10)
        arm(venue, "abrupt_close")
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                socket.recv(timeout=10)
    assert closed.value.rcvd is None


@pytest.mark.parametrize("kind", sorted(POISON))
def test_poison_arrives_as_made_and_our_decoder_puts_it_aside(venue, kind):
    wanted = POISON[kind]
    with connect(venue, venue.login()) as socket:
        arm(venue, "poison_frame", parameters={"kind": kind})
        while (frame := socket.recv(timeout=10)) != wanted:
            pass
        assert next_text(socket, "message")  # the socket lives on
    if isinstance(frame, bytes):
        assert decode(frame, 0).bad
    else:
        assert isinstance(read_text(frame), BadFrame) or kind == "list"


def test_a_stale_tick_carries_yesterdays_stamp(venue):
    with connect(venue, venue.login()) as socket:
        venue.until(lambda state: state["session_time_ns"] > OPEN + 2 * S)
        socket.send(json.dumps({"a": "mode", "v": ["full", [ALPHA.token]]}))
        while not isinstance(frame := socket.recv(timeout=10), bytes) or len(frame) < 184:
            pass
        arm(venue, "stale_tick")
        stamps = [int.from_bytes(frame[64:68])]
        while stamps[-1] >= stamps[0]:
            frame = socket.recv(timeout=10)
            if isinstance(frame, bytes) and len(frame) > 184:
                stamps.append(int.from_bytes(frame[64:68]))
    assert calendar.ist_date(stamps[-1] * S) < DAY
    assert stamps[-2] - stamps[-1] <= DAY_S


def test_a_valid_token_is_refused_at_the_handshake_once(venue):
    kite = venue.login()
    arm(venue, "handshake_403")
    with pytest.raises(InvalidStatus) as refusal:
        connect(venue, kite)
    assert refusal.value.response.status_code == 403
    with connect(venue, kite) as socket:
        assert socket.recv(timeout=10)


def test_a_fourth_connection_is_taken_and_flagged(venue):
    kite = venue.login()
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connect(venue, kite)).recv(timeout=10)
        assert venue.state()["flagged_sockets"] == 0
        fourth = stack.enter_context(connect(venue, kite))
        while (said := next_text(fourth, "message")).startswith("clock"):
            pass
        assert "More than 3" in said
        assert venue.state()["flagged_sockets"] == 1


def test_skewed_stamps_reach_the_ticks_but_not_the_session_clock(venue):
    arm(venue, "clock_skew", parameters={"seconds": 7200})
    with connect(venue, venue.login()) as socket:
        socket.send(json.dumps({"a": "mode", "v": ["full", [ALPHA.token]]}))
        clock = 0
        while True:
            frame = socket.recv(timeout=10)
            clock = clock_of(frame) or clock
            if isinstance(frame, bytes) and len(frame) > 184 and clock:
                stamp = int.from_bytes(frame[64:68])
                if stamp > clock // S + 3600:
                    break
    assert abs(stamp - 7200 - clock // S) < 60


def test_unsubscribing_ends_the_ticks_and_nothing_is_restored_on_a_reconnect(venue):
    kite = venue.login()
    tokens = [ALPHA.token, BETA.token]
    with connect(venue, kite) as socket:
        socket.send(json.dumps({"a": "subscribe", "v": tokens}))
        venue.until(lambda state: state["subscribed_tokens"] == 2)
        socket.send(json.dumps({"a": "unsubscribe", "v": [BETA.token]}))
        venue.until(lambda state: state["subscribed_tokens"] == 1)
    venue.until(lambda state: state["sockets"] == 0)
    with connect(venue, kite) as socket:
        next_text(socket, "message")
        assert venue.state()["subscribed_tokens"] == 0


async def cope(venue, fault: str, **more) -> list[Frame]:
    """Our client on a subscribed socket that is struck; what it handed on until it was whole again."""
    kite = await asyncio.to_thread(venue.login)
    broker = venue.config.broker
    heard: list[Frame] = []
    whole = asyncio.Event()

    async def put(frame: Frame) -> None:
        heard.append(frame)
        if sum(isinstance(f, Up) for f in heard) == 2:
            whole.set()

    client = Ticker(
        broker.ticker_url, broker.api_key, lambda: kite.access_token, tokens=[ALPHA.token],
        idle_timeout_s=2.5, login_retry_s=0.2, login_look_s=0.1,
    )  # fmt: skip
    running = asyncio.create_task(client.run(put))
    try:
        await asyncio.to_thread(venue.until, lambda state: state["subscribed_tokens"] == 1)
        await asyncio.to_thread(arm, venue, fault, **more)
        await asyncio.wait_for(whole.wait(), 30)
        await asyncio.to_thread(venue.until, lambda state: state["subscribed_tokens"] == 1)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return heard


@pytest.mark.parametrize("fault", ["silent_socket", "abrupt_close"])
async def test_our_client_notices_a_dead_socket_and_subscribes_again_by_itself(venue, fault):
    heard = await cope(venue, fault)
    assert [type(frame) for frame in heard if isinstance(frame, Up | Down)][:3] == [Up, Down, Up]


STOCK_CLIENT = """
import sys
from kiteconnect import KiteTicker
root, token, instrument = sys.argv[1], sys.argv[2], int(sys.argv[3])
ticker = KiteTicker("kitepilot_paper", token, root=root)
def opened(ws, response):
    if ticker.factory.retries == 0 and not opened.before:
        ws.subscribe([instrument])
        ws.set_mode(ws.MODE_FULL, [instrument])
    opened.before = True
    print("OPEN", flush=True)
opened.before = False
ticker.on_connect = opened
ticker.on_close = lambda ws, code, reason: print("CLOSE", code, flush=True)
ticker.on_ticks = lambda ws, ticks: None
ticker.connect()
"""


def test_the_stock_ticker_comes_back_from_a_reset_and_subscribes_again(venue):
    kite = venue.login()
    words = [sys.executable, "-c", STOCK_CLIENT, venue.config.broker.ticker_url, kite.access_token]
    client = subprocess.Popen([*words, str(ALPHA.token)], stdout=subprocess.PIPE, text=True)
    try:
        assert client.stdout.readline() == "OPEN\n"
        venue.until(lambda state: state["subscribed_tokens"] == 1, timeout_s=30)
        arm(venue, "abrupt_close")
        assert client.stdout.readline() == "CLOSE 1006\n"
        assert client.stdout.readline() == "OPEN\n"
        venue.until(lambda state: state["subscribed_tokens"] == 1, timeout_s=30)
    finally:
        client.kill()
        client.wait()
