"""The messages that travel on the topics: msgpack structs with named fields.

Shapes shared by every message:

* ``source`` and ``seq`` name the producer and its own gap-free counter (from 0). A producer that is
  restarted repeats its last numbers, never skips one; a consumer drops what it has seen (`seq <= last`).
* ``event_at`` is session time in nanoseconds since the epoch, UTC. It comes from the events.
* ``emitted_at`` is the machine's clock (ns, UTC) when the message was handed to the log. It is stamped
  by the sink, never read by a decision, and left out of every hash (see `canonical`).
* Money is integer paise, quantity integer shares. Columns of one message have equal lengths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

# ruff: noqa: PLC0414  (the words and parameters that messages carry are imported from here as well)
from kitepilot.parameters import DecisionParameters as DecisionParameters
from kitepilot.parameters import InstrumentTerms as InstrumentTerms
from kitepilot.parameters import RiskLimits as RiskLimits
from kitepilot.words import OrderStatus as OrderStatus
from kitepilot.words import Purpose as Purpose
from kitepilot.words import Side as Side
from kitepilot.words import TradingState as TradingState


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every message carries."""

    source: str
    seq: int
    event_at: int
    emitted_at: int = 0


# --- session: the total order --------------------------------------------------------------------------


class RunStarted(Event, frozen=True, kw_only=True, tag="run_started"):
    """First message of a run on `session`; written by the command line before any flow starts."""

    run_id: str
    mode: str  # paper | live
    config_hash: str
    parameters: DecisionParameters


class Marked(Event, frozen=True, kw_only=True, tag="marked"):
    """Once per session second, from the market flow: the clock, and the quotes that changed since.

    Columns: one row per changed instrument; bid/ask are 0 where the feed has no depth;
    `quoted_at` is the exchange time (ns) of the quote.
    """

    received_at: int
    tokens: list[int]
    last_paise: list[int]
    bid_paise: list[int]
    ask_paise: list[int]
    quoted_at: list[int]


class SignalRaised(Event, frozen=True, kw_only=True, tag="signal_raised"):
    """A strategy's wish. It knows nothing of positions: `side=None` means leave whatever is held."""

    signal_id: str  # derived: see `orders.intents.signal_id`
    strategy: str
    token: int
    tradingsymbol: str
    side: Side | None
    strength: float  # 0..1
    interval_s: int  # bar that closed: 1 or 60
    bar_close_at: int
    horizon_s: int  # leave after this long
    stop_bps: int
    take_profit_bps: int
    last_paise: int  # decision price and touch
    bid_paise: int
    ask_paise: int
    features: dict[str, float]
    scores: dict[str, float]  # model id -> score
    received_at: int  # machine clock (ns) when the record that completed the bar arrived


class OrderUpdated(Event, frozen=True, kw_only=True, tag="order_updated"):
    """From the gateway: the merged truth about one intent, all its child orders together.

    Monotone in `filled_quantity`; terminal when all children are. `order_id`, `venue_status` and `message`
    are those of the child that changed.
    """

    run_id: str
    intent_id: str
    order_id: str  # broker's id; "" before one is known
    token: int
    status: OrderStatus
    venue_status: str
    quantity: int
    filled_quantity: int
    message: str = ""


class Filled(Event, frozen=True, kw_only=True, tag="filled"):
    """One trade of one of our orders, once. Scope of uniqueness: (run, order_id, trade_id)."""

    run_id: str
    intent_id: str
    order_id: str
    trade_id: str
    token: int
    side: Side
    quantity: int
    price_paise: int
    filled_at: int  # exchange time (ns)


class ForeignOrderUpdated(Event, frozen=True, kw_only=True, tag="foreign_order_updated"):
    """An order of the account that is not ours: placed by hand or by the broker. We look and never touch."""

    run_id: str
    order_id: str
    token: int
    tradingsymbol: str
    side: Side
    product: str
    quantity: int
    filled_quantity: int
    status: OrderStatus
    venue_status: str
    placed_by: str  # the broker's name of whoever placed it
    by_broker: bool  # not the account's own user: the broker's square-off, which it bills for


class ForeignFilled(Event, frozen=True, kw_only=True, tag="foreign_filled"):
    """One intraday (MIS) trade of an order that is not ours, once. The broker nets it with our position."""

    run_id: str
    order_id: str
    trade_id: str
    token: int
    tradingsymbol: str
    side: Side
    quantity: int
    price_paise: int
    filled_at: int  # exchange time (ns)
    placed_by: str
    by_broker: bool


class Alarmed(Event, frozen=True, kw_only=True, tag="alarmed"):
    """Something a person should look at. `halts`: nothing new is opened until the owner resumes."""

    run_id: str
    kind: str  # foreign_order | order | breaker | ...
    subject: str  # what it is about: an order id, an instrument, a breaker's name
    detail: str
    halts: bool


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One disagreement between the broker's books and the journal. Rules: `gateway.reconcile`."""

    rule: str
    subject: str
    ours: str
    theirs: str


class Reconciled(Event, frozen=True, kw_only=True, tag="reconciled"):
    """The broker's orders, trades and positions were compared with the journal."""

    run_id: str
    occasion: str  # start | minute | end_of_day | exit_ladder
    orders: int  # compared
    trades: int
    positions: int
    differences: tuple[Difference, ...]
    verdict: str  # equal | healed | halt


class Commanded(Event, frozen=True, kw_only=True, tag="commanded"):
    """The owner's or a supervisor's order to the system.

    command: halt | resume | reduce | flatten | strategy_enable | strategy_disable | end_of_day
    """

    command_id: str
    command: str
    argument: str = ""
    by: str = ""


class FeedChanged(Event, frozen=True, kw_only=True, tag="feed_changed"):
    """The ingester's word about the feed, carried in the tick partition. state: up | down."""

    state: str
    detail: str = ""


# --- decisions ---------------------------------------------------------------------------------------------


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One risk check with the numbers it compared; `observed <= limit` unless the name says otherwise."""

    code: str
    passed: bool
    observed: float
    limit: float


class Verdict(Event, frozen=True, kw_only=True, tag="verdict"):
    """The risk fold's answer to one proposed order. Denied carries the code of the first failed check."""

    verdict_id: str
    run_id: str
    signal_id: str  # "" for orders the fold itself proposed (exits, square-off)
    strategy: str
    token: int
    tradingsymbol: str
    purpose: Purpose
    side: Side
    quantity: int
    limit_price_paise: int
    approved: bool
    denial: str  # "" when approved
    intent_id: str  # "" when denied
    state: TradingState
    checks: tuple[Check, ...]


class StateChanged(Event, frozen=True, kw_only=True, tag="state_changed"):
    """Trading state moved, and why."""

    run_id: str
    previous: TradingState
    state: TradingState
    reason: str


class AccountMarked(Event, frozen=True, kw_only=True, tag="account_marked"):
    """Once per session second: the account as the decision fold sees it."""

    run_id: str
    state: TradingState
    realised_paise: int
    unrealised_paise: int
    charges_paise: int
    open_positions: int
    gross_exposure_paise: int
    working_orders: int
    oldest_working_at: int  # event_at of the oldest intent without a terminal state, 0 if none
    orders: int
    fills: int


# --- intents and orders ------------------------------------------------------------------------------------


class ApprovedIntent(Event, frozen=True, kw_only=True, tag="approved_intent"):
    """Permission to send one order. Only the risk fold makes one; the broker port takes nothing else."""

    intent_id: str  # 18 base32 characters, derived; with a 2-digit slice it is Kite's tag
    run_id: str
    config_hash: str
    signal_id: str
    verdict_id: str
    strategy: str
    purpose: Purpose
    token: int
    tradingsymbol: str
    side: Side
    quantity: int
    order_type: str  # LIMIT (MARKET only with market_protection)
    limit_price_paise: int
    validity: str  # IOC | DAY
    decision_price_paise: int
    received_at: int  # from the signal: machine clock of the tick that completed the bar; 0 for own exits
    signal_emitted_at: int  # machine clock of the triggering session message
    protection_bps: int = 0  # order_type MARKET: how far from the last price it may trade
    attempt: int = 0  # exits: orders sent before this one since the last exit fill


class OrderJournaled(Event, frozen=True, kw_only=True, tag="order_journaled"):
    """One line of a child order's life as the gateway journaled it (requests, replies, updates, fills)."""

    run_id: str
    intent_id: str
    order_id: str
    token: int
    tradingsymbol: str
    side: Side
    purpose: Purpose
    strategy: str
    kind: str  # submitting | accepted | rejected | unknown | throttled | update | fill
    status: OrderStatus
    quantity: int
    filled_quantity: int
    price_paise: int
    trade_id: str = ""
    detail: str = ""
    latency_ns: int = 0  # request sent -> reply read, machine clock, where it applies
    slice: int = 0  # which child of the intent; quantities and status are this child's


# --- bars, features, dead letters --------------------------------------------------------------------------


class BarsClosed(Event, frozen=True, kw_only=True, tag="bars_closed"):
    """All bars of one interval that closed together; one row per instrument. Prices in paise.

    A bar is identified by (run, token, interval_s, close_at, backfilled). Backfilled bars are the broker's
    own candles of minutes in which the feed was down, fetched later: they are for the record only, never an
    input of features or decisions, and may stand beside a bar made from the ticks that did arrive.
    """

    interval_s: int
    close_at: int
    tokens: list[int]
    open_paise: list[int]
    high_paise: list[int]
    low_paise: list[int]
    close_paise: list[int]
    volume: list[int]
    tick_count: list[int]  # 0 in backfilled bars: the broker does not say
    backfilled: bool = False


class FeaturesComputed(Event, frozen=True, kw_only=True, tag="features_computed"):
    """Features and scores at one bar close; `values`: row-major little-endian float64, one row per token."""

    interval_s: int
    close_at: int
    names: list[str]
    tokens: list[int]
    values: bytes
    scores: dict[str, list[float]]  # model id -> one score per token (NaN while warming up)


class PostbackReceived(Event, frozen=True, kw_only=True, tag="postback_received"):
    """An HTTP postback whose checksum was right. A hint about an order, never the truth about it."""

    order_id: str
    status: str
    body: str  # JSON as it came
    received_at: int  # machine clock, ns


class DeadLetter(Event, frozen=True, kw_only=True, tag="dead_letter"):
    """Input that could not be used, kept whole. `count` records of the same reason may share one letter."""

    reason: str  # e.g. unknown_token | off_grid | volume_fell | bad_frame | undecodable | clock_jump
    topic: str
    partition: int
    offset: int
    count: int
    detail: str
    payload: bytes


SessionEvent = (
    RunStarted
    | Marked
    | SignalRaised
    | OrderUpdated
    | Filled
    | ForeignOrderUpdated
    | ForeignFilled
    | Alarmed
    | Reconciled
    | Commanded
    | FeedChanged
)
DecisionEvent = Verdict | StateChanged | AccountMarked
AnyEvent = (
    SessionEvent
    | DecisionEvent
    | ApprovedIntent
    | OrderJournaled
    | BarsClosed
    | FeaturesComputed
    | PostbackReceived
    | DeadLetter
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)


class UndecodableError(ValueError):
    """The bytes are not a message of ours. Carry them to the dead-letter topic with this text."""


def encode(event: AnyEvent, *, emitted_at: int = 0) -> bytes:
    """Event -> msgpack. A non-zero `emitted_at` (ns) is stamped on the way out."""
    if emitted_at:
        event = msgspec.structs.replace(event, emitted_at=emitted_at)
    return _encoder.encode(event)


def decode(payload: bytes) -> AnyEvent:
    """msgpack -> event.

    Raises:
        UndecodableError: not msgpack, unknown type, or a missing or mistyped field.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise UndecodableError(str(err)) from err


def canonical(event: AnyEvent) -> bytes:
    """The bytes that are hashed and compared: everything but the machine's clock."""
    return encode(msgspec.structs.replace(event, emitted_at=0))


def stream_hash(events: Iterable[AnyEvent]) -> str:
    """SHA-256 (hex) over the canonical bytes, length-prefixed, in order."""
    digest = hashlib.sha256()
    for event in events:
        raw = canonical(event)
        digest.update(len(raw).to_bytes(4, "big"))
        digest.update(raw)
    return digest.hexdigest()
