"""Orders and trades as the exchange keeps them: frozen, integer paise, session time in ns UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OrderType = Literal["MARKET", "LIMIT", "SL", "SL-M"]
Validity = Literal["DAY", "IOC", "TTL"]

Variety = Literal["regular", "amo", "iceberg"]

COMPLETE, CANCELLED, REJECTED = "COMPLETE", "CANCELLED", "REJECTED"
OPEN, TRIGGER_PENDING = "OPEN", "TRIGGER PENDING"
TERMINAL = frozenset((COMPLETE, CANCELLED, REJECTED))


@dataclass(frozen=True, slots=True)
class Handling:
    """What goes wrong with a placement on its way, in session time (ns).

    `held_ns`: the order enters the order system, and its book, only that much later. `stuck_ns`: it stays in
    PUT ORDER REQ RECEIVED for that long. `refusal`: the broker's risk desk rejects it with this text.
    """

    held_ns: int = 0
    stuck_ns: int = 0
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Child:
    """One slice of an autosliced placement: an order id, or why there is none (HTTP code, type, text)."""

    order_id: str = ""
    code: int = 0
    error_type: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """What a placement came to. With `children`, `order_id` is the slices' parent and no order itself."""

    order_id: str
    children: tuple[Child, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A placement that passed the checks made before an order id is given. Prices in paise, 0 when absent.

    `protection_bps` is the market protection in hundredths of a percent; -1 means automatic, 0 none.
    """

    token: int
    tradingsymbol: str
    buy: bool
    quantity: int
    order_type: OrderType
    price_paise: int
    trigger_paise: int
    validity: Validity
    validity_ttl_min: int
    disclosed_quantity: int
    protection_bps: int
    tag: str


@dataclass(frozen=True, slots=True)
class Order:
    """One state of one order; an order's history is a list of these.

    `price_paise` of a MARKET order becomes its protection price when it reaches the exchange, and
    `order_type` becomes LIMIT, as Kite shows it. `traded_paise` is the sum of price x quantity of its trades.
    """

    order_id: str
    request: OrderRequest
    status: str
    order_type: OrderType
    price_paise: int
    trigger_paise: int
    quantity: int
    validity: Validity
    placed_at: int
    updated_at: int
    exchange_order_id: str = ""
    accepted_at: int = 0
    filled_quantity: int = 0
    traded_paise: int = 0
    cancelled_quantity: int = 0
    modifications: int = 0
    message: str = ""

    @property
    def pending_quantity(self) -> int:
        return 0 if self.status in TERMINAL else self.quantity - self.filled_quantity

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution. Unique by (order_id, trade_id)."""

    trade_id: str
    order_id: str
    exchange_order_id: str
    token: int
    tradingsymbol: str
    buy: bool
    quantity: int
    price_paise: int
    traded_at: int
    placed_at: int
