"""TC-50 to TC-59: what may be asked of a real account as well."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

from cases import REST_ONLY, case
from drivers import Driver, StockDriver


def kite_of(driver: Driver) -> Any:
    assert isinstance(driver, StockDriver)
    return driver.kite


@case(50, "The instruments file has tokens and tick sizes, and no empty numbers", reads=True)
def test_the_instruments_file(driver: Driver) -> None:
    listed = driver.instruments()
    assert listed
    assert all(token > 0 and tick >= 0 for token, tick in listed.values())


@case(51, "Funds are two amounts of paise, neither negative", reads=True)
def test_the_funds(driver: Driver) -> None:
    available, used = driver.funds()
    assert available >= 0 and used >= 0


@case(52, "Every order in the book has an id, a status and no more filled than asked", reads=True)
def test_the_order_book(driver: Driver) -> None:
    for row in driver.orders():
        assert row.order_id and row.status
        assert 0 <= row.filled <= row.quantity


@case(53, "Every trade belongs to an order of the book", reads=True)
def test_the_trade_book(driver: Driver) -> None:
    assert {order_id for order_id, _, _ in driver.trades()} <= {row.order_id for row in driver.orders()}


@case(54, "Positions are whole numbers of shares by symbol", reads=True)
def test_the_positions(driver: Driver) -> None:
    assert all(isinstance(quantity, int) for quantity in driver.positions().values())


@case(55, "The profile names the user and what may be traded", reads=True, only="stock", why=REST_ONLY)
def test_the_profile(driver: Driver) -> None:
    profile = kite_of(driver).profile()
    assert profile["user_id"] and "NSE" in profile["exchanges"]


@case(
    56, "Quotes come for what exists and are silent about the rest", reads=True, only="stock", why=REST_ONLY
)
def test_quotes(driver: Driver) -> None:
    kite = kite_of(driver)
    name = next(f"NSE:{row['tradingsymbol']}" for row in kite.instruments("NSE") if row["segment"] == "NSE")
    quotes = kite.quote([name, "NSE:NOSUCHSHARE"])
    assert list(quotes) == [name]
    assert quotes[name]["lower_circuit_limit"] < quotes[name]["upper_circuit_limit"]


@case(
    57,
    "Minute candles are a minute apart and high is never below low",
    reads=True,
    only="stock",
    why=REST_ONLY,
)
def test_candles(driver: Driver) -> None:
    kite = kite_of(driver)
    kite.timeout = 30.0  # the sandbox plays its market a second time for the first candle
    token = next(row["instrument_token"] for row in kite.instruments("NSE") if row["segment"] == "NSE")
    candles = kite.historical_data(token, "2026-11-20 09:15:00", "2026-11-20 09:25:00", "minute")
    assert all(candle["low"] <= candle["open"] <= candle["high"] for candle in candles)
    times: list[datetime] = [candle["date"] for candle in candles]
    assert all(b - a >= timedelta(minutes=1) for a, b in itertools.pairwise(times))


def some_shares(driver: Driver) -> list[str]:
    """Three shares everybody trades intraday; on a market of invented names its first ones."""
    listed = driver.instruments()
    known = [symbol for symbol in ("INFY", "SBIN", "TCS") if symbol in listed]
    return known or sorted(symbol for symbol, (_, tick) in listed.items() if tick and symbol.isalpha())[:3]


@case(58, "A share's circuit limits are told with its quote, the lower below the upper", reads=True)
def test_the_circuit_limits(driver: Driver) -> None:
    listed = driver.instruments()
    symbols = some_shares(driver)
    bands = driver.bands([*symbols, "NOSUCHSHARE"])
    assert set(bands) == {listed[symbol][0] for symbol in symbols}
    assert all(0 < lower < upper for lower, upper in bands.values())


@case(59, "An intraday order blocks at most its value, and nothing where none is taken", reads=True)
def test_the_intraday_margins(driver: Driver) -> None:
    symbols = some_shares(driver)
    margins = driver.margins(symbols)
    assert set(margins) == set(symbols)
    assert all(0 <= bps <= 10_000 for bps in margins.values()) and max(margins.values()) >= 1_000
