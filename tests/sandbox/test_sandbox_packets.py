"""Containers as the unmodified client reads them; golden vectors of Kite's public mocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_market import ALPHA, INDEX, packet

from broker_adapter.sandbox.packets import FULL, LTP, MAX_PER_CONTAINER, QUOTE, container, mixed, uniform
from kitepilot.market.ticks import PACKET_DTYPE

BIDS = [(5, 157340, 1), (140, 157300, 2), (2, 157295, 1), (219, 157290, 7), (50, 157285, 1)]
ASKS = [(172, 157370, 3), (44, 157375, 3), (302, 157385, 3), (141, 157390, 2), (724, 157395, 5)]


@pytest.fixture(scope="module")
def ticker():
    from kiteconnect import KiteTicker

    return KiteTicker("key", "token")


def infy() -> np.ndarray:
    row = np.zeros(1, PACKET_DTYPE)
    values = {
        "token": 408065, "last_price": 157370, "last_quantity": 7, "average_price": 157037, "volume": 1192471,
        "total_buy_quantity": 256443, "total_sell_quantity": 363009, "open": 156915, "high": 157500,
        "low": 156105, "close": 156780, "last_trade_time": 1625461887, "exchange_time": 1625461887,
    }  # fmt: skip
    for name, value in values.items():
        row[name] = value
    for side, levels in (("bids", BIDS), ("asks", ASKS)):
        row[side][0] = [(*level, 0) for level in levels]
    return row


def test_the_golden_full_packet_reads_as_the_client_documents_it(ticker):
    (frame,) = uniform(infy(), FULL)
    assert frame[:4] == bytes.fromhex("000100b8")
    (tick,) = ticker._parse_binary(frame)
    assert (tick["instrument_token"], tick["last_price"], tick["volume_traded"]) == (408065, 1573.7, 1192471)
    assert tick["ohlc"] == {"open": 1569.15, "high": 1575.0, "low": 1561.05, "close": 1567.8}
    assert tick["exchange_timestamp"].timestamp() == 1625461887
    read = [(d["quantity"], round(d["price"] * 100), d["orders"]) for d in tick["depth"]["sell"]]
    assert read == ASKS
    assert [d["quantity"] for d in tick["depth"]["buy"]] == [level[0] for level in BIDS]


def test_the_golden_quote_packet_is_the_first_forty_four_bytes(ticker):
    (frame,) = uniform(infy(), QUOTE)
    (tick,) = ticker._parse_binary(frame)
    assert tick["mode"] == "quote" and tick["total_sell_quantity"] == 363009 and "depth" not in tick


def test_an_index_packet_has_its_own_order_of_prices(ticker):
    body = b"".join(n.to_bytes(4) for n in (INDEX.token, 10100, 10200, 9900, 10000, 10050, 50, 1625461887))
    (tick,) = ticker._parse_binary(container([body])[0])
    assert tick["tradable"] is False
    assert tick["ohlc"] == {"high": 102.0, "low": 99.0, "open": 100.0, "close": 100.5}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0, LTP, QUOTE, FULL]), max_size=12))
def test_every_socket_gets_exactly_its_instruments_in_their_modes(modes):
    packets = np.concatenate([packet(ALPHA, 100 + n) for n in range(len(modes))] or [infy()[:0]])
    packets = packets.astype(PACKET_DTYPE)
    bodies = []
    for frame in mixed(packets, np.array(modes, np.uint8)):
        at = 2
        for _ in range(int.from_bytes(frame[:2])):
            length = int.from_bytes(frame[at : at + 2])
            bodies.append(frame[at + 2 : at + 2 + length])
            at += 2 + length
        assert at == len(frame)
    size = {LTP: 8, QUOTE: 44, FULL: 184}
    wanted = [packets[n].tobytes()[: size[mode]] for n, mode in enumerate(modes) if mode]
    assert bodies == wanted


def test_a_container_holds_at_most_three_thousand_packets():
    frames = uniform(np.repeat(infy(), MAX_PER_CONTAINER + 1), FULL)
    assert [int.from_bytes(frame[:2]) for frame in frames] == [MAX_PER_CONTAINER, 1]
