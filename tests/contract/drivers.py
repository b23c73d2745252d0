"""The same account driven two ways: through KitePilot's adapter and through the unmodified stock client."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Protocol

import requests
from sandbox_thread import wait

from broker_adapter.kite.client import BrokerReadError, KiteBroker
from kitepilot.events import ApprovedIntent, Purpose, Side
from kitepilot.market.instruments import parse_instruments
from kitepilot.orders.intents import intent_id, tag
from kitepilot.ports import Accepted, AuthLost, Outcome, Rejected, Throttled
from kitepilot.run import Run

_numbers = itertools.count()
TERMINAL = frozenset({"COMPLETE", "CANCELLED", "REJECTED"})


@dataclass(frozen=True)
class Terms:
    """An order as a case wants it; prices in paise, `tag` made here and unique."""

    side: str = "BUY"
    quantity: int = 10
    price: int = 500_05
    order_type: str = "LIMIT"
    validity: str = "DAY"
    symbol: str = "KPALPHA"
    protection_bps: int = 0
    trigger: int = 0
    ttl: int = 0
    tag: str = ""


@dataclass(frozen=True)
class Answer:
    """accepted | rejected | unknown | throttled | auth; the text or the order id."""

    kind: str
    said: str


@dataclass(frozen=True)
class Row:
    """An order as the driver reads it; paise."""

    order_id: str
    tag: str
    status: str
    quantity: int
    filled: int
    average: int
    message: str


class ReadRefusedError(RuntimeError):
    """A read that was refused or stayed impossible."""


class Driver(Protocol):
    """What a case may ask; both drivers speak of paise and of Kite's status words."""

    def place(self, terms: Terms) -> Answer: ...
    def modify(self, order_id: str, price: int) -> Answer: ...
    def cancel(self, order_id: str) -> Answer: ...
    def orders(self) -> list[Row]: ...
    def history(self, order_id: str) -> list[str]: ...
    def trades(self, order_id: str | None = None) -> list[tuple[str, int, int]]: ...
    def positions(self) -> dict[str, int]: ...
    def funds(self) -> tuple[int, int]: ...
    def instruments(self) -> dict[str, tuple[int, int]]: ...
    def bands(self, symbols: list[str]) -> dict[int, tuple[int, int]]: ...
    def margins(self, symbols: list[str]) -> dict[str, int]: ...


def new_tag() -> tuple[str, str]:
    """An intent id and the tag of its first child, never used before in this process."""
    found = intent_id("contract", "test", 0, 0, next(_numbers), Purpose.ENTRY)
    return found, tag(found)


def row_of(driver: Driver, order_id: str) -> Row:
    return next(row for row in driver.orders() if row.order_id == order_id)


def until(driver: Driver, order_id: str, *statuses: str) -> Row:
    """Wait until the order has one of the statuses, or has ended."""

    def arrived() -> Row | None:
        row = row_of(driver, order_id)
        return row if row.status in (statuses or TERMINAL) else None

    return wait(arrived, f"order {order_id} {statuses or 'ended'}")


class KitePilotDriver:
    """`KiteBroker`, by way of approved intents."""

    def __init__(self, run: Run) -> None:
        self.broker = KiteBroker(run)

    def place(self, terms: Terms) -> Answer:
        name, child = new_tag()
        name, child = (terms.tag[:18], terms.tag) if terms.tag else (name, child)
        intent = ApprovedIntent(
            source="contract", seq=0, event_at=0, intent_id=name, run_id="r", config_hash="c", signal_id="s",
            verdict_id="v", strategy="vwap_reversion", purpose=Purpose.ENTRY, token=0,
            tradingsymbol=terms.symbol, side=Side(terms.side), quantity=terms.quantity,
            order_type=terms.order_type, limit_price_paise=terms.price, validity=terms.validity,
            decision_price_paise=terms.price, received_at=0, signal_emitted_at=0,
            protection_bps=terms.protection_bps,
        )  # fmt: skip
        return _said(self.broker.submit(intent, child, terms.quantity))

    def modify(self, order_id: str, price: int) -> Answer:
        return _said(self.broker.modify(order_id, price))

    def cancel(self, order_id: str) -> Answer:
        return _said(self.broker.cancel(order_id))

    def orders(self) -> list[Row]:
        return [
            Row(
                r.order_id,
                r.tag,
                r.venue_status,
                r.quantity,
                r.filled_quantity,
                r.average_price_paise,
                r.message,
            )
            for r in self._read(self.broker.orders)
        ]

    def history(self, order_id: str) -> list[str]:
        return [report.venue_status for report in self._read(lambda: self.broker.order_history(order_id))]

    def trades(self, order_id: str | None = None) -> list[tuple[str, int, int]]:
        rows = self._read(lambda: self.broker.trades(order_id))
        return [(row.order_id, row.quantity, row.price_paise) for row in rows]

    def positions(self) -> dict[str, int]:
        return {row.tradingsymbol: row.quantity for row in self._read(self.broker.positions)}

    def funds(self) -> tuple[int, int]:
        report = self._read(self.broker.funds)
        return report.available_paise, report.used_paise

    def instruments(self) -> dict[str, tuple[int, int]]:
        rows = parse_instruments(self._read(self.broker.instruments))
        return {row.tradingsymbol: (row.token, row.tick_size_paise) for row in rows}

    def bands(self, symbols: list[str]) -> dict[int, tuple[int, int]]:
        rows = self._read(lambda: self.broker.bands(symbols))
        return {row.token: (row.lower_paise, row.upper_paise) for row in rows}

    def margins(self, symbols: list[str]) -> dict[str, int]:
        found: dict[str, int] = self._read(lambda: self.broker.intraday_margins(symbols))
        return found

    @staticmethod
    def _read(request: Any) -> Any:
        try:
            return request()
        except BrokerReadError as err:
            raise ReadRefusedError(str(err)) from err


def _said(outcome: Outcome) -> Answer:
    match outcome:
        case Accepted(order_id):
            return Answer("accepted", order_id)
        case Rejected(code, message):
            return Answer("rejected", f"{code}: {message}")
        case Throttled(message):
            return Answer("throttled", message)
        case AuthLost(message):
            return Answer("auth", message)
        case unknown:
            return Answer("unknown", unknown.reason)


def paise(rupees: Any) -> int:
    return round(float(rupees) * 100)


class StockDriver:
    """`kiteconnect.KiteConnect`, unmodified; a refusal is one of its exceptions with a 4xx status."""

    def __init__(self, kite: Any) -> None:
        self.kite = kite

    def place(self, terms: Terms) -> Answer:
        priced = terms.order_type in ("LIMIT", "SL")
        stop = terms.order_type in ("SL", "SL-M")
        market = terms.order_type in ("MARKET", "SL-M")
        return self._answer(
            lambda: self.kite.place_order(
                "regular", "NSE", terms.symbol, terms.side, terms.quantity, "MIS", terms.order_type,
                price=terms.price / 100 if priced else None,
                trigger_price=terms.trigger / 100 if stop else None,
                market_protection=(terms.protection_bps / 100 or -1) if market else None,
                validity=terms.validity, validity_ttl=terms.ttl or None, tag=terms.tag or new_tag()[1],
            )
        )  # fmt: skip

    def modify(self, order_id: str, price: int) -> Answer:
        return self._answer(lambda: self.kite.modify_order("regular", order_id, price=price / 100))

    def cancel(self, order_id: str) -> Answer:
        return self._answer(lambda: self.kite.cancel_order("regular", order_id))

    def orders(self) -> list[Row]:
        return [
            Row(
                row["order_id"], row["tag"] or "", row["status"], row["quantity"], row["filled_quantity"],
                paise(row["average_price"]), row["status_message"] or "",
            )
            for row in self._read(self.kite.orders)
        ]  # fmt: skip

    def history(self, order_id: str) -> list[str]:
        return [row["status"] for row in self._read(lambda: self.kite.order_history(order_id))]

    def trades(self, order_id: str | None = None) -> list[tuple[str, int, int]]:
        read = self.kite.trades if order_id is None else lambda: self.kite.order_trades(order_id)
        return [(row["order_id"], row["quantity"], paise(row["average_price"])) for row in self._read(read)]

    def positions(self) -> dict[str, int]:
        return {row["tradingsymbol"]: row["quantity"] for row in self._read(self.kite.positions)["net"]}

    def funds(self) -> tuple[int, int]:
        row = self._read(lambda: self.kite.margins("equity"))
        return paise(row["net"]), paise(row["utilised"]["debits"])

    def instruments(self) -> dict[str, tuple[int, int]]:
        rows = self._read(lambda: self.kite.instruments("NSE"))
        return {row["tradingsymbol"]: (row["instrument_token"], paise(row["tick_size"])) for row in rows}

    def bands(self, symbols: list[str]) -> dict[int, tuple[int, int]]:
        quotes = self._read(lambda: self.kite.quote([f"NSE:{symbol}" for symbol in symbols]))
        return {
            row["instrument_token"]: (paise(row["lower_circuit_limit"]), paise(row["upper_circuit_limit"]))
            for row in quotes.values()
        }

    def margins(self, symbols: list[str]) -> dict[str, int]:
        what = {
            "exchange": "NSE", "transaction_type": "BUY", "variety": "regular", "product": "MIS",
            "order_type": "LIMIT", "quantity": 100, "price": 100,
        }  # fmt: skip
        orders = [{**what, "tradingsymbol": symbol} for symbol in symbols]
        rows = self._read(lambda: self.kite.order_margins(orders))
        return {row["tradingsymbol"]: paise(row["total"]) // 100 for row in rows}

    @staticmethod
    def _answer(request: Any) -> Answer:
        from kiteconnect.exceptions import KiteException, NetworkException, TokenException

        try:
            return Answer("accepted", request())
        except TokenException as err:
            return Answer("auth", str(err))
        except NetworkException as err:
            return Answer("throttled" if err.code == 429 else "unknown", str(err))
        except KiteException as err:
            return Answer("rejected" if 400 <= err.code < 500 else "unknown", str(err))
        except (requests.RequestException, KeyError) as err:
            return Answer("unknown", f"{type(err).__name__}: {err}")

    @staticmethod
    def _read(request: Any) -> Any:
        from kiteconnect.exceptions import KiteException

        try:
            return request()
        except KiteException as err:
            raise ReadRefusedError(str(err)) from err
