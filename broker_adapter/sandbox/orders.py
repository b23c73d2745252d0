"""Orders and trades as the exchange keeps them: frozen, integer paise, session time in ns UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OrderType = Literal["MARKET", "LIMIT", "SL", "SL-M"]
Validity = Literal["DAY", "IOC", "TTL"]
Variety = Literal["regular", "amo", "iceberg"]

#: Kite's statuses (orders page of the Kite Connect documentation and the public mocks, seen 2026-07-14).
RECEIVED, VALIDATION_PENDING, OPEN_PENDING = "PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING"
AMO_RECEIVED, MODIFY_AMO_RECEIVED = "AMO REQ RECEIVED", "MODIFY AMO REQ RECEIVED"
OPEN, TRIGGER_PENDING = "OPEN", "TRIGGER PENDING"
MODIFY_VALIDATION_PENDING, MODIFY_PENDING = "MODIFY VALIDATION PENDING", "MODIFY PENDING"
MODIFIED, CANCEL_PENDING = "MODIFIED", "CANCEL PENDING"
COMPLETE, CANCELLED, REJECTED = "COMPLETE", "CANCELLED", "REJECTED"
TERMINAL = frozenset((COMPLETE, CANCELLED, REJECTED))
#: Not yet past the broker's risk desk: such an order blocks no margin.
UNCHECKED = frozenset((RECEIVED, VALIDATION_PENDING, AMO_RECEIVED, MODIFY_AMO_RECEIVED))
#: A request about the order is on its way; a partial fill leaves the status alone.
IN_TRANSIT = frozenset((MODIFY_VALIDATION_PENDING, MODIFY_PENDING, CANCEL_PENDING))

BROKER = "RMS"  # who places the broker's own square-off


@dataclass(frozen=True, slots=True)
class Handling:
    """What goes wrong with a placement on its way, in session time (ns).

    `held_ns`: the order enters the order system, and its book, only that much later. `stuck_ns`: it stays in
    PUT ORDER REQ RECEIVED for that long. `refusal`: the broker's risk desk rejects it with this text.
    """

    held_ns: int = 0
    stuck_ns: int = 0
    refusal: str = ""


ON_TIME = Handling()


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
class Leg:
    """Which leg of an iceberg an order is: number from 1, legs in all, shares of a leg and of the whole."""

    number: int
    legs: int
    quantity: int
    total: int

    @property
    def remaining(self) -> int:
        """Shares that the legs after this one will bring."""
        return max(0, self.total - self.number * self.quantity)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A placement that passed the checks made before an order id is given. Prices in paise, 0 when absent.

    `protection_bps` is the market protection in hundredths of a percent; -1 means automatic, 0 none.
    `slice_of` is the parent of an autosliced order; `placed_by` is empty for the account's owner.
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
    variety: Variety = "regular"
    leg: Leg | None = None
    slice_of: str = ""
    placed_by: str = ""


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
    disclosed_quantity: int = 0
    protection_bps: int = 0
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

    @property
    def by_broker(self) -> bool:
        """The broker's own square-off: told to nobody, and charged for."""
        return self.request.placed_by == BROKER


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
