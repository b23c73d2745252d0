"""Trading days made up by chance, told to the archive and to the core's own accounting alike.

What the core makes of a day (`TradedDay.trips`, `.state`) is what the marts are held to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import msgspec
import numpy as np

from kitepilot import events as e
from kitepilot.config import RiskSection
from kitepilot.market.calendar import ist_ns
from kitepilot.orders.charges import Charges, DayCharges, ExecutedOrder, contract_note, rates_on
from kitepilot.ports import LogRecord
from kitepilot.risk import account, exposure, foreign, records
from kitepilot.risk.state import DeskOrder, DeskState, Holding, Quote, begin
from kitepilot.topics import DECISIONS, INTENTS, SESSION, Topic

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
TOKENS = {408065: "INFY", 738561: "RELIANCE", 779521: "SBIN"}
STRATEGIES = ("vwap_reversion", "micro_momentum")

Fill = e.Filled | e.ForeignFilled


@dataclass(frozen=True)
class Trip:
    """A round trip as the core sees it end. `charges` unrounded, in paise, the broker's fee with them."""

    token: int
    strategy: str
    gross_paise: int
    charges: Decimal

    @property
    def outcome(self) -> str:
        return "lost" if self.gross_paise < self.charges else "won"


@dataclass
class TradedDay:
    """One run of one date. `say` puts an event on the log, `trade` also counts it as the core does."""

    run_id: str
    day: date
    hours: tuple[str, str] = ("09:15", "15:35")
    symbols: dict[int, str] = field(default_factory=lambda: dict(TOKENS))
    mode: str = "paper"
    said: list[tuple[Topic, e.AnyEvent]] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)
    fills: dict[tuple[str, str], Fill] = field(default_factory=dict)
    by_broker: set[str] = field(default_factory=set)
    state: DeskState = field(init=False)
    _fees: Counter[int] = field(default_factory=Counter)  # the broker's, by token, of the trip under way

    def __post_init__(self) -> None:
        self.open_at, self.close_at = (ist_ns(self.day, clock) for clock in self.hours)
        parameters = e.DecisionParameters(
            session_date=self.day.isoformat(),
            open_at=self.open_at,
            close_at=self.close_at,
            instruments=tuple(self._terms(token, name) for token, name in self.symbols.items()),
            profile=RiskSection().profile(),
            strategies=STRATEGIES,
        )
        self.state = begin(self.run_id, "c", parameters, self.mode)
        self.say(
            SESSION,
            e.RunStarted(
                source="cli",
                seq=0,
                event_at=self.open_at,
                run_id=self.run_id,
                mode=self.mode,
                config_hash="c",
                parameters=parameters,
            ),
        )

    def _terms(self, token: int, name: str) -> e.InstrumentTerms:
        return e.InstrumentTerms(
            token=token,
            tradingsymbol=name,
            tick_size_paise=5,
            lot_size=1,
            closing_auction=False,
            entry_cutoff_at=self.close_at - 20 * MINUTE,
            square_off_at=self.close_at - 10 * MINUTE,
            force_flat_at=self.close_at - 5 * MINUTE,
            continuous_close_at=self.close_at,
        )

    def say(self, topic: Topic, event: e.AnyEvent) -> None:
        self.said.append((topic, event))

    def intend(self, at: int, intent_id: str, token: int, side: e.Side, purpose: e.Purpose, who: str) -> None:
        """An order that the desk approved: its fills are known from now on."""
        self.state.recent[intent_id] = DeskOrder(
            intent_id=intent_id,
            token=token,
            side=side,
            purpose=purpose,
            strategy=who,
            quantity=1,
            limit_price_paise=1,
            sent_at=at,
            status=e.OrderStatus.FILLED,
        )
        self.say(
            INTENTS,
            e.ApprovedIntent(
                source="decisions",
                seq=0,
                event_at=at,
                intent_id=intent_id,
                run_id=self.run_id,
                config_hash="c",
                signal_id="",
                verdict_id="",
                strategy=who,
                purpose=purpose,
                token=token,
                tradingsymbol=self.symbols[token],
                side=side,
                quantity=1,
                order_type="LIMIT",
                limit_price_paise=1,
                validity="IOC",
                decision_price_paise=1,
                received_at=0,
                signal_emitted_at=at,
            ),
        )

    def trade(self, fill: Fill) -> None:
        """Tell of a trade, and count it as the decision fold would."""
        self.say(SESSION, fill)
        state, token = self.state, fill.token
        state.now = fill.event_at
        before, holding = state.position(token), state.holdings.get(token)
        billed = state.ledger.auto_square_offs
        earlier = holding.realised_before_paise if holding else 0
        if isinstance(fill, e.Filled):
            account.apply_filled(state, fill)
        else:
            foreign.apply_fill_of(state, fill)
            if fill.by_broker:
                self.by_broker.add(fill.order_id)
        if state.ledger.auto_square_offs > billed:  # the day's ledger has it, the core's trade does not
            self._fees[token] += 1
        after = state.position(token)
        if holding is not None and (after.flat or before.quantity * after.quantity < 0):
            self._end(token, holding, after.realised_paise - earlier)
        self.fills.setdefault((fill.order_id, fill.trade_id), fill)

    def _end(self, token: int, holding: Holding, earned: int) -> None:
        ledger = msgspec.structs.replace(holding.ledger, auto_square_offs=self._fees.pop(token, 0))
        charges = ledger.charges(rates_on(self.day)).total
        self.trips.append(Trip(token, holding.strategy, earned, charges))

    def mark(self, at: int, prices: dict[int, int]) -> None:
        """A session second: quotes, and the account as the fold marks it."""
        self.state.now, self.state.valuation = at, None
        for token, price in prices.items():
            self.state.quotes[token] = Quote(price, 0, 0, at)
        self.state.peak_paise = max(self.state.peak_paise, -exposure.loss_paise(self.state))
        self.say(
            SESSION,
            e.Marked(
                source="market",
                seq=0,
                event_at=at,
                received_at=at,
                tokens=list(prices),
                last_paise=list(prices.values()),
                bid_paise=[0] * len(prices),
                ask_paise=[0] * len(prices),
                quoted_at=[at] * len(prices),
            ),
        )
        self.say(DECISIONS, records.account(self.state))

    def command(self, at: int, command: str) -> None:
        self.say(SESSION, e.Commanded(source="cli", seq=0, event_at=at, command_id=command, command=command))

    @property
    def account_charges(self) -> Charges:
        """Of every trade of the account, ours and the owner's, unrounded."""
        ours, owners = self.state.ledger, self.state.owners_ledger
        together = DayCharges(
            bought_paise=ours.bought_paise + owners.bought_paise,
            sold_paise=ours.sold_paise + owners.sold_paise,
            brokerage=ours.brokerage + owners.brokerage,
            auto_square_offs=ours.auto_square_offs + owners.auto_square_offs,
        )
        return together.charges(rates_on(self.day))

    @property
    def note(self) -> Charges:
        """The contract note by the core."""
        orders: dict[str, list[Fill]] = {}
        for fill in self.fills.values():
            orders.setdefault(fill.order_id, []).append(fill)
        executed = [
            ExecutedOrder(
                side=group[0].side,
                quantity=sum(fill.quantity for fill in group),
                notional_paise=sum(fill.quantity * fill.price_paise for fill in group),
                auto_square_off=name in self.by_broker,
                token=group[0].token,
            )
            for name, group in orders.items()
        ]
        return contract_note(executed, self.day)

    def records(self) -> list[LogRecord]:
        """Everything as the log has it; each source counts its own messages from 0."""
        numbers: dict[tuple[str, str], int] = {}
        offsets: dict[str, int] = {}
        found = []
        for topic, event in self.said:
            number = numbers.get((topic.name, event.source), 0)
            offset = offsets.get(topic.name, 0)
            numbers[(topic.name, event.source)], offsets[topic.name] = number + 1, offset + 1
            value = e.encode(msgspec.structs.replace(event, seq=number), emitted_at=event.event_at)
            found.append(LogRecord(topic.name, 0, offset, self.open_at, b"", value))
        return found


def random_day(run_id: str, day: date, seed: int) -> TradedDay:
    """Orders of ours, of the owner's, of the watchdog's and of the broker's, in parts and out of step."""
    rng = np.random.default_rng(seed)
    made = TradedDay(run_id, day)
    at = made.open_at
    for fill in _mixed(rng, [list(_order(made, rng, number)) for number in range(int(rng.integers(1, 60)))]):
        at += int(rng.integers(0, 3)) * 20 * SECOND  # several in one nanosecond, and minutes without any
        made.trade(msgspec.structs.replace(fill, event_at=at, filled_at=at // SECOND * SECOND))
        if rng.random() < 0.7:
            made.mark(at, {token: int(rng.integers(5_000, 300_000)) for token in TOKENS})
    made.mark(at + SECOND, {token: int(rng.integers(5_000, 300_000)) for token in TOKENS})
    return made


def _mixed(rng: np.random.Generator, orders: Sequence[list[Fill]]) -> Iterator[Fill]:
    """The orders' trades: each order's in turn, the orders among each other by chance."""
    waiting = [order for order in orders if order]
    while waiting:
        chosen = waiting[min(int(rng.integers(0, len(waiting))), int(rng.integers(0, len(waiting))))]
        yield chosen.pop(0)
        waiting = [order for order in waiting if order]


def _order(made: TradedDay, rng: np.random.Generator, number: int) -> Iterator[Fill]:
    token = int(rng.choice(list(TOKENS)))
    side = e.Side.BUY if rng.random() < 0.5 else e.Side.SELL
    kind = str(
        rng.choice(["entry", "exit", "stranger", "owner", "watchdog", "broker"], p=[0.5, 0.2, *[0.075] * 4])
    )
    intent_id = f"I{number:017d}".translate(str.maketrans("0123456789", "ABCDEFGHIJ"))
    if kind in ("entry", "exit"):
        made.intend(made.open_at, intent_id, token, side, e.Purpose(kind), str(rng.choice(STRATEGIES)))
    price = int(rng.integers(5_000, 300_000))
    for trade in range(1 if kind == "stranger" else int(rng.integers(1, 5))):
        told = {
            "source": "gateway",
            "seq": 0,
            "event_at": 0,
            "run_id": made.run_id,
            "order_id": f"{number:05d}",
            "trade_id": f"{number:05d}-{trade}",
            "token": token,
            "side": side,
            "quantity": int(rng.choice((10, 10, 20, 30, 47))),  # few sizes: positions meet zero often
            "price_paise": max(price + 5 * int(rng.integers(-50, 50)), 5),
            "filled_at": 0,
        }
        if kind in ("entry", "exit", "stranger"):
            yield e.Filled(**told, intent_id=intent_id)
        else:
            symbol = {"tradingsymbol": made.symbols[token]}
            yield e.ForeignFilled(**told, **symbol, placed_by=kind, by_broker=kind == "broker")
