"""Kite's minute candles: exact paise in, garbage out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_adapter.kite.candles import Candle, CandleError, minute_candles, minute_query

FIRST = 1_513_309_500  # 2017-12-15 09:15:00 IST
LAST = FIRST + 10 * 60


def reply(*rows: object) -> bytes:
    return json.dumps({"status": "success", "data": {"candles": rows}}).encode()


def row(minute: int, *values: object) -> list[object]:
    return [f"2017-12-15T09:{15 + minute:02d}:00+0530", *values]


def test_candles_are_read_as_the_documentation_shows_them() -> None:
    body = reply(row(0, 1704.5, 1705, 1699.25, 1702.8, 2499), row(2, 1702, 1702, 1698.15, 1698.15, 0, 7))
    assert minute_candles(body, FIRST, LAST) == [
        Candle(FIRST, 170450, 170500, 169925, 170280, 2499),
        Candle(FIRST + 120, 170200, 170200, 169815, 169815, 0),
    ]


def test_a_range_is_asked_for_in_ist_with_both_ends() -> None:
    assert minute_query(FIRST, LAST) == {"from": "2017-12-15 09:15:00", "to": "2017-12-15 09:25:00"}


@given(st.lists(st.integers(1, 2**31 // 100 * 100 - 100), min_size=2, max_size=2).map(sorted))
def test_every_price_is_whole_paise_however_it_is_written(prices: list[int]) -> None:
    low, high = (f"{paise // 100}.{paise % 100:02d}" for paise in prices)
    body = f'{{"data":{{"candles":[["2017-12-15T09:15:00+0530",{low},{high},{low},{high},5]]}}}}'.encode()
    [candle] = minute_candles(body, FIRST, LAST)
    assert (candle.low, candle.high) == tuple(prices)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"{}", b'{"data":{"candles":null}}', b'{"data":[]}', b"\xff",
        reply(7), reply([]), reply(row(0, 1, 1, 1, 1)), reply(row(0, 1, 1, 1, 1, 1, 1, 1)),
        reply(row(0, 1.001, 1.001, 1.001, 1.001, 1)), reply(row(0, "1", 1, 1, 1, 1)),
        reply(row(0, True, 1, 1, 1, 1)), reply(row(0, None, 1, 1, 1, 1)), reply(row(0, -1, 1, -1, 1, 1)),
        reply(row(0, 0, 0, 0, 0, 1)), reply(row(0, 1e9, 1e9, 1e9, 1e9, 1)),
        b'{"data":{"candles":[["2017-12-15T09:15:00+0530",1e400,1e400,1e400,1e400,1]]}}',
        reply(row(0, 5, 4, 3, 3, 1)), reply(row(0, 3, 5, 4, 4, 1)), reply(row(0, 1, 1, 1, 1, -1)),
        reply(row(0, 1, 1, 1, 1, 1.5)), reply(["2017-12-15 09:15:00", 1, 1, 1, 1, 1]),
        reply(["2017-12-15T09:15:30+0530", 1, 1, 1, 1, 1]), reply(["soon", 1, 1, 1, 1, 1]),
        reply(row(1, 1, 1, 1, 1, 1), row(0, 1, 1, 1, 1, 1)), reply(*[row(1, 1, 1, 1, 1, 1)] * 2),
        reply(row(11, 1, 1, 1, 1, 1)), reply(["2017-12-14T09:15:00+0530", 1, 1, 1, 1, 1]),
        reply(*[row(0, 1, 1, 1, 1, 1)] * 30_000),
    ],
)  # fmt: skip
def test_what_is_no_candle_of_the_asked_minutes_is_refused(body: bytes) -> None:
    with pytest.raises(CandleError):
        minute_candles(body, FIRST, LAST)


@given(st.binary(max_size=300))
def test_no_bytes_whatever_do_more_than_be_refused(body: bytes) -> None:
    with pytest.raises(CandleError):
        minute_candles(body, FIRST, LAST)
