"""What the risk fold says, and what becomes of the orders it allows: `decisions`, `intents`, `orders`."""

from __future__ import annotations

import msgspec

from kitepilot.events.envelope import Event
from kitepilot.words import OrderStatus, Purpose, Side, TradingState


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
    profile_version: int = 0  # of the risk profile whose limits were compared
    models: tuple[str, ...] = ()  # the signal's: whose scores the wish rests on


class StateChanged(Event, frozen=True, kw_only=True, tag="state_changed"):
    """Trading state moved, and why; with `previous` and `state` equal, a line in the record."""

    run_id: str
    previous: TradingState
    state: TradingState
    reason: str
    rule: str = ""  # the named rule that lowered it (`risk.states`); "": the owner's word, or a mere note


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
    loss_paise: int = 0  # of the day, closed at the marks; negative when it has earned
    worst_case_paise: int = 0  # of the day, closed at the stops: see `risk.exposure`
    drawdown_paise: int = 0
    trades: int = 0  # entries of the day
    profile_version: int = 0


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
    models: tuple[str, ...] = ()  # the signal's: whose scores the wish rests on


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
    submitted_at: int = 0  # on the reply to a request that left: when it did, machine clock
    submitted_event_at: int = 0  # and in session time, which the broker's rates count in
