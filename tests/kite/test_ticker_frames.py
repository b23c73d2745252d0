"""Frames of the ticker: golden packets, the stock client as oracle, and everything malformed."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kiteconnect import KiteTicker

from broker_adapter.kite import wire
from broker_adapter.sandbox.packets import mixed
from kitepilot.market.ticks import PACKET_DTYPE, RECORD_BYTES, records

INFY, NIFTY = 408065, 256265
RECEIVED = 1_795_146_300_123_456_789
GOLDEN_AT = 1_625_461_887  # 2021-07-05 10:41:27 IST
BIDS = [(5, 157340, 1), (140, 157300, 2), (2, 157295, 1), (219, 157290, 7), (50, 157285, 1)]
ASKS = [(172, 157370, 3), (44, 157375, 3), (302, 157385, 3), (141, 157390, 2), (724, 157395, 5)]
FULL = struct.pack(
    ">16I", INFY, 157370, 7, 157037, 1192471, 256443, 363009, 156915, 157500, 156105, 156780, GOLDEN_AT,
    0, 0, 0, GOLDEN_AT,
) + b"".join(struct.pack(">IIHH", *level, 0) for level in BIDS + ASKS)  # fmt: skip
QUOTE = struct.pack(">11I", INFY, 157315, 1, 157033, 1175986, 256511, 360503, 156915, 157500, 156105, 156780)
INDEX = struct.pack(">8I", NIFTY, 1583405, 1584540, 1576205, 1579335, 1572220, 11185, GOLDEN_AT)


def container(*packets: bytes) -> bytes:
    return struct.pack(">H", len(packets)) + b"".join(struct.pack(">H", len(p)) + p for p in packets)


def test_the_golden_full_packet_keeps_every_field() -> None:
    (record,) = records(wire.decode(container(FULL), RECEIVED).records)
    packet = record["packet"]
    assert record["received_at"] == RECEIVED
    assert [int(packet[f]) for f in ("token", "last_price", "last_quantity", "average_price", "volume")] == [
        INFY, 157370, 7, 157037, 1192471,
    ]  # fmt: skip
    assert [int(packet[f]) for f in ("open", "high", "low", "close")] == [156915, 157500, 156105, 156780]
    assert int(packet["exchange_time"]) == int(packet["last_trade_time"]) == GOLDEN_AT
    assert [tuple(map(int, (b["quantity"], b["price"], b["orders"]))) for b in packet["bids"]] == BIDS
    assert [tuple(map(int, (a["quantity"], a["price"], a["orders"]))) for a in packet["asks"]] == ASKS


def test_an_index_packet_is_padded_to_a_record() -> None:
    decoded = wire.decode(container(FULL, INDEX, FULL), RECEIVED)
    rows = records(decoded.records)
    assert decoded.bad == ()
    assert [int(t) for t in rows["packet"]["token"]] == [INFY, NIFTY, INFY]
    assert decoded.records[RECORD_BYTES + 8 :][: len(INDEX)] == INDEX
    assert not any(decoded.records[RECORD_BYTES + 8 + len(INDEX) : 2 * RECORD_BYTES])


def test_quote_and_ltp_packets_carry_what_they_have() -> None:
    rows = records(wire.decode(container(QUOTE, FULL[:8]), RECEIVED).records)
    assert [int(v) for v in rows["packet"]["volume"]] == [1175986, 0]
    assert [int(v) for v in rows["packet"]["last_price"]] == [157315, 157370]


NOBODY = [{"quantity": 0, "price": 0.0, "orders": 0}] * 5


def stock_ticks(frame: bytes) -> list[dict[str, Any]]:
    return KiteTicker("key", "token")._parse_binary(frame)


def paise(rupees: float) -> int:
    return round(rupees * 100)


def agrees_as_tradable(mine: np.void, tick: dict[str, Any]) -> None:
    """Every field the stock client's tick has, in the unit of ours."""
    same = {
        "last_traded_quantity": "last_quantity", "volume_traded": "volume", "oi": "oi",
        "total_buy_quantity": "total_buy_quantity", "total_sell_quantity": "total_sell_quantity",
        "oi_day_high": "oi_high", "oi_day_low": "oi_low",
    }  # fmt: skip
    assert {theirs: int(mine[ours]) for theirs, ours in same.items() if theirs in tick} == {
        theirs: tick[theirs] for theirs in same if theirs in tick
    }
    assert int(mine["average_price"]) == paise(tick.get("average_traded_price", 0))
    assert [int(mine[f]) for f in ("open", "high", "low", "close")] == [
        paise(tick.get("ohlc", {}).get(f, 0)) for f in ("open", "high", "low", "close")
    ]
    for theirs, ours in (("last_trade_time", "last_trade_time"), ("exchange_timestamp", "exchange_time")):
        stamp = tick.get(theirs)
        assert int(mine[ours]) == (stamp.timestamp() if stamp else 0)
    depth = tick.get("depth", {"buy": NOBODY, "sell": NOBODY})
    for theirs, ours in (("buy", "bids"), ("sell", "asks")):
        levels = [(one["quantity"], paise(one["price"]), one["orders"]) for one in depth[theirs]]
        assert [(int(o["quantity"]), int(o["price"]), int(o["orders"])) for o in mine[ours]] == levels


def agrees_as_index(record: bytes, tick: dict[str, Any]) -> None:
    """An index packet has a layout of its own, padded to a record."""
    high, low, opened, close, _, stamp = struct.unpack_from(">6I", record, 16)
    ohlc = tick.get("ohlc", {})
    assert [opened, high, low, close] == [paise(ohlc.get(f, 0)) for f in ("open", "high", "low", "close")]
    assert stamp == (tick["exchange_timestamp"].timestamp() if "exchange_timestamp" in tick else 0)


def full_packet(random_bytes: bytes) -> bytes:
    """Any 180 bytes after a tradable NSE token."""
    return struct.pack(">I", INFY) + random_bytes


def index_packet(random_bytes: bytes) -> bytes:
    return struct.pack(">I", NIFTY) + random_bytes


tradables = st.tuples(st.binary(min_size=180, max_size=180).map(full_packet), st.sampled_from([8, 44, 184]))
indices = st.tuples(st.binary(min_size=28, max_size=28).map(index_packet), st.sampled_from([8, 28, 32]))
goldens = st.sampled_from([(FULL, 184), (QUOTE, 44), (FULL, 8), (INDEX, 32), (INDEX, 28)])
any_packets = st.lists(st.one_of(tradables, indices, goldens).map(lambda p: p[0][: p[1]]), max_size=20)


@given(any_packets)
def test_every_field_of_every_mode_agrees_with_the_stock_client(packets: list[bytes]) -> None:
    frame = container(*packets)
    decoded = wire.decode(frame, RECEIVED)
    ours, theirs = records(decoded.records), stock_ticks(frame)
    assert decoded.bad == ()
    assert len(ours) == len(theirs) == len(packets)
    for number, (record, tick) in enumerate(zip(ours, theirs, strict=True)):
        packet = record["packet"]
        assert (int(record["received_at"]), int(packet["token"])) == (RECEIVED, tick["instrument_token"])
        assert int(packet["last_price"]) == paise(tick["last_price"])
        if tick["tradable"]:
            agrees_as_tradable(packet, tick)
        else:
            agrees_as_index(decoded.records[number * RECORD_BYTES :][:RECORD_BYTES], tick)


@given(any_packets)
def test_packets_without_exchange_time_are_left_out_on_request_and_counted(packets: list[bytes]) -> None:
    whole = wire.decode(container(*packets), RECEIVED)
    timed = wire.decode(container(*packets), RECEIVED, timed_only=True)
    kept = [packet for packet in packets if len(packet) in (32, 184)]
    assert timed == wire.Decoded(
        wire.decode(container(*kept), RECEIVED).records, (), len(packets) - len(kept)
    )
    assert whole.untimed == 0


@given(
    st.lists(
        st.tuples(st.binary(min_size=180, max_size=180).map(full_packet), st.integers(1, 3)), max_size=30
    )
)
def test_what_the_sandbox_sends_reads_the_same_in_both_clients(rows: list[tuple[bytes, int]]) -> None:
    packets = np.frombuffer(b"".join(packet for packet, _ in rows), dtype=PACKET_DTYPE)
    frames = mixed(packets, np.array([mode for _, mode in rows], dtype=np.uint8))
    theirs = [tick for frame in frames for tick in stock_ticks(frame)]
    ours = records(b"".join(wire.decode(frame, RECEIVED).records for frame in frames))
    assert [tick["mode"] for tick in theirs] == [("ltp", "quote", "full")[mode - 1] for _, mode in rows]
    for record, tick in zip(ours, theirs, strict=True):
        agrees_as_tradable(record["packet"], tick)


@given(st.integers(1, 300), st.randoms(use_true_random=False))
def test_the_quick_way_and_the_careful_way_agree(count: int, random: object) -> None:
    rng = np.random.default_rng(count)
    packets = [struct.pack(">I", INFY + 256 * i) + rng.bytes(180) for i in range(count)]
    frame = container(*packets)
    careful = wire._one_by_one(frame, count, RECEIVED)
    assert wire.decode(frame, RECEIVED) == careful
    assert careful.bad == ()


def test_a_heartbeat_is_no_tick_and_no_fault() -> None:
    assert wire.decode(b"\0", RECEIVED) == wire.Decoded(b"", ())


@pytest.mark.parametrize(
    ("frame", "kept", "reason"),
    [
        (b"", 0, "0 bytes"),
        (container(FULL)[:-1], 0, "is cut: 183 of 184"),
        (container(FULL, FULL[:100], FULL), 2, "100 bytes has no known layout"),
        (container(FULL) + b"xyz", 1, "3 bytes after the last"),
        (struct.pack(">H", 3) + container(FULL)[2:], 1, "ends before packet 2 of 3"),
        (container(FULL, b""), 1, "0 bytes has no known layout"),
        (container(FULL, bytes(184)), 1, "token 0"),
        (container(INDEX + bytes(152)), 0, "no known layout for its segment"),
        (container(FULL[:32]), 0, "no known layout for its segment"),
    ],
)
def test_a_malformed_frame_keeps_its_good_packets_and_says_what_is_wrong(
    frame: bytes, kept: int, reason: str
) -> None:
    decoded = wire.decode(frame, RECEIVED)
    assert len(decoded.records) == kept * RECORD_BYTES
    (bad,) = decoded.bad
    assert reason in bad.reason
    assert bad.raw in frame


@given(st.binary(max_size=2_000))
def test_no_bytes_whatever_stop_the_decoder(frame: bytes) -> None:
    decoded = wire.decode(frame, RECEIVED)
    assert len(decoded.records) % RECORD_BYTES == 0


@given(st.integers(0, 2_000_000_000_000_000_000))
def test_a_clock_frame_is_read_exactly(at: int) -> None:
    text = json.dumps({"type": "message", "data": f"clock {at}"})
    assert wire.read_text(text) == wire.ClockSaid(at)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"type":"order","data":{"order_id":"1","status":"OPEN"}}',
            wire.OrderSaid({"order_id": "1", "status": "OPEN"}),
        ),
        ('{"type":"error","data":"too many"}', wire.ErrorSaid("too many")),
        ('{"type":"message","data":"good morning"}', None),
        ('{"type":"instruments_meta","data":{}}', None),
    ],
)
def test_text_frames_mean_what_the_documentation_says(text: str, said: wire.Said) -> None:
    assert wire.read_text(text) == said


@pytest.mark.parametrize(
    "text",
    ["[1]", "{", '{"type":"message","data":"clock soon"}', '{"type":"order","data":[]}',
     '{"type":"order","data":{}}', '{"type":"message","data":"clock 99999999999999999999"}', '{"type":7}'],
)  # fmt: skip
def test_garbled_text_is_kept_for_the_dead_letters(text: str) -> None:
    said = wire.read_text(text)
    assert isinstance(said, wire.BadFrame)
    assert said.raw == text.encode()
