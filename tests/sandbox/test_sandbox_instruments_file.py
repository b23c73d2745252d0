"""The instruments file against what it is read for: what trades, what is an index, what has futures."""

from __future__ import annotations

import csv
from datetime import date

import pytest
from small_market import ALPHA, BETA, DAY, INDEX

from broker_adapter.sandbox.instruments_file import expiries, instruments_csv
from kitepilot.market.instruments import parse_instruments, tradable


def listed(exchange: str = "") -> list[dict[str, str]]:
    return list(csv.DictReader(instruments_csv((ALPHA, BETA, INDEX), DAY, exchange).decode().splitlines()))


def test_only_the_plain_shares_of_the_feed_are_tradable():
    instruments = parse_instruments(instruments_csv((ALPHA, BETA, INDEX), DAY))
    assert [row.tradingsymbol for row in tradable(instruments)] == ["KPALPHA", "KPBETA"]
    assert {row.tradingsymbol for row in instruments if row.segment == "INDICES"} == {"KP 50"}
    assert sum("-" in row.tradingsymbol for row in instruments) == 2


def test_the_closing_auction_can_be_read_off_the_futures_underlyings():
    underlyings = {row["name"] for row in listed("NFO") if row["instrument_type"] == "FUT"}
    assert underlyings == {"KPALPHA"}  # the only share of the small market that has an auction


def test_an_exchange_s_file_is_its_part_of_the_whole():
    whole = listed()
    assert [row for row in whole if row["exchange"] == "NSE"] == listed("NSE")
    assert [row for row in whole if row["exchange"] == "NFO"] == listed("NFO")
    assert listed("BSE") == []


def test_every_row_has_twelve_filled_columns_but_for_expiry_and_a_token_made_of_its_exchange_token():
    for row in listed():
        assert len(row) == 12 and all(row[name] for name in row if name != "expiry")
        assert int(row["instrument_token"]) // 256 == int(row["exchange_token"])


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 11, 20), [date(2026, 11, 23), date(2026, 12, 29), date(2027, 1, 26)]),
        (date(2026, 11, 23), [date(2026, 11, 23), date(2026, 12, 29), date(2027, 1, 26)]),
        (date(2026, 12, 30), [date(2027, 1, 26), date(2027, 2, 23), date(2027, 3, 30)]),
    ],
)
def test_contracts_expire_on_the_last_tuesday_or_the_session_before(day, expected):
    assert expiries(day) == expected  # 24 Nov 2026 is a holiday; 2027's are not announced
