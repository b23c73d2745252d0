"""JSON rows in, our words out; our words in, form parameters out."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_adapter.kite import parse
from broker_adapter.kite.render import IntentError, place_parameters, rupees
from kitepilot.events import ApprovedIntent, OrderStatus, Purpose, Side
from kitepilot.orders.intents import tag

ROW = {
    "order_id": "1953341975595868160", "tag": "ABCDEFGHIJKLMNOP2700", "tradingsymbol": "INFY",
    "instrument_token": 408065, "transaction_type": "BUY", "quantity": 10, "filled_quantity": 4,
    "average_price": 1573.366667, "status": "OPEN", "status_message": None,
    "order_timestamp": "2026-11-20 09:15:01", "exchange_update_timestamp": "2026-11-20 09:15:02",
}  # fmt: skip
TRADE = {
    "order_id": "1953341975595868160", "trade_id": "10000000", "tradingsymbol": "INFY",
    "instrument_token": 408065, "transaction_type": "SELL", "quantity": 4, "average_price": 1573.35,
    "exchange_timestamp": "2026-11-20 09:15:02", "order_timestamp": "09:15:01",
}  # fmt: skip
INTENT = ApprovedIntent(
    source="decisions", seq=0, event_at=0, intent_id="ABCDEFGHIJKLMNOP27", run_id="r", config_hash="c",
    signal_id="s", verdict_id="v", strategy="vwap_reversion", purpose=Purpose.ENTRY, token=408065,
    tradingsymbol="INFY", side=Side.BUY, quantity=10, order_type="LIMIT", limit_price_paise=157_305,
    validity="IOC", decision_price_paise=157_300, received_at=0, signal_emitted_at=0,
)  # fmt: skip


def test_an_order_row_becomes_our_report() -> None:
    report = parse.order_report(ROW)
    assert (report.status, report.venue_status) == (OrderStatus.WORKING, "OPEN")
    assert (report.filled_quantity, report.average_price_paise) == (4, 157_337)
    assert report.updated_at == 1_795_146_302_000_000_000  # 2026-11-20 03:45:02 UTC
    assert report.message == ""


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("COMPLETE", OrderStatus.FILLED),
        ("CANCELLED", OrderStatus.CANCELLED),
        ("REJECTED", OrderStatus.REJECTED),
        ("PUT ORDER REQ RECEIVED", OrderStatus.ACCEPTED),
        ("TRIGGER PENDING", OrderStatus.WORKING),
        ("SOMETHING NEW", OrderStatus.ACCEPTED),
    ],
)
def test_status_words_are_translated_and_a_new_one_counts_as_live(word: str, status: OrderStatus) -> None:
    assert parse.order_report({**ROW, "status": word}).status is status


def test_whoever_placed_an_order_is_told_apart_from_the_owner() -> None:
    owner = {**ROW, "placed_by": "AB1234", "account_id": "AB1234", "product": "CNC"}
    assert (parse.order_report(owner).by_broker, parse.order_report(owner).product) == (False, "CNC")
    assert parse.order_report({**owner, "placed_by": "RMS"}).by_broker
    assert not parse.order_report(ROW).by_broker, "a frame that does not say"


def test_what_the_owner_trades_on_other_exchanges_is_not_read() -> None:
    currency = {**TRADE, "exchange": "CDS", "average_price": 83.2575}
    rows = list(parse.ours_to_see([currency, TRADE, {**TRADE, "exchange": "NSE"}]))
    assert [parse.trade_report(row).product for row in rows] == ["MIS", "MIS"]
    net = [
        {
            "tradingsymbol": "INFY",
            "instrument_token": 408065,
            "quantity": 3,
            "product": "MIS",
            "exchange": name,
        }
        for name in ("NSE", "BSE")
    ]
    assert len(parse.positions({"net": net})) == 1


def test_an_order_that_never_reached_the_exchange_has_no_exchange_time() -> None:
    row = {**ROW, "exchange_update_timestamp": None, "average_price": None, "tag": None}
    report = parse.order_report(row)
    assert (report.updated_at, report.average_price_paise, report.tag) == (1_795_146_301_000_000_000, 0, "")


def test_a_trade_row_becomes_our_trade() -> None:
    trade = parse.trade_report(TRADE)
    assert (trade.side, trade.quantity, trade.price_paise) == (Side.SELL, 4, 157_335)
    assert trade.traded_at == 1_795_146_302_000_000_000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order_id", None), ("trade_id", ""), ("quantity", "4"), ("quantity", 4.5), ("quantity", True),
        ("average_price", 1573.355), ("average_price", None), ("average_price", float("nan")),
        ("average_price", float("inf")), ("transaction_type", "HOLD"), ("exchange_timestamp", "09:15:02"),
    ],
)  # fmt: skip
def test_a_garbled_trade_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(parse.RowError, match=r"price|without|whole|transaction_type|time"):
        parse.trade_report({**TRADE, field: value})


@given(st.integers(1, 10_000_000_00))
def test_every_price_survives_the_way_there_and_back(paise: int) -> None:
    assert parse.paise(float(rupees(paise)), exact=True) == paise
    assert Decimal(rupees(paise)) * 100 == paise


def test_positions_are_the_net_intraday_ones() -> None:
    row = {"tradingsymbol": "INFY", "instrument_token": 408065, "quantity": -5, "product": "MIS"}
    data = {"net": [row, {**row, "product": "CNC"}], "day": []}
    (position,) = parse.positions(data)
    assert position.quantity == -5
    with pytest.raises(parse.RowError, match="no `net` list"):
        parse.positions({})


def test_an_intent_is_said_exactly() -> None:
    assert place_parameters(INTENT, tag(INTENT.intent_id), INTENT.quantity) == {
        "variety": "regular", "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY",
        "quantity": "10", "product": "MIS", "order_type": "LIMIT", "validity": "IOC",
        "tag": "ABCDEFGHIJKLMNOP2700", "price": "1573.05",
    }  # fmt: skip


def test_a_market_order_always_carries_protection() -> None:
    intent = msgspec.structs.replace(INTENT, order_type="MARKET", limit_price_paise=0, validity="DAY")
    parameters = place_parameters(intent, tag(intent.intent_id), intent.quantity)
    assert parameters["market_protection"] == "-1"
    assert "price" not in parameters


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": 0},
        {"limit_price_paise": 0},
        {"order_type": "SL"},
        {"validity": "TTL"},
        {"intent_id": "A" * 18},
    ],
)
def test_what_kite_cannot_take_is_refused_before_it_is_sent(change: dict[str, object]) -> None:
    with pytest.raises(IntentError):
        changed = msgspec.structs.replace(INTENT, **change)
        place_parameters(changed, tag(INTENT.intent_id), changed.quantity)


def test_our_clock_is_ahead_by_what_the_brokers_date_lacks() -> None:
    at = 1_795_146_302.0  # the header's second; the reply was written half a second into it on average
    header = "Fri, 20 Nov 2026 03:45:02 GMT"
    assert parse.clock_skew_ms(header, at + 0.4, at + 0.6) == 0
    assert parse.clock_skew_ms(header, at + 3.4, at + 3.6) == 3_000
    assert parse.clock_skew_ms(header, at - 1.6, at - 1.4) == -2_000
    with pytest.raises(parse.RowError):
        parse.clock_skew_ms("", at, at)


def test_circuit_limits_and_intraday_margins_are_read_and_never_guessed() -> None:
    quote = {"instrument_token": 408065, "lower_circuit_limit": 1415.95, "upper_circuit_limit": 1730.55}
    (band,) = parse.bands({"NSE:INFY": quote})
    assert (band.token, band.lower_paise, band.upper_paise) == (408065, 141_595, 173_055)
    with pytest.raises(parse.RowError):
        parse.bands({"NSE:INFY": {**quote, "upper_circuit_limit": None}})
    rows = [{"tradingsymbol": "INFY", "total": 2000.01}, {"tradingsymbol": "ODD", "total": 0}]
    assert parse.intraday_margins(rows, 1_000_000) == {"INFY": 2_001, "ODD": 0}
    with pytest.raises(parse.RowError):
        parse.intraday_margins([{"tradingsymbol": "INFY"}], 1_000_000)
