"""Tick columns say what the packets say, for any mix of full, index and own records cut at any place."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.clickhouse.tick_columns import own_records, tick_columns
from kitepilot.market.ticks import KIND_CLOCK, PACKET_BYTES, RECORD_BYTES, own_record

U32 = st.integers(0, 2**32 - 1)
FULL = st.tuples(*[U32] * 15, *[st.tuples(U32, U32, st.integers(0, 2**16 - 1))] * 10)


def full_packet(fields: tuple[object, ...]) -> bytes:
    """Kite's layout by struct, independent of the numpy one: 16 words, then ten levels."""
    token = 408065
    words = struct.pack(">16I", token, *fields[:15])
    return words + b"".join(struct.pack(">IIHH", *level, 0) for level in fields[15:])  # type: ignore[misc]


@settings(max_examples=60)
@given(st.lists(FULL, max_size=6), st.integers(0, 6))
def test_full_packets_are_read_field_by_field(packets: list[tuple[object, ...]], cut: int) -> None:
    records = [struct.pack(">Q", 1_000 + n) + full_packet(p) for n, p in enumerate(packets)]
    messages = [b"".join(records[:cut]), own_record(KIND_CLOCK, 1, 1) + b"".join(records[cut:])]
    columns = {name: column.to_pylist() for name, column in tick_columns([7, 8], messages).items()}
    first = min(cut, len(packets))
    assert columns["log_offset"] == [7] * first + [8] * (len(packets) - first)
    assert columns["row"] == [*range(first), *range(1, len(packets) - first + 1)]
    for n, fields in enumerate(packets):
        last, quantity, average, volume, buy, sell, open_, high, low, close = fields[:10]
        row = {name: values[n] for name, values in columns.items()}
        assert (row["last_paise"], row["average_paise"], row["close_paise"]) == (last, average, close)
        assert (row["open_paise"], row["high_paise"], row["low_paise"]) == (open_, high, low)
        assert (row["last_quantity"], row["volume"]) == (quantity, volume)
        assert (row["total_buy_quantity"], row["total_sell_quantity"]) == (buy, sell)
        levels = list(zip(row["bid_quantity"], row["bid_paise"], row["bid_orders"], strict=True))
        levels += list(zip(row["ask_quantity"], row["ask_paise"], row["ask_orders"], strict=True))
        assert tuple(levels) == fields[15:]


def test_an_index_packet_has_its_own_order_and_no_depth() -> None:
    words = struct.pack(
        ">8I", 256265, 25_000_00, 25_100_00, 24_900_00, 24_950_00, 24_980_00, 20_00, 1_795_146_300
    )
    record = struct.pack(">Q", 5) + words.ljust(PACKET_BYTES, b"\0")
    row = {name: column.to_pylist()[0] for name, column in tick_columns([1], [record]).items()}
    assert (row["token"], row["last_paise"]) == (256265, 25_000_00)
    assert (row["high_paise"], row["low_paise"], row["open_paise"]) == (25_100_00, 24_900_00, 24_950_00)
    assert (row["close_paise"], row["volume"], row["last_quantity"]) == (24_980_00, 0, 0)
    assert row["bid_paise"] == row["ask_orders"] == []
    assert np.datetime64(row["exchange_at"]) == np.datetime64(1_795_146_300, "s")


def test_own_records_are_counted_and_a_torn_message_is_refused() -> None:
    clock = own_record(KIND_CLOCK, 1, 1)
    packet = struct.pack(">QI", 1, 408065).ljust(RECORD_BYTES, b"\0")
    assert own_records(clock + packet + clock) == (3, 2)
    with pytest.raises(ValueError, match="not a multiple of 192"):
        own_records(packet + b"x")
