"""The sandbox's state -> Kite's JSON rows (shapes: Kite Connect v3 documentation and mocks, 2026-07-14).

Rupee floats leave the sandbox here and nowhere else; times are IST strings of the session clock.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from broker_adapter.sandbox.book import Tally
from broker_adapter.sandbox.feed.port import FeedInstrument
from broker_adapter.sandbox.orders import CANCELLED, REJECTED, TERMINAL, Child, Leg, Order, Trade
from kitepilot.market.calendar import to_ist

Row = dict[str, Any]

USER_ID = "KP0001"
APP_ID = 1
NS_PER_S = 1_000_000_000


@lru_cache(maxsize=4096)
def _stamp(second: int) -> str:
    return to_ist(second * NS_PER_S).strftime("%Y-%m-%d %H:%M:%S")


def stamp(at: int) -> str:
    """ns UTC -> `2026-11-20 09:15:00`, IST."""
    return _stamp(at // NS_PER_S)


def rupees(paise: int) -> float:
    return paise / 100


def average(traded_paise: int, quantity: int) -> float:
    """Average price in rupees, 4 decimals; 0 without quantity."""
    return round(traded_paise / (100 * quantity), 4) if quantity else 0


def order_row(order: Order) -> Row:
    """One row of GET /orders: every field of Kite's order object."""
    request = order.request
    reached = bool(order.exchange_order_id)
    tags = [request.tag] if request.tag else []
    if order.protection_bps and order.order_type == "LIMIT":
        tags.append("mktp")
        if order.protection_bps > 0:
            tags.append(f"mktp:{order.protection_bps / 100:.2f}")
    if request.slice_of:
        tags += ["autoslice", f"autoslice:{request.slice_of}"]
    return {
        "placed_by": request.placed_by or USER_ID,
        "account_id": USER_ID,
        "order_id": order.order_id,
        "exchange_order_id": order.exchange_order_id if reached else None,
        "parent_order_id": None,
        "status": order.status,
        "status_message": order.message or None,
        "status_message_raw": order.message or None,
        "order_timestamp": stamp(order.placed_at),
        "exchange_update_timestamp": stamp(order.updated_at) if reached else None,
        "exchange_timestamp": stamp(order.accepted_at) if reached else None,
        "variety": request.variety,
        "modified": order.modifications > 0,
        "exchange": "NSE",
        "tradingsymbol": request.tradingsymbol,
        "instrument_token": request.token,
        "order_type": order.order_type,
        "transaction_type": "BUY" if request.buy else "SELL",
        "validity": order.validity,
        "validity_ttl": request.validity_ttl_min,
        "product": "MIS",
        "quantity": order.quantity,
        "disclosed_quantity": order.disclosed_quantity,
        "price": rupees(order.price_paise),
        "trigger_price": rupees(order.trigger_paise),
        "average_price": average(order.traded_paise, order.filled_quantity),
        "filled_quantity": order.filled_quantity,
        "pending_quantity": order.pending_quantity,
        "cancelled_quantity": order.cancelled_quantity,
        "market_protection": 0,
        "meta": {"iceberg": _iceberg(request.leg)} if request.leg else {},
        "tag": request.tag or None,
        "tags": tags,
        "guid": f"{APP_ID}X{order.order_id[-8:]}",
        "auction_number": None,
    }


def _iceberg(leg: Leg) -> Row:
    return {
        "leg": leg.number,
        "legs": leg.legs,
        "leg_quantity": leg.quantity,
        "total_quantity": leg.total,
        "remaining_quantity": leg.remaining,
    }


def child_row(child: Child) -> Row:
    """One entry of an autoslice reply: an order, or why there is none."""
    if child.order_id:
        return {"order_id": child.order_id}
    error = {"code": child.code, "error_type": child.error_type, "message": child.message, "data": None}
    return {"error": error}


def postback(order: Order) -> Row:
    """Payload of a ticker order frame: UPDATE for a partial fill or a modification; the checksum is blank."""
    row = order_row(order)
    del row["tags"], row["modified"]
    return {
        **row,
        "user_id": USER_ID,
        "app_id": APP_ID,
        "checksum": "",
        "status": order.status if order.status in TERMINAL else "UPDATE",
        "unfilled_quantity": order.quantity - order.filled_quantity
        if order.status not in (CANCELLED, REJECTED)
        else 0,
    }


def trade_row(trade: Trade) -> Row:
    return {
        "trade_id": trade.trade_id,
        "order_id": trade.order_id,
        "exchange": "NSE",
        "tradingsymbol": trade.tradingsymbol,
        "instrument_token": trade.token,
        "product": "MIS",
        "average_price": rupees(trade.price_paise),
        "quantity": trade.quantity,
        "exchange_order_id": trade.exchange_order_id,
        "transaction_type": "BUY" if trade.buy else "SELL",
        "fill_timestamp": stamp(trade.traded_at),
        "order_timestamp": stamp(trade.placed_at)[11:],
        "exchange_timestamp": stamp(trade.traded_at),
    }


def position_row(instrument: FeedInstrument, tally: Tally, last_paise: int) -> Row:
    """One MIS position; `day` and `net` are the same, since nothing is carried over night."""
    bought, sold = (
        average(tally.buy_paise, tally.buy_quantity),
        average(tally.sell_paise, tally.sell_quantity),
    )
    pnl = rupees(tally.pnl_paise(last_paise))
    held_at = bought if tally.quantity > 0 else sold if tally.quantity < 0 else 0
    return {
        "tradingsymbol": instrument.tradingsymbol,
        "exchange": "NSE",
        "instrument_token": instrument.token,
        "product": "MIS",
        "quantity": tally.quantity,
        "overnight_quantity": 0,
        "multiplier": 1,
        "average_price": held_at,
        "close_price": 0,
        "last_price": rupees(last_paise),
        "value": rupees(tally.sell_paise - tally.buy_paise),
        "pnl": pnl,
        "m2m": pnl,
        "unrealised": pnl,
        "realised": 0,
        "buy_quantity": tally.buy_quantity,
        "buy_price": bought,
        "buy_value": rupees(tally.buy_paise),
        "buy_m2m": rupees(tally.buy_paise),
        "sell_quantity": tally.sell_quantity,
        "sell_price": sold,
        "sell_value": rupees(tally.sell_paise),
        "sell_m2m": rupees(tally.sell_paise),
        "day_buy_quantity": tally.buy_quantity,
        "day_buy_price": bought,
        "day_buy_value": rupees(tally.buy_paise),
        "day_sell_quantity": tally.sell_quantity,
        "day_sell_price": sold,
        "day_sell_value": rupees(tally.sell_paise),
    }


def margins_row(cash_paise: int, used_paise: int, pnl_paise: int, *, enabled: bool = True) -> Row:
    """One segment's funds; as in Kite's samples net = live balance = cash - debits, the day's P&L in it."""
    live = rupees(cash_paise + pnl_paise - used_paise)
    utilised = dict.fromkeys(
        ("exposure", "m2m_realised", "m2m_unrealised", "option_premium", "payout", "span", "holding_sales",
         "turnover", "liquid_collateral", "stock_collateral", "delivery"),
        0,
    )  # fmt: skip
    return {
        "enabled": enabled,
        "net": live,
        "available": {
            "adhoc_margin": 0,
            "cash": rupees(cash_paise),
            "opening_balance": rupees(cash_paise),
            "live_balance": live,
            "collateral": 0,
            "intraday_payin": 0,
        },
        "utilised": {"debits": rupees(used_paise - pnl_paise), **utilised},
    }


def _levels(side: Any) -> list[Row]:
    return [
        {
            "price": rupees(int(level["price"])),
            "quantity": int(level["quantity"]),
            "orders": int(level["orders"]),
        }
        for level in side
    ]


def _ohlc(packet: np.void) -> Row:
    return {name: rupees(int(packet[name])) for name in ("open", "high", "low", "close")}


def quote_row(instrument: FeedInstrument, packet: np.void) -> Row:
    """GET /quote. `packet` is one PACKET_DTYPE scalar: the market's, our own fills not taken off."""
    return {
        "instrument_token": instrument.token,
        "timestamp": _stamp(int(packet["exchange_time"])),
        "last_trade_time": _stamp(int(packet["last_trade_time"])),
        "last_price": rupees(int(packet["last_price"])),
        "last_quantity": int(packet["last_quantity"]),
        "buy_quantity": int(packet["total_buy_quantity"]),
        "sell_quantity": int(packet["total_sell_quantity"]),
        "volume": int(packet["volume"]),
        "average_price": rupees(int(packet["average_price"])),
        "oi": 0,
        "oi_day_high": 0,
        "oi_day_low": 0,
        "net_change": 0,
        "lower_circuit_limit": rupees(instrument.lower_circuit_paise),
        "upper_circuit_limit": rupees(instrument.upper_circuit_paise),
        "ohlc": _ohlc(packet),
        "depth": {"buy": _levels(packet["bids"]), "sell": _levels(packet["asks"])},
    }


def index_row(instrument: FeedInstrument, packet: bytes) -> Row:
    """GET /quote for an index, from its 32-byte packet: it has neither depth nor volume nor circuits."""
    last, high, low, first, close, _, stamped = (
        int.from_bytes(packet[at : at + 4]) for at in range(4, 32, 4)
    )
    return {
        "instrument_token": instrument.token,
        "timestamp": _stamp(stamped),
        "last_price": rupees(last),
        "net_change": 0,
        "ohlc": {
            "open": rupees(first),
            "high": rupees(high),
            "low": rupees(low),
            "close": rupees(close),
        },
    }
