"""What a ticker client sees: packets byte for byte, modes, order frames, the session clock."""

from __future__ import annotations

import itertools
import json

import pytest
from small_market import ALPHA, BETA, DAY, INDEX, MS, OPEN, SESSION, S, SmallMarket, ist, packet
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as connect_client

from broker_adapter.sandbox.feed.port import SLICE_NS
from broker_adapter.sandbox.feed.synthetic import SyntheticMarket

INDEX_PACKET = b"".join(
    number.to_bytes(4) for number in (INDEX.token, 101_00, 102_00, 99_00, 100_00, 100_00, 100, OPEN // S)
)


def connect(url: str):
    """A client that takes in everything: one that stops reading would hold the session, and its own close."""
    return connect_client(url, max_queue=None)


def one_second() -> SmallMarket:
    return SmallMarket(
        [
            (OPEN + 10 * MS, packet(ALPHA, 500_00, [(499_95, 100)], [(500_05, 100)])),
            (OPEN + 20 * MS, packet(BETA, 2000_00)),
            (OPEN + 30 * MS, INDEX_PACKET),
            (OPEN + 600 * MS, packet(ALPHA, 501_00, [(500_95, 100)], [(501_05, 100)])),
            (OPEN + 700 * MS, b"seven b"),
        ],
        ends_at=OPEN + 2 * S,
    )


def bodies(frame: bytes) -> list[bytes]:
    found, at = [], 2
    for _ in range(int.from_bytes(frame[:2])):
        length = int.from_bytes(frame[at : at + 2])
        found.append(frame[at + 2 : at + 2 + length])
        at += 2 + length
    assert at == len(frame)
    return found


def clock_of(frame: str) -> int:
    message = json.loads(frame)
    assert message["type"] == "message"
    word, at = message["data"].split()
    assert word == "clock"
    return int(at)


def watch(socket, until: int) -> list[bytes | str]:
    """Frames up to and with the clock frame of `until`, heartbeats left out."""
    frames = []
    while True:
        frame = socket.recv(timeout=10)
        if frame == b"\0":
            continue
        frames.append(frame)
        if isinstance(frame, str) and '"message"' in frame and clock_of(frame) >= until:
            return frames


def subscribe(venue, socket, mode: str, tokens: list[int]) -> None:
    before = venue.state()["subscribed_tokens"]
    socket.send(json.dumps({"a": "subscribe", "v": tokens}))
    socket.send(json.dumps({"a": "mode", "v": [mode, tokens]}))
    socket.send(json.dumps({"a": "nonsense"}))  # its error frame says that what came before was done
    while True:
        frame = socket.recv(timeout=10)
        if isinstance(frame, str) and json.loads(frame)["type"] == "error":
            break
    assert venue.state()["subscribed_tokens"] == before + len(tokens)


@pytest.fixture
def venue(sandbox):
    return sandbox(one_second())


def test_a_full_mode_socket_gets_every_packet_as_the_feed_made_it_and_then_the_clock(venue):
    with connect(venue.ticker_url(venue.login())) as socket:
        assert clock_of(socket.recv(timeout=5)) == SESSION.pre_open_at
        subscribe(venue, socket, "full", [ALPHA.token, BETA.token, INDEX.token])
        venue.start()
        venue.ack(OPEN - 18 * S)
        frames = watch(socket, OPEN + S)
    clocks = [clock_of(frame) for frame in frames if isinstance(frame, str)]
    assert clocks == list(range(SESSION.pre_open_at + SLICE_NS, OPEN + S + 1, SLICE_NS))
    at_open = frames.index(f'{{"type":"message","data":"clock {OPEN + SLICE_NS}"}}')
    sent = [body for frame in frames[:at_open] if isinstance(frame, bytes) for body in bodies(frame)]
    alpha = packet(ALPHA, 500_00, [(499_95, 100)], [(500_05, 100)])
    assert sent == [alpha.tobytes(), packet(BETA, 2000_00).tobytes(), INDEX_PACKET]
    later = [body for frame in frames[at_open:] if isinstance(frame, bytes) for body in bodies(frame)]
    assert later[0][4:8] == (501_00).to_bytes(4) and later[1] == b"seven b"


def test_modes_cut_the_packets_and_strings_are_met_with_silence(venue):
    with connect(venue.ticker_url(venue.login())) as socket:
        socket.recv(timeout=5)
        socket.send(json.dumps({"a": "subscribe", "v": [str(ALPHA.token)]}))
        subscribe(venue, socket, "ltp", [BETA.token])
        subscribe(venue, socket, "quote", [ALPHA.token, INDEX.token])
        venue.start()
        venue.ack(OPEN - 18 * S)
        frames = watch(socket, OPEN + SLICE_NS)
    lengths = [len(body) for frame in frames if isinstance(frame, bytes) for body in bodies(frame)]
    assert lengths == [44, 8, 28]


def test_a_late_subscriber_gets_the_last_packet_at_once(venue):
    kite = venue.login()
    venue.start()
    venue.ack(OPEN)
    venue.until(lambda state: state["session_time_ns"] >= OPEN + 2 * S)
    with connect(venue.ticker_url(kite)) as socket:
        assert clock_of(socket.recv(timeout=5)) >= OPEN + 2 * S
        socket.send(json.dumps({"a": "mode", "v": ["full", [ALPHA.token]]}))
        while isinstance(frame := socket.recv(timeout=5), str):
            pass
    assert bodies(frame)[0][4:8] == (501_00).to_bytes(4)


def test_a_bad_token_is_refused_at_the_handshake(venue):
    with pytest.raises(InvalidStatus) as refusal:
        connect(f"{venue.config.broker.ticker_url}/?api_key=kitepilot_paper&access_token=nonsense")
    assert refusal.value.response.status_code == 403


def test_a_silent_market_still_beats(venue):
    with connect(venue.ticker_url(venue.login())) as socket:
        socket.recv(timeout=5)
        assert socket.recv(timeout=5) == b"\0"


def test_order_frames_reach_every_socket_before_the_clock_passes_them(sandbox):
    venue = sandbox(one_second(), latency_ms=30)
    kite = venue.login()
    with connect(venue.ticker_url(kite)) as first, connect(venue.ticker_url(kite)) as second:
        venue.start()
        venue.ack(OPEN - 19 * S)
        venue.until(lambda state: state["session_time_ns"] >= OPEN + S)
        order_id = kite.place_order(
            "regular", "NSE", "KPALPHA", "BUY", 150, "MIS", "LIMIT", 501.05, "IOC", tag="T00"
        )
        # nobody acks any more: the order arrives although session time is held
        venue.until(lambda state: state["trades"] == 1)
        venue.ack(OPEN - 18 * S)
        for socket in (first, second):
            frames = watch(socket, OPEN + S + SLICE_NS)
            told = [json.loads(f) for f in frames if isinstance(f, str) and '"order"' in f[:20]]
            assert [t["data"]["status"] for t in told] == ["UPDATE", "CANCELLED"]
            assert {t["data"]["order_id"] for t in told} == {order_id}
            assert told[0]["data"]["filled_quantity"] == 100 and told[0]["data"]["unfilled_quantity"] == 50


def test_the_day_ends_a_minute_after_the_close_even_if_the_feed_ends_early(venue):
    with connect(venue.ticker_url(venue.login())) as socket:
        venue.start()
        venue.ack(SESSION.close_at + 3600 * S)
        frames = watch(socket, SESSION.close_at + 60 * S)
    assert clock_of(frames[-1]) == SESSION.close_at + 60 * S
    assert venue.until(lambda state: state["state"] == "closed")["session_time_ns"] == clock_of(frames[-1])


def test_more_than_three_thousand_instruments_give_an_error_frame_and_the_socket_lives(sandbox):
    many = tuple(
        ALPHA._replace(token=n * 256 + 1, exchange_token=n, tradingsymbol=f"KP{n}") for n in range(1, 3003)
    )
    venue = sandbox(SmallMarket([], instruments=many))
    with connect(venue.ticker_url(venue.login())) as socket:
        socket.recv(timeout=5)
        socket.send(json.dumps({"a": "subscribe", "v": [row.token for row in many]}))
        while isinstance(frame := socket.recv(timeout=5), bytes):
            pass
        assert json.loads(frame)["type"] == "error"
        assert venue.until(lambda state: state["subscribed_tokens"] > 0)["subscribed_tokens"] == 3000


@pytest.mark.slow
def test_a_client_that_does_not_read_holds_the_session_and_loses_nothing(sandbox):
    market = SyntheticMarket(DAY, seed=5)
    venue = sandbox(market)
    tokens = [row.token for row in market.instruments]
    stood: list[int] = []

    def stands(state) -> bool:
        """Session time was the same, far from the end, thirty times in a row."""
        stood.append(state["session_time_ns"])
        return stood[-1] > OPEN and len(set(stood[-30:])) == 1 and len(stood) > 30

    with connect_client(venue.ticker_url(venue.login()), max_queue=1) as socket:
        subscribe(venue, socket, "full", tokens)
        venue.start()
        venue.ack(SESSION.close_at)
        assert venue.until(stands, timeout_s=30)["session_time_ns"] < ist("14:00")
        half_past_ten = ist("10:30")
        frames = watch(socket, half_past_ten)
        got = b"".join(body for f in frames if isinstance(f, bytes) for body in bodies(f))
        socket.socket.close()  # a client that vanishes does not hold the session for ever
    sent = itertools.takewhile(lambda piece: piece.until <= half_past_ten, market.slices())
    assert got == b"".join(piece.packets.tobytes() for piece in sent)
    assert venue.until(lambda state: state["sockets"] == 0)
