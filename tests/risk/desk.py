"""A small desk to test with: two instruments, one session, and events in the order they are said."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec

from kitepilot.events import (
    Alarmed,
    ApprovedIntent,
    Commanded,
    DecisionParameters,
    FeedChanged,
    Filled,
    ForeignFilled,
    ForeignOrderUpdated,
    InstrumentTerms,
    Marked,
    OrderStatus,
    OrderUpdated,
    ProfileActivated,
    RiskLimits,
    RiskProfile,
    RunStarted,
    SessionEvent,
    Side,
    SignalRaised,
    Sizing,
    Verdict,
)
from kitepilot.market.calendar import ist_ns
from kitepilot.risk.decide import decide
from kitepilot.risk.records import Decided
from kitepilot.risk.state import DeskState

DAY = date(2026, 11, 20)
RUN = "paper-20261120-0001"
S = 1_000_000_000
OPEN = ist_ns(DAY, "09:15")
ALPHA, BRAVO, CHARLIE = 257, 513, 769

LIMITS = RiskLimits(
    daily_loss_paise=2_500_000,
    drawdown_paise=2_500_000,
    trade_risk_paise=250_000,
    instrument_exposure_paise=15_000_000,
    gross_exposure_paise=200_000_000,
    net_exposure_paise=200_000_000,
    sector_exposure_paise=200_000_000,
    order_value_paise=10_000_000,
    order_quantity=20_000,
    volume_share_bps=100,
    open_positions=20,
    orders_per_second=8,
    orders_per_minute=200,
    orders_per_day=3_000,
    trades_per_day=1_500,
    trades_per_instrument=200,
    loss_streak=20,
    loss_pause_s=300,
    price_band_bps=200,
    stale_quote_s=15.0,
    spread_bps=50,
    circuit_distance_bps=50,
    cash_reserve_paise=1_000_000,
    feed_settle_s=5.0,
    clock_skew_ms=2_000,
    model_age_s=180.0,
    entry_protection_bps=5,
    exit_protection_bps=20,
)


def terms(token: int, symbol: str, closing_auction: bool = True) -> InstrumentTerms:
    return InstrumentTerms(
        token=token,
        tradingsymbol=symbol,
        tick_size_paise=5,
        lot_size=1,
        closing_auction=closing_auction,
        entry_cutoff_at=ist_ns(DAY, "14:45"),
        square_off_at=ist_ns(DAY, "15:00"),
        force_flat_at=ist_ns(DAY, "15:05"),
        continuous_close_at=ist_ns(DAY, "15:15" if closing_auction else "15:30"),
    )


def parameters(notional_paise: int = 6_000_000, **limits: Any) -> DecisionParameters:
    return DecisionParameters(
        session_date=DAY.isoformat(),
        open_at=OPEN,
        close_at=ist_ns(DAY, "15:35"),
        instruments=(terms(ALPHA, "ALPHA"), terms(BRAVO, "BRAVO"), terms(CHARLIE, "CHARLIE", False)),
        profile=RiskProfile(
            version=1,
            limits=msgspec.structs.replace(LIMITS, **limits),
            sizing=Sizing(method="fixed_notional", parameters={"notional_paise": notional_paise}),
        ),
        strategies=("rule", "other"),
    )


class Desk:
    """Says events to the fold and keeps what it answered. Sequence numbers and time run on by themselves."""

    def __init__(self, started: DecisionParameters | None = None, at: int = OPEN + 60 * S) -> None:
        self.state: DeskState | None = None
        self.out: list[Decided] = []
        self.said: list[SessionEvent] = []
        self.now = at
        self.seqs: dict[str, int] = {}
        self.say(
            RunStarted(
                **self.head("runner"),
                run_id=RUN,
                mode="paper",
                config_hash="c0ffee",
                parameters=started or parameters(),
            )
        )

    def head(self, source: str) -> dict[str, Any]:
        self.seqs[source] = self.seqs.get(source, -1) + 1
        return {"source": source, "seq": self.seqs[source], "event_at": self.now}

    def say(self, event: SessionEvent) -> list[Decided]:
        self.said.append(event)
        self.state, out = decide(self.state, event)
        self.out.extend(out)
        return out

    @property
    def desk(self) -> DeskState:
        assert self.state is not None
        return self.state

    def mark(self, seconds: float = 1, **last: int) -> list[Decided]:
        """A second passes; keyword quotes are last prices in paise with a touch one tick either side."""
        self.now += round(seconds * S)
        tokens = [{"alpha": ALPHA, "bravo": BRAVO, "charlie": CHARLIE}[name] for name in last]
        prices = list(last.values())
        return self.say(
            Marked(
                **self.head("market-0"),
                received_at=0,
                tokens=tokens,
                last_paise=prices,
                bid_paise=[price - 5 for price in prices],
                ask_paise=[price + 5 for price in prices],
                quoted_at=[self.now] * len(prices),
            )
        )

    def quote(self, token: int, last: int, bid: int, ask: int, age_s: float = 0) -> list[Decided]:
        return self.say(
            Marked(
                **self.head("market-0"),
                received_at=0,
                tokens=[token],
                last_paise=[last],
                bid_paise=[bid],
                ask_paise=[ask],
                quoted_at=[self.now - round(age_s * S)],
            )
        )

    def signal(
        self, side: Side | None = Side.BUY, token: int = ALPHA, strategy: str = "rule", **fields: Any
    ) -> list[Decided]:
        quote = self.desk.quote(token)
        values: dict[str, Any] = {
            "signal_id": f"s{self.seqs.get('market-0', 0)}",
            "strategy": strategy,
            "token": token,
            "tradingsymbol": "SYMBOL",
            "side": side,
            "strength": 0.5,
            "interval_s": 1,
            "bar_close_at": self.now,
            "horizon_s": 300,
            "stop_bps": 50,
            "take_profit_bps": 80,
            "last_paise": quote.last_paise,
            "bid_paise": quote.bid_paise,
            "ask_paise": quote.ask_paise,
            "features": {},
            "scores": {},
            "received_at": 7,
        }
        return self.say(SignalRaised(**self.head("market-0"), **(values | fields)))

    def fill(
        self, intent: ApprovedIntent, quantity: int = 0, price: int = 0, trade_id: str = ""
    ) -> list[Decided]:
        head = self.head("gateway")
        return self.say(
            Filled(
                **head,
                run_id=RUN,
                intent_id=intent.intent_id,
                order_id="o-" + intent.intent_id,
                trade_id=trade_id or f"t{head['seq']}",
                token=intent.token,
                side=intent.side,
                quantity=quantity or intent.quantity,
                price_paise=price or intent.limit_price_paise,
                filled_at=self.now,
            )
        )

    def update(
        self, intent: ApprovedIntent, status: OrderStatus, filled: int = 0, word: str = ""
    ) -> list[Decided]:
        return self.say(
            OrderUpdated(
                **self.head("gateway"),
                run_id=RUN,
                intent_id=intent.intent_id,
                order_id="o-" + intent.intent_id,
                token=intent.token,
                status=status,
                venue_status=word,
                quantity=intent.quantity,
                filled_quantity=filled,
            )
        )

    def foreign_update(
        self,
        order_id: str = "hand",
        status: OrderStatus = OrderStatus.WORKING,
        token: int = ALPHA,
        product: str = "MIS",
    ) -> list[Decided]:
        return self.say(
            ForeignOrderUpdated(
                **self.head("gateway.findings"),
                run_id=RUN,
                order_id=order_id,
                token=token,
                tradingsymbol="ALPHA",
                side=Side.SELL,
                product=product,
                quantity=10,
                filled_quantity=0,
                status=status,
                venue_status="OPEN",
                placed_by="AB1234",
                by_broker=False,
            )
        )

    def foreign_fill(
        self,
        side: Side,
        quantity: int,
        price: int = 100_000,
        *,
        token: int = ALPHA,
        order_id: str = "hand",
        trade_id: str = "",
        by_broker: bool = False,
        placed_by: str = "AB1234",
    ) -> list[Decided]:
        head = self.head("gateway.findings")
        return self.say(
            ForeignFilled(
                **head,
                run_id=RUN,
                order_id=order_id,
                trade_id=trade_id or f"f{head['seq']}",
                token=token,
                tradingsymbol="ALPHA",
                side=side,
                quantity=quantity,
                price_paise=price,
                filled_at=self.now,
                placed_by="RMS" if by_broker else placed_by,
                by_broker=by_broker,
            )
        )

    def permissions(self) -> list[ApprovedIntent]:
        """Every intent so far."""
        return intents(self.out)

    def complete(self, intent: ApprovedIntent, price: int = 0) -> None:
        """The whole order fills and is reported complete."""
        self.fill(intent, price=price)
        self.update(intent, OrderStatus.FILLED, intent.quantity)

    def command(self, command: str, argument: str = "", command_id: str = "") -> list[Decided]:
        head = self.head("cli")
        return self.say(
            Commanded(
                **head,
                command_id=command_id or f"c{head['seq']}",
                command=command,
                argument=argument,
                by="owner",
            )
        )

    def activate(self, version: int, command_id: str = "", **limits: Any) -> list[Decided]:
        """The owner's next version: what is in force with these limits changed."""
        head, present = self.head("cli-risk"), self.desk.profile
        changed = msgspec.structs.replace(
            present, version=version, limits=msgspec.structs.replace(present.limits, **limits)
        )
        return self.say(
            ProfileActivated(
                **head,
                command_id=command_id or f"p{head['seq']}",
                profile=changed,
                by="owner",
                reason="thin market",
            )
        )

    def alarm(self, kind: str, *, halts: bool = False, state: str = "") -> list[Decided]:
        return self.say(
            Alarmed(
                **self.head("gateway.findings"),
                run_id=RUN,
                kind=kind,
                subject="orders",
                detail="said by a test",
                halts=halts,
                state=state,
            )
        )

    def feed(self, state: str) -> list[Decided]:
        return self.say(FeedChanged(**self.head("market-0"), state=state))

    def enter(self, token: int = ALPHA, side: Side = Side.BUY, **fields: Any) -> ApprovedIntent:
        """A signal that is approved and filled; the intent that did it."""
        intent = only_intent(self.signal(side, token, **fields))
        self.complete(intent)
        return intent


def intents(out: list[Decided]) -> list[ApprovedIntent]:
    return [event for event in out if isinstance(event, ApprovedIntent)]


def only_intent(out: list[Decided]) -> ApprovedIntent:
    found = intents(out)
    assert len(found) == 1, [event for event in out if isinstance(event, Verdict)]
    return found[0]


def denial(out: list[Decided]) -> str:
    """The code of the one refusal in `out`, empty when there is an approval."""
    verdicts = [event for event in out if isinstance(event, Verdict)]
    assert len(verdicts) == 1
    return verdicts[0].denial
