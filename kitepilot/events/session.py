"""The messages of the topic `session`: everything a decision may depend on, in one order."""

from __future__ import annotations

import msgspec

from kitepilot.events.envelope import Event
from kitepilot.parameters import DecisionParameters, RiskProfile
from kitepilot.words import OrderStatus, Side


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
    rests_on: tuple[str, ...] = ()  # names in `scores` without which there would be no wish
    models: tuple[str, ...] = ()  # ids of the models behind those scores, on this instrument


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
    state: str = ""  # of a breaker: open | half_open | closed


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

    command: halt | resume | reduce | flatten | strategy_enable | strategy_disable | end_of_day | acknowledge
        | alert_ack (argument: the key of an alert)
        | config_reload (argument: the hash of the configuration in force from here, beside the run's own)
    """

    command_id: str
    command: str
    argument: str = ""
    by: str = ""


class FeedChanged(Event, frozen=True, kw_only=True, tag="feed_changed"):
    """The ingester's word about the feed, carried in the tick partition. state: up | down."""

    state: str
    detail: str = ""


# --- what the decisions must know besides the market and our orders ----------------------------------------


class ProfileActivated(Event, frozen=True, kw_only=True, tag="profile_activated"):
    """The owner's limits from now on: another version of the risk profile. Counts once, by `command_id`."""

    command_id: str
    profile: RiskProfile
    by: str
    reason: str


class FundsMarked(Event, frozen=True, kw_only=True, tag="funds_marked"):
    """The account's equity funds as the broker said them, from the gateway. Paise."""

    run_id: str
    available_paise: int
    used_paise: int


class BandsMarked(Event, frozen=True, kw_only=True, tag="bands_marked"):
    """Circuit limits in force today, from the gateway's quotes. Columns: one row per instrument, paise."""

    run_id: str
    tokens: list[int]
    lower_paise: list[int]
    upper_paise: list[int]


class ClockMeasured(Event, frozen=True, kw_only=True, tag="clock_measured"):
    """This machine's clock minus the venue's (or a time server's), in ms."""

    run_id: str
    skew_ms: int
    against: str  # ntp | broker | sandbox


class ModelActivated(Event, frozen=True, kw_only=True, tag="model_activated"):
    """The market flow follows another offline model from its next 1 m close on; `reason` is the owner's."""

    model: str
    previous: str
    reason: str = ""


class StrategySwitched(Event, frozen=True, kw_only=True, tag="strategy_switched"):
    """From its next close on a strategy is asked again (on), no more (off), or is another text (replaced).

    `digest` is the text's, where there is one; `kept` whether the new text took over what the old remembered.
    """

    strategy: str
    state: str  # on | off | replaced
    digest: str = ""
    kept: bool = False


class ModelJudged(Event, frozen=True, kw_only=True, tag="model_judged"):
    """Whether a model's scores may open positions. state: fresh | stale | drifted."""

    model: str
    state: str
    detail: str = ""


class DriftFound(Event, frozen=True, kw_only=True, tag="drift_found"):
    """A score errs more than it did, or a feature looks otherwise than in training. Told once per change.

    detector: adwin (`observed` and `limit` are the mean error after and before) | psi (the index, its limit)
    | missing (the share of missing values, the most in any hour of training).
    act, as configured: tell | refuse_entries (of what rests on `scores`) | reduce; until the owner resumes.
    """

    model: str
    detector: str
    observed: float
    limit: float
    act: str
    feature: str = ""  # psi
    scores: tuple[str, ...] = ()
