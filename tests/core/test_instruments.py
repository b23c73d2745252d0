"""Instruments: exact ticks, clear errors, and rounding that stays on the grid."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.market.instruments import (
    InstrumentsError,
    RoundingMode,
    paise,
    parse_instruments,
    round_to_tick,
    tradable,
    with_closing_auction,
)

SHARED = Path(os.environ.get("KITEPILOT_SHARED", Path(__file__).parents[2].parent / "shared"))
HEAD = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange"
)


def row(
    token: int = 257, symbol: str = "ALPHA", tick: str = "0.05", lot: str = "1", segment: str = "NSE"
) -> str:
    return f'{token},{token // 256},{symbol},"ALPHA, LTD",0.0,,0.0,{tick},{lot},EQ,{segment},NSE'


def file(*rows: str, head: str = HEAD) -> bytes:
    return "\n".join((head, *rows)).encode()


@pytest.mark.parametrize(
    ("text", "tick"),
    [("0.01", 1), ("0.05", 5), ("0.1", 10), ("0.5", 50), ("1.0", 100), ("5", 500), ("0.0", 0)],
)
def test_tick_sizes_become_exact_paise(text: str, tick: int) -> None:
    (instrument,) = parse_instruments(file(row(tick=text)))
    assert instrument.tick_size_paise == tick
    assert (instrument.token, instrument.exchange_token, instrument.name) == (257, 1, "ALPHA, LTD")


def test_only_plain_shares_are_tradable() -> None:
    rows = [
        row(257, "ALPHA"),
        row(513, "BAJAJ-AUTO"),
        row(769, "DELTA-BE"),
        row(1025, "ECHO-N1"),
        row(1281, "M&M"),
        row(265, "NIFTY 50", tick="0.0", lot="0", segment="INDICES"),
        row(1537, "FOXTROT", lot="50"),
    ]
    found = tradable(parse_instruments(file(*rows)))
    assert [each.tradingsymbol for each in found] == ["ALPHA", "BAJAJ-AUTO", "M&M"]
    marked = with_closing_auction(found, frozenset({513}))
    assert [each.closing_auction for each in marked] == [False, True, False]


def test_the_closing_auction_column_is_read_when_there_is_one() -> None:
    head = HEAD + ",closing_auction"
    found = parse_instruments(file(row() + ",1", row(513, "BRAVO") + ",0", head=head))
    assert [each.closing_auction for each in found] == [True, False]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (file(row(tick="0.005")), "row 2, column tick_size: '0.005' is not a whole number of paise"),
        (file(row(), row(513, tick="cheap")), "row 3, column tick_size: 'cheap' is not a number"),
        (file(row(tick="nan")), "column tick_size"),
        (file(row(tick="-0.05")), "column tick_size: -5 paise is outside"),
        (file(row(lot="1.5")), "row 2, column lot_size: '1.5' is not a whole number"),
        (file(row(symbol="")), "column tradingsymbol: is empty"),
        (file(row(), row(symbol="BETA")), "row 3, column instrument_token: 257 appears twice: ALPHA, BETA"),
        (file("257,1,ALPHA"), "row 2, column tick_size: the row is cut short"),
        (file(row(), head=HEAD.replace("tick_size", "ticksize")), r"lacks the column\(s\) tick_size"),
        (b"", "lacks the column"),
        (b"\xff\xfe", "byte 0 is not UTF-8"),
    ],
)
def test_a_bad_file_is_refused_naming_row_and_column(content: bytes, why: str) -> None:
    with pytest.raises(InstrumentsError, match=why):
        parse_instruments(content)


@given(st.integers(0, 10**8), st.sampled_from([1, 5, 10, 50, 100, 500]))
def test_rounding_stays_on_the_grid_and_within_a_tick(price: int, tick: int) -> None:
    modes: tuple[RoundingMode, ...] = ("down", "nearest", "up")
    down, nearest, up = (round_to_tick(price, tick, mode) for mode in modes)
    assert down % tick == nearest % tick == up % tick == 0
    assert down <= price <= up and up - down in (0, tick)
    assert nearest in (down, up) and abs(nearest - price) * 2 <= tick


@pytest.mark.parametrize(("price", "tick"), [(100, 0), (-1, 5)])
def test_rounding_without_a_tick_or_below_zero_is_refused(price: int, tick: int) -> None:
    with pytest.raises(ValueError, match="cannot round"):
        round_to_tick(price, tick, "down")


def test_rupees_as_text_become_paise() -> None:
    assert paise("1333.30") == 133_330
    with pytest.raises(ValueError, match="not a number"):
        paise("")


@pytest.mark.shared_data
@pytest.mark.skipif(not (SHARED / "data/instruments").is_dir(), reason="no ../shared/data/instruments")
def test_a_genuine_kite_file_is_read_whole() -> None:
    content = (SHARED / "data/instruments/kite_nse_2026-01-04.csv").read_bytes()
    everything = parse_instruments(content)
    assert len(everything) == 8725
    shares = {each.tradingsymbol: each for each in tradable(everything)}
    assert shares["INFY"].token == 408065 and shares["RELIANCE"].token == 738561
    assert {each.tick_size_paise for each in shares.values()} <= {1, 5, 10, 50, 100, 500}
    assert not any(each.tradingsymbol.endswith(("-BE", "-SM")) for each in shares.values())
