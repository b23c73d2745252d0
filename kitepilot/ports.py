"""What the core asks of the world: the event log, the broker, a clock. Adapters live outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from kitepilot.events import ApprovedIntent, OrderStatus, Side
from kitepilot.topics import Topic

TopicPartition = tuple[str, int]


class LogRecord(NamedTuple):
    """One record of the log. `appended_at` is the writer's machine clock in ns (ms precision on Kafka)."""

    topic: str
    partition: int
    offset: int
    appended_at: int
    key: bytes
    value: bytes


class LogError(RuntimeError):
    """The log could not do what was asked; says what, where, why and what to do."""


class OffsetOutOfRangeError(LogError):
    """Records at that offset are gone (retention) or not written yet past the end."""


class LogReader(Protocol):
    """One reader over several topic-partitions, each with its own next offset."""

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[LogRecord]:
        """Up to `max_records` in offset order per partition. `timeout_s=0` never blocks."""
        ...

    def positions(self) -> Mapping[TopicPartition, int]:
        """Next offset to be read, per partition."""
        ...

    def close(self) -> None: ...


class LogWriter(Protocol):
    """Buffered appends of one producer. Nothing is promised until `flush` returns."""

    def append(self, topic: str, value: bytes, *, partition: int = 0, key: bytes = b"") -> None: ...

    def push(self) -> None:
        """Hand the appends on without waiting for a broker. Raises `LogError` for failures known by now."""
        ...

    def flush(self, timeout_s: float = 10.0) -> None:
        """Make all appends durable. Raises `LogError` if any was not, naming the topic and the cause."""
        ...

    def close(self) -> None:
        """Let go of the log; appends that were not flushed may be dropped. Never raises."""
        ...


class EventLog(Protocol):
    """A durable, ordered log: SQLite (embedded) or the Kafka protocol."""

    def create_topics(self, topics: Iterable[Topic]) -> None: ...

    def append(self, topic: str, values: Sequence[bytes], *, partition: int = 0, key: bytes = b"") -> int:
        """Durably append, all or nothing for one call; returns the offset of the first value."""
        ...

    def reader(self, start: Mapping[TopicPartition, int]) -> LogReader:
        """A reader that begins at the given next offsets (0 is the first record ever written)."""
        ...

    def writer(self) -> LogWriter: ...

    def begin_offset(self, topic: str, partition: int = 0) -> int: ...

    def end_offset(self, topic: str, partition: int = 0) -> int:
        """The offset the next record will get."""
        ...

    def offset_at(self, topic: str, at_ns: int, partition: int = 0) -> int:
        """First offset appended at or after `at_ns` (machine clock); the end offset if none."""
        ...

    def trim(self, topic: str, before_ns: int, partition: int = 0) -> int:
        """Forget whole segments older than `before_ns`; returns the new begin offset. Never renumbers."""
        ...

    def close(self) -> None: ...


class Clock(Protocol):
    """Session time in ns UTC: the machine's clock live, the sandbox's in paper."""

    def now(self) -> int: ...


# --- the broker port ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Accepted:
    """The broker's order system took it and gave an id. It may still be rejected later."""

    order_id: str


@dataclass(frozen=True)
class Rejected:
    """Certain: no order exists."""

    code: str
    message: str


@dataclass(frozen=True)
class Unknown:
    """It may or may not be live. Resolve by tag in the order book; never resend."""

    reason: str


@dataclass(frozen=True)
class Throttled:
    """Refused before it was looked at (429). Certain: no order exists; may be sent again later."""

    message: str


@dataclass(frozen=True)
class AuthLost:
    """The session is dead: a person must log in. Certain: no order exists."""

    message: str


Outcome = Accepted | Rejected | Unknown | Throttled | AuthLost


@dataclass(frozen=True)
class OrderReport:
    """One row of the broker's order book, in our words. Leftover = quantity - filled on terminal rows."""

    order_id: str
    tag: str
    tradingsymbol: str
    token: int
    side: Side
    quantity: int
    filled_quantity: int
    average_price_paise: int
    status: OrderStatus
    venue_status: str
    message: str
    updated_at: int
    product: str = "MIS"
    placed_by: str = ""
    by_broker: bool = False  # placed by somebody else than the account's user: the broker's square-off


@dataclass(frozen=True)
class TradeReport:
    """One trade, in our words. Unique by (order_id, trade_id)."""

    order_id: str
    trade_id: str
    tradingsymbol: str
    token: int
    side: Side
    quantity: int
    price_paise: int
    traded_at: int
    product: str = "MIS"


@dataclass(frozen=True)
class PositionReport:
    """Net MIS position of one instrument as the broker sees it."""

    tradingsymbol: str
    token: int
    quantity: int


@dataclass(frozen=True)
class FundsReport:
    """The account's equity funds as the broker sees them, in paise; read, never derived."""

    available_paise: int
    used_paise: int


@dataclass(frozen=True)
class BandReport:
    """An instrument's circuit limits of today, in paise."""

    token: int
    lower_paise: int
    upper_paise: int


class Broker(Protocol):
    """One screen: what KitePilot asks of a broker. Paper and live differ by address only.

    What each promises is numbered in docs/reference/contract.md.
    """

    def submit(self, intent: ApprovedIntent, tag: str, quantity: int) -> Outcome:
        """Send one child order of an approved intent: `quantity` of it, under its own tag. Once."""
        ...

    def modify(self, order_id: str, limit_price_paise: int) -> Outcome:
        """Move a resting limit order's price. Not its quantity: Kite leaves open whether that is the rest."""
        ...

    def cancel(self, order_id: str) -> Outcome: ...

    def orders(self) -> list[OrderReport]: ...

    def order_history(self, order_id: str) -> list[OrderReport]:
        """The states one order went through, oldest first as told."""
        ...

    def trades(self, order_id: str | None = None) -> list[TradeReport]: ...

    def positions(self) -> list[PositionReport]: ...

    def funds(self) -> FundsReport: ...

    def instruments(self) -> bytes:
        """The day's NSE instruments file, CSV as served."""
        ...
