"""The bodies of live events. Money integer paise, quantities signed shares, times ms UTC and IST clock.

`at_ms` is session time; `said_ms` the machine's clock when the message left the process that made it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from api.live.latencies import Took
from kitepilot.risk.limit_use import LimitUse

IST = ZoneInfo("Asia/Kolkata")


def ms(at_ns: int) -> int:
    return at_ns // 1_000_000


def clock(at_ns: int) -> str:
    """HH:MM:SS in IST, "" for no moment."""
    return datetime.fromtimestamp(at_ns // 10**9, UTC).astimezone(IST).strftime("%H:%M:%S") if at_ns else ""


class Pnl(msgspec.Struct, frozen=True, kw_only=True):
    """The account once a session second; `net` is gross less charges so far."""

    at_ms: int
    ist: str
    said_ms: float
    gross_paise: int
    charges_paise: int
    net_paise: int
    realised_paise: int
    unrealised_paise: int
    exposure_paise: int
    net_exposure_paise: int
    loss_paise: int
    worst_case_paise: int
    drawdown_paise: int
    open_positions: int
    working_orders: int
    orders: int
    fills: int
    trades: int
    limits: tuple[LimitUse, ...]


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One open position of ours. `cost_paise` is of its open part; stop and profit are prices, 0: none."""

    token: int
    tradingsymbol: str
    strategy: str
    quantity: int
    cost_paise: int
    last_paise: int
    unrealised_paise: int
    stop_paise: int
    take_profit_paise: int
    leave_at_ms: int
    square_off_at_ms: int
    leaving: str  # the reason, once it is on its way out


class WorkingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One order of ours without an end."""

    intent_id: str
    tradingsymbol: str
    side: str
    purpose: str
    strategy: str
    quantity: int
    filled_quantity: int
    limit_price_paise: int
    status: str
    sent_at_ms: int


class OwnersRow(msgspec.Struct, frozen=True, kw_only=True):
    """What orders that are not ours hold in the account."""

    tradingsymbol: str
    quantity: int


class Positions(msgspec.Struct, frozen=True, kw_only=True):
    at_ms: int
    positions: tuple[PositionRow, ...]
    working: tuple[WorkingRow, ...]
    owners: tuple[OwnersRow, ...]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it trades, and why not. `fence` is the watchdog's reason while its fence stands.

    `decided` numbers the decisions' last word about it: whoever lets trading go on names what he has seen.
    """

    run_id: str
    mode: str
    session_date: str
    state: str
    reason: str
    rule: str
    leaving: str
    fence: str
    ended: bool
    open_at_ms: int
    close_at_ms: int
    strategies: tuple[str, ...]
    profile_version: int
    decided: int


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """The market data. `newest_quote_at_ms` is the exchange's time of the newest quote."""

    state: str
    down_since_ms: int
    newest_quote_at_ms: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The machinery. `reconciled` is the last comparison with the broker's books."""

    lag: dict[str, int]
    models: dict[str, str]
    dead_letters: int
    latencies: dict[str, Took]
    skew_ms: int | None
    funds_available_paise: int | None
    reconciled_at_ms: int
    reconciled_verdict: str
    reconciled_occasion: str
    differences: tuple[str, ...]


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy's wish; no side means leave."""

    at_ms: int
    ist: str
    said_ms: float
    signal_id: str
    strategy: str
    tradingsymbol: str
    side: str
    strength: float
    last_paise: int
    stop_bps: int
    take_profit_bps: int
    horizon_s: int
    features: dict[str, float]
    scores: dict[str, float]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What risk said: approved, or the code, what was observed and the limit."""

    at_ms: int
    ist: str
    said_ms: float
    verdict_id: str
    signal_id: str
    intent_id: str
    strategy: str
    tradingsymbol: str
    purpose: str
    side: str
    quantity: int
    limit_price_paise: int
    approved: bool
    denial: str
    observed: float
    limit: float


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an order's life."""

    at_ms: int
    ist: str
    said_ms: float
    intent_id: str
    order_id: str
    tradingsymbol: str
    side: str
    purpose: str
    strategy: str
    kind: str
    status: str
    quantity: int
    filled_quantity: int
    price_paise: int
    detail: str


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should look at. severity: critical | warning | notice."""

    at_ms: int
    ist: str
    said_ms: float
    severity: str
    kind: str
    subject: str
    detail: str


class EquityPoint(msgspec.Struct, frozen=True, array_like=True):
    """One point of the day's curve."""

    at_ms: int
    gross_paise: int
    net_paise: int
