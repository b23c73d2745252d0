"""Every call of Kite's own Python client, unmodified, against a sandbox in mid-session.

The shapes are those of Kite's public mock replies (read 2026-03-25): a field that is missing there or has
another type is a defect here. The client's own integration suite is in none of its packages; given a checkout
of its repository in $KITEPILOT_PYKITECONNECT it is run too, with the deviations told below.
"""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from kiteconnect import KiteConnect
from kiteconnect import exceptions as refusals
from small_market import OPEN, S
from well_known_market import INFY, NIFTY, well_known_market

from broker_adapter.sandbox.admission import freeze_quantity
from broker_adapter.sandbox.main import Venue

SECRET = "test_secret"
#: Kinds of a value: s text, n number, b flag, d object, l list, t a time the client parsed; ? also null.
USER = (
    "user_id:s user_type:s email:s user_name:s user_shortname:s broker:s exchanges:l products:l "
    "order_types:l avatar_url:s? meta:d"
)
SESSION = USER + (" api_key:s access_token:s public_token:s enctoken:s refresh_token:s silo:s login_time:t")
FUNDS = "enabled:b net:n available:d utilised:d"
AVAILABLE = "adhoc_margin:n cash:n opening_balance:n live_balance:n collateral:n intraday_payin:n"
UTILISED = (
    "debits:n exposure:n m2m_realised:n m2m_unrealised:n option_premium:n payout:n span:n holding_sales:n "
    "turnover:n liquid_collateral:n stock_collateral:n delivery:n"
)
ORDER = (
    "placed_by:s order_id:s exchange_order_id:s? parent_order_id:s? status:s status_message:s? "
    "status_message_raw:s? order_timestamp:t exchange_update_timestamp:s? exchange_timestamp:t? variety:s "
    "modified:b exchange:s tradingsymbol:s instrument_token:n order_type:s transaction_type:s validity:s "
    "validity_ttl:n product:s quantity:n disclosed_quantity:n price:n trigger_price:n average_price:n "
    "filled_quantity:n pending_quantity:n cancelled_quantity:n market_protection:n meta:d tag:s? tags:l "
    "guid:s account_id:s auction_number:s?"
)
TRADE = (
    "trade_id:s order_id:s exchange:s tradingsymbol:s instrument_token:n product:s average_price:n "
    "quantity:n exchange_order_id:s transaction_type:s fill_timestamp:t order_timestamp:s "
    "exchange_timestamp:t"
)
POSITION = (
    "tradingsymbol:s exchange:s instrument_token:n product:s quantity:n overnight_quantity:n multiplier:n "
    "average_price:n close_price:n last_price:n value:n pnl:n m2m:n unrealised:n realised:n buy_quantity:n "
    "buy_price:n buy_value:n buy_m2m:n sell_quantity:n sell_price:n sell_value:n sell_m2m:n "
    "day_buy_quantity:n day_buy_price:n day_buy_value:n day_sell_quantity:n day_sell_price:n day_sell_value:n"
)
QUOTE = (
    "instrument_token:n timestamp:t last_trade_time:t last_price:n last_quantity:n buy_quantity:n "
    "sell_quantity:n volume:n average_price:n oi:n oi_day_high:n oi_day_low:n net_change:n "
    "lower_circuit_limit:n upper_circuit_limit:n ohlc:d depth:d"
)
MARGIN = (
    "type:s tradingsymbol:s exchange:s span:n exposure:n option_premium:n additional:n bo:n cash:n var:n "
    "pnl:d leverage:n charges:d total:n"
)
CHARGES = (
    "transaction_tax:n transaction_tax_type:s exchange_turnover_charge:n sebi_turnover_charge:n brokerage:n "
    "stamp_duty:n gst:d total:n"
)
KINDS: dict[str, tuple[type, ...]] = {
    "s": (str,), "n": (int, float), "b": (bool,), "d": (dict,), "l": (list,), "t": (datetime,),
}  # fmt: skip


def has_shape(row: dict[str, Any], shape: str) -> None:
    """Exactly the fields of the shape, each of its kind."""
    kinds = dict(field.split(":") for field in shape.split())
    assert set(row) == set(kinds)
    for name, kind in kinds.items():
        if not (row[name] is None and kind.endswith("?")):
            assert isinstance(row[name], KINDS[kind[0]]), (name, row[name])


@pytest.fixture
def venue(sandbox):
    """Ten minutes into the session, sixty session seconds a second: rate limits seldom bind."""
    running = sandbox(
        well_known_market(240),
        speed=1000.0,
        venue=Venue(SECRET, latency_mean_ms=0.0, cash_rupees=2_00_00_000),
    )
    running.start()
    running.until(lambda state: state["session_time_ns"] > OPEN + 600 * S)
    running.admin.post("/admin/speed", json={"speed": 60.0})
    return running


@pytest.fixture
def kite(venue) -> KiteConnect:
    return venue.login()


def order(**changes: Any) -> dict[str, Any]:
    terms = {
        "variety": "regular",
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
        "quantity": 10,
        "product": "MIS",
        "order_type": "LIMIT",
        "price": 1500.05,
        "tag": "TAG00",
    }
    return {**terms, **changes}


def bought(venue, kite: KiteConnect) -> str:
    order_id = kite.place_order(**order())
    venue.until(lambda state: state["trades"] == 1)
    return order_id


def test_a_session_is_made_read_and_ended(venue):
    hits = []
    kite = venue.login()
    reply = httpx.get(f"{kite.root}/connect/login", params={"v": 3, "api_key": kite.api_key})
    request_token = re.search(r"request_token=(\w+)", reply.headers["location"])[1]
    has_shape(kite.generate_session(request_token, SECRET), SESSION)
    has_shape(kite.profile(), USER)
    funds = kite.margins()
    assert set(funds) == {"equity", "commodity"}
    for segment in ("equity", "commodity"):
        has_shape(funds[segment], FUNDS)
        has_shape(funds[segment]["available"], AVAILABLE)
        has_shape(funds[segment]["utilised"], UTILISED)
        assert set(kite.margins(segment)) == set(funds[segment])
    with pytest.raises(refusals.TokenException):
        kite.renew_access_token("none", SECRET)
    with pytest.raises(refusals.InputException):
        kite.invalidate_refresh_token("none")
    assert kite.invalidate_access_token() is True
    kite.set_session_expiry_hook(lambda: hits.append("expired"))
    with pytest.raises(refusals.TokenException):
        kite.orders()
    assert hits == ["expired"]


def test_an_order_is_placed_changed_cancelled_and_read_back(venue, kite):
    order_id = bought(venue, kite)
    resting = kite.place_order(**order(price=1490.0, tag="RESTS"))
    assert kite.modify_order("regular", resting, quantity=12, price=1490.05) == resting
    assert kite.cancel_order("regular", resting) == resting
    venue.until(lambda _: kite.order_history(resting)[-1]["status"] == "CANCELLED")
    rows = kite.orders()
    assert {row["order_id"] for row in rows} == {order_id, resting}
    for row in (*rows, *kite.order_history(order_id), *kite.order_history(resting)):
        has_shape(row, ORDER)
    for row in (*kite.trades(), *kite.order_trades(order_id)):
        has_shape(row, TRADE)
    assert [row["quantity"] for row in kite.order_trades(order_id)] == [10]
    with pytest.raises(refusals.OrderException):
        kite.exit_order("regular", resting)


def test_positions_have_kite_s_fields_and_stay_intraday(venue, kite):
    bought(venue, kite)
    positions = kite.positions()
    for row in (*positions["net"], *positions["day"]):
        has_shape(row, POSITION)
    with pytest.raises(refusals.OrderException, match="intraday only"):
        kite.convert_position("NSE", "INFY", "BUY", "day", 10, "MIS", "CNC")
    with pytest.raises(refusals.InputException):
        kite.convert_position("NSE", "INFY", "BUY", "day", 10, "CNC", "MIS")
    with pytest.raises(refusals.OrderException):
        kite.convert_position("NSE", "INFY", "BUY", "day", 11, "MIS", "CNC")


def test_what_an_intraday_account_has_none_of_is_empty_or_refused(kite):
    assert kite.holdings() == kite.get_auction_instruments() == []
    assert kite.mf_orders() == kite.mf_sips() == kite.mf_holdings() == kite.mf_instruments() == []
    assert kite.get_gtts() == []
    for call in (
        lambda: kite.get_gtt(1),
        lambda: kite.delete_gtt(1),
        lambda: kite.mf_orders("1"),
        lambda: kite.cancel_mf_order("1"),
        lambda: kite.mf_sips("1"),
        lambda: kite.modify_mf_sip("1", amount=1),
        lambda: kite.cancel_mf_sip("1"),
        lambda: kite.modify_gtt(1, *gtt()),
    ):
        with pytest.raises(refusals.GeneralException):
            call()
    for call in (
        lambda: kite.place_gtt(*gtt()),
        lambda: kite.place_mf_order("INF209K01157", "BUY", amount=100),
        lambda: kite.place_mf_sip("INF209K01157", 100, 12, "monthly"),
    ):
        with pytest.raises(refusals.InputException):
            call()


def gtt() -> tuple[Any, ...]:
    leg = {"transaction_type": "BUY", "quantity": 1, "order_type": "LIMIT", "product": "CNC", "price": 1.0}
    return "single", "INFY", "NSE", [1.0], 2.0, [leg]


def test_the_market_is_quoted_by_symbol_for_shares_and_for_an_index(kite):
    quotes = kite.quote("NSE:INFY", "NSE:NIFTY 50", "NSE:NOSUCH", "BSE:INFY")
    assert set(quotes) == {"NSE:INFY", "NSE:NIFTY 50"}
    has_shape(quotes["NSE:INFY"], QUOTE)
    assert quotes["NSE:NIFTY 50"]["last_price"] == 25_000
    assert quotes["NSE:NIFTY 50"]["ohlc"] == {
        "open": 25_000,
        "high": 25_000.1,
        "low": 24_999.9,
        "close": 24_995,
    }
    ohlc = kite.ohlc(["NSE:INFY", "NSE:NIFTY 50"])
    for row in ohlc.values():
        has_shape(row, "instrument_token:n last_price:n ohlc:d")
    assert kite.ltp([str(INFY.token)]) == {
        str(INFY.token): {"instrument_token": 408065, "last_price": 1500.0}
    }
    assert set(kite.trigger_range("BUY", "NSE:INFY")) == {"NSE:INFY"}


def test_the_instruments_file_is_gzip_text_csv_and_parses(kite):
    listed = kite.instruments()
    assert {row["exchange"] for row in listed} == {"NSE", "NFO"}
    assert {row["name"] for row in kite.instruments("NFO")} == {"INFY", "RELIANCE"}
    assert all(isinstance(row["expiry"], date) for row in kite.instruments("NFO"))
    assert kite.instruments("BSE") == []
    (index,) = [row for row in kite.instruments("NSE") if row["segment"] == "INDICES"]
    assert index["instrument_token"] == NIFTY.token
    reply = httpx.get(
        f"{kite.root}/instruments/NSE", headers={"Authorization": f"token {kite.api_key}:{kite.access_token}"}
    )
    assert (reply.headers["content-type"], reply.headers["content-encoding"]) == ("text/csv", "gzip")


def test_candles_of_shares_and_of_an_index(kite):
    opening = datetime(2026, 11, 20, 9, 15), datetime(2026, 11, 20, 9, 17)
    for token in (INFY.token, NIFTY.token):
        candles = kite.historical_data(token, *opening, "minute", continuous=True, oi=True)
        assert [row["date"].minute for row in candles] == [15, 16, 17]
        assert set(candles[0]) == {"date", "open", "high", "low", "close", "volume", "oi"}
    with pytest.raises(refusals.InputException, match="invalid interval"):
        kite.historical_data(INFY.token, *opening, "7minute")


def test_the_calculators_answer_with_kite_s_objects(kite):
    item = order(average_price=1500.0, order_id="mine")
    has_shape(kite.order_margins([item])[0], MARGIN)
    basket = kite.basket_order_margins([item])
    for row in (basket["initial"], basket["final"], *basket["orders"]):
        has_shape(row, MARGIN)
    note = kite.get_virtual_contract_note([item])[0]
    has_shape(note["charges"], CHARGES)
    has_shape(note["charges"]["gst"], "igst:n cgst:n sgst:n total:n")


def test_slices_and_legs_are_told_as_kite_tells_them(venue, kite):
    reply = kite.place_autoslice_order(**order(quantity=2 * freeze_quantity(INFY) + 1, price=1400.0))
    first, second, last = reply["children"]  # there is money for one whole slice and the odd share
    assert {row["order_id"] for row in kite.orders()} == {first["order_id"], last["order_id"]}
    has_shape(second["error"], "code:n error_type:s message:s data:s?")
    assert reply["order_id"] not in (first["order_id"], last["order_id"])
    leg = kite.place_order(
        **order(variety="iceberg", quantity=10, price=1400.0, iceberg_legs=2, iceberg_quantity=5)
    )
    meta = kite.order_history(leg)[-1]["meta"]["iceberg"]
    assert set(meta) == {"leg", "legs", "leg_quantity", "total_quantity", "remaining_quantity"}


def test_a_hundred_icebergs_of_fifty_legs_use_up_the_day_s_orders(venue, kite):
    iceberg = order(variety="iceberg", quantity=50, price=1400.0, iceberg_legs=50, iceberg_quantity=1)
    placed = 0
    while placed < 100:
        try:
            kite.place_order(**iceberg)
            placed += 1
        except refusals.NetworkException as refusal:
            assert str(refusal) == "Too many requests"
            an_order_later = venue.state()["session_time_ns"] + 60 * S
            venue.until(lambda state, then=an_order_later: state["session_time_ns"] > then)
    full_at = venue.state()["session_time_ns"]
    venue.until(lambda state: state["session_time_ns"] > full_at + 61 * S)
    with pytest.raises(refusals.NetworkException, match="Maximum allowed order requests exceeded"):
        kite.place_order(**order())
    assert kite.cancel_order("iceberg", kite.orders()[0]["order_id"])  # cancelling still goes


def test_no_public_call_of_the_client_is_left_out():
    said = Path(__file__).read_text()
    offline = {"set_access_token", "login_url"}
    calls = {name for name, _ in inspect.getmembers(KiteConnect, inspect.isfunction) if name[0] != "_"}
    assert {name for name in calls - offline if f".{name}(" not in said} == set()


#: The client's own integration tests that must fail here, and why.
DEVIATIONS = {
    "test_request_pool": "talks to Kite itself",
    "test_historical_data_intervals": "expects the limits of days per request that Kite has since raised",
    "test_place_order_market_regular": "sends no market protection, which is mandatory since 1 April 2026",
    "test_place_order_slm_regular": "the same",
    "test_place_order_tag": "the same",
    "test_place_order_co_market": "cover orders are not part of intraday equity here",
    "test_place_order_co_limit": "the same",
    "test_exit_order_co_market_leg": "the same",
    "test_cancel_order_co_limit": "the same",
    "test_order_cancel_amo": "after-market orders are taken only while the market is closed",
    "test_order_modify_limit_amo": "the same",
}


def test_the_client_s_own_suite_fails_only_where_kite_has_moved_on(venue, kite, tmp_path):
    checkout = os.environ.get("KITEPILOT_PYKITECONNECT", "")
    if not checkout:
        pytest.skip("$KITEPILOT_PYKITECONNECT names no checkout of the client's repository (with its mocks)")
    (tmp_path / "mock.py").write_text("from unittest.mock import *\n")
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/integration"),
            *("--root-url", kite.root, "--api-key", kite.api_key, "--access-token", kite.access_token),
        ],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    failed = set(re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", done.stdout, re.M))
    assert re.search(r"\d+ passed", done.stdout), done.stdout[-2000:]
    assert failed == set(DEVIATIONS), done.stdout[-4000:]
