"""What the decision fold remembers of a session: one value, a plain blob when saved.

The fold owns the state it is given and changes it in place; nobody else holds it. Its size depends on the
number of instruments, open orders and the named bounds below, never on how long the day has been.
"""

from __future__ import annotations

import msgspec

from kitepilot.events import (
    DecisionParameters,
    InstrumentTerms,
    OrderStatus,
    Purpose,
    RiskLimits,
    RiskProfile,
    Side,
    TradingState,
)
from kitepilot.orders.charges import DayCharges
from kitepilot.orders.positions import FLAT, Position

RECENT_ORDERS = 1024  # finished orders kept so that a late fill or a repeated trade is recognised
RECENT_COMMANDS = 256
RECENT_SIGNALS = 1024  # approved, kept so that the same wish never becomes two orders
BLOB_VERSION = 6


class Quote(msgspec.Struct, frozen=True, array_like=True):
    """Last price and touch in paise (0: none), and the exchange time (ns) of the quote."""

    last_paise: int
    bid_paise: int
    ask_paise: int
    quoted_at: int


NO_QUOTE = Quote(0, 0, 0, 0)


class DeskOrder(msgspec.Struct, kw_only=True):
    """One order of ours from intent to its last fill."""

    intent_id: str
    token: int
    side: Side
    purpose: Purpose
    strategy: str
    quantity: int
    limit_price_paise: int
    sent_at: int  # session time (ns) of the intent
    leave_at: int = 0  # an entry's plan, for the position it makes: see `Holding`
    stop_bps: int = 0
    take_profit_bps: int = 0
    fees_paise: int = 0  # of an entry and its exit, were all of it filled at its limit
    status: OrderStatus = OrderStatus.SUBMITTING
    reported_quantity: int = 0  # cumulative, as the venue says
    filled_quantity: int = 0  # as its fills add up
    filled_paise: dict[str, int] = msgspec.field(
        default_factory=dict
    )  # per broker order: brokerage caps there
    trades: list[str] = msgspec.field(default_factory=list)  # seen, as "order id/trade id"

    @property
    def finished(self) -> bool:
        """Terminal, and every fill that the venue reported has arrived."""
        return self.status.terminal and self.filled_quantity >= self.reported_quantity

    @property
    def pending_quantity(self) -> int:
        """What may still reach the position: the open part, or fills reported and not yet seen."""
        expected = self.reported_quantity if self.status.terminal else self.quantity
        return max(expected - self.filled_quantity, 0)


class Holding(msgspec.Struct, kw_only=True):
    """The plan that goes with an open position: whose it is and when it leaves."""

    strategy: str
    leave_at: int  # session time (ns)
    stop_bps: int  # 0: none
    take_profit_bps: int  # 0: none
    exit_wanted: str = ""  # reason, once decided; exits then repeat until flat
    attempts: int = 0  # exit orders sent since the last exit fill
    next_attempt_at: int = 0
    realised_before_paise: int = 0  # of its instrument, when this position was opened
    ledger: DayCharges = DayCharges()  # its own fills, to know what this trade earned


class ForeignOrder(msgspec.Struct, kw_only=True):
    """An order of the account that is not ours."""

    token: int
    live: bool = False
    filled_paise: int = 0
    billed: bool = False  # the broker's fee for squaring off was counted
    trades: list[str] = msgspec.field(default_factory=list)


class Rate(msgspec.Struct, kw_only=True):
    """Orders sent in the current calendar second and minute of session time, and today."""

    second: int = 0
    in_second: int = 0
    minute: int = 0
    in_minute: int = 0
    in_day: int = 0

    def at(self, now: int) -> tuple[int, int, int]:
        """Counts so far for the second, minute and day that `now` (ns) falls in."""
        second, minute = now // 1_000_000_000, now // 60_000_000_000
        in_second = self.in_second if second == self.second else 0
        in_minute = self.in_minute if minute == self.minute else 0
        return in_second, in_minute, self.in_day

    def count(self, now: int) -> None:
        """One more order at `now`."""
        in_second, in_minute, in_day = self.at(now)
        self.second, self.minute = now // 1_000_000_000, now // 60_000_000_000
        self.in_second, self.in_minute, self.in_day = in_second + 1, in_minute + 1, in_day + 1


class Band(msgspec.Struct, frozen=True, array_like=True):
    """An instrument's circuit limits in paise: no price outside can trade."""

    lower_paise: int
    upper_paise: int


class Funds(msgspec.Struct, kw_only=True):
    """The broker's last word on free margin, and our own books at that moment. Paise."""

    available_paise: int
    counted_paise: int  # margin of our positions that the figure surely has in it
    loss_paise: int  # the day's loss then
    at: int  # session time, ns


class Valuation(msgspec.Struct, frozen=True, kw_only=True):
    """Open positions at the marks, in paise: sums that stand until a quote or a position changes."""

    exposure_paise: int
    net_paise: int  # longs less shorts
    margin_paise: int  # what the broker blocks for what they cost
    unrealised_paise: int
    closing_charges_paise: int  # of the whole day, were every position closed now in one order each
    worst_unrealised_paise: int  # were every position left at its stop: see `exposure.worst_case_loss_paise`
    worst_charges_paise: int


class DeskState(msgspec.Struct, kw_only=True):
    """The account of one run as its session log tells it."""

    run_id: str
    config_hash: str
    parameters: DecisionParameters
    profile: RiskProfile  # in force: the run's own until the owner activates another
    terms: dict[int, InstrumentTerms]
    enabled: set[str]
    trading: TradingState = TradingState.ACTIVE
    leaving: str = ""  # why everything is being closed, empty when it is not
    ended: bool = False  # end_of_day was commanded: no way back to active
    feed_up: bool = True
    now: int = 0  # session time of the last mark
    seen: dict[str, int] = msgspec.field(default_factory=dict)  # last seq by source
    commands: dict[str, None] = msgspec.field(default_factory=dict)
    quotes: dict[int, Quote] = msgspec.field(default_factory=dict)
    positions: dict[int, Position] = msgspec.field(default_factory=dict)
    holdings: dict[int, Holding] = msgspec.field(default_factory=dict)  # one per open position
    working: dict[str, DeskOrder] = msgspec.field(default_factory=dict)  # by intent id, oldest first
    recent: dict[str, DeskOrder] = msgspec.field(default_factory=dict)  # finished, oldest first
    foreign: dict[str, ForeignOrder] = msgspec.field(default_factory=dict)  # by broker's order id
    owners: dict[int, Position] = msgspec.field(default_factory=dict)  # what foreign orders hold
    owners_ledger: DayCharges = DayCharges()
    foreign_fills: int = 0
    ledger: DayCharges = DayCharges()
    realised_paise: int = 0
    rate: Rate = msgspec.field(default_factory=Rate)
    orders: int = 0
    fills: int = 0
    verdicts: int = 0
    decisions_seq: int = 0
    intents_seq: int = 0
    streak: int = 0  # closed trades in a row that lost, charges included
    paused_until: int = 0  # session time (ns) before which nothing is opened, after a streak
    trades: int = 0  # entries approved today
    trades_on: dict[int, int] = msgspec.field(default_factory=dict)  # the same by token
    peak_paise: int = 0  # the day's best result at any mark
    rule: str = ""  # that lowered the trading state last, "" when the owner did
    standing: set[str] = msgspec.field(default_factory=set)  # rules that have acted since the owner resumed
    fresh_at: int = 0  # session time of the last mark with a quote, or of the first mark
    feed_down_at: int = 0  # session time at which the feed went down; 0 while it is up
    stuck: set[int] = msgspec.field(default_factory=set)  # tokens open after their continuous close
    strangers: int = 0  # fills of orders this fold does not remember sending
    gaps: int = 0  # sequence numbers that never came
    mode: str = "paper"  # paper | live
    acknowledged: bool = False  # live: the owner's word that today's orders may go out
    funds: Funds | None = None  # None: not known
    bands: dict[int, Band] = msgspec.field(default_factory=dict)  # missing: not known
    skew_ms: int | None = None
    models: dict[str, str] = msgspec.field(default_factory=dict)  # by name: fresh | stale | drifted
    drifted: set[str] = msgspec.field(
        default_factory=set
    )  # scores not to be followed until the owner resumes
    feed_gap_at: int = 0  # session time at which the last gap in the feed ended
    newest_quote_at: int = 0  # exchange time of the newest quote of any instrument
    signals: dict[str, None] = msgspec.field(default_factory=dict)  # approved, oldest first
    valuation: Valuation | None = None  # None: to be worked out, see `exposure.valued`

    @property
    def limits(self) -> RiskLimits:
        return self.profile.limits

    @property
    def ceiling(self) -> RiskLimits:
        """What no profile may be looser than."""
        return self.parameters.ceiling or self.parameters.profile.limits

    def position(self, token: int) -> Position:
        return self.positions.get(token, FLAT)

    def quote(self, token: int) -> Quote:
        return self.quotes.get(token, NO_QUOTE)

    def mark(self, token: int) -> int:
        """Last price in paise; before the first quote what was paid for the position, else 0."""
        last, position = self.quote(token).last_paise, self.position(token)
        return last or (position.cost_paise // abs(position.quantity) if position.quantity else 0)

    def owners_quantity(self, token: int) -> int:
        """Shares of the instrument that the account holds and that are not ours (signed)."""
        return self.owners.get(token, FLAT).quantity

    def foreign_live(self, token: int) -> int:
        """Foreign orders on the instrument that may still fill."""
        return sum(each.live and each.token == token for each in self.foreign.values())

    def working_on(self, token: int) -> list[DeskOrder]:
        return [order for order in self.working.values() if order.token == token]

    def next_decision(self) -> int:
        self.decisions_seq += 1
        return self.decisions_seq - 1

    def next_intent(self) -> int:
        self.intents_seq += 1
        return self.intents_seq - 1


def begin(run_id: str, config_hash: str, parameters: DecisionParameters, mode: str = "paper") -> DeskState:
    """The state at the start of a run. An instrument without a tick or a lot (an index) is left out.

    What earlier runs of a live day used up is used up.
    """
    earlier = parameters.carried
    return DeskState(
        run_id=run_id,
        config_hash=config_hash,
        parameters=parameters,
        profile=parameters.profile,
        terms={
            each.token: each
            for each in parameters.instruments
            if each.tick_size_paise > 0 and each.lot_size > 0
        },
        enabled=set(parameters.strategies),
        mode=mode,
        rate=Rate(in_day=earlier.orders),
        streak=earlier.streak,
        paused_until=earlier.paused_until,
        trades=earlier.trades,
        trades_on=dict(earlier.trades_on),
        peak_paise=earlier.peak_paise,
    )


def save(state: DeskState | None) -> bytes:
    """State -> blob. A state that is saved and loaded decides as the original would."""
    return bytes([BLOB_VERSION]) + _encoder.encode(state)


def load(blob: bytes) -> DeskState | None:
    """Blob -> state.

    Raises:
        ValueError: another version's blob, or not a blob of ours.
    """
    if not blob or blob[0] != BLOB_VERSION:
        raise ValueError(
            f"the saved decision state has version {blob[:1].hex() or 'none'}, this program reads "
            f"{BLOB_VERSION:02x}: finish the run with the version that began it, or begin a new run"
        )
    return _decoder.decode(blob[1:])


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[DeskState | None] = msgspec.msgpack.Decoder(DeskState | None)
