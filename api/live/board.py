"""The account as the decisions have it -> the newest figures, worked out when a batch of the log was read.

The same fold that decides is run over the same session log, so a position, its stop or the use of a limit can
not differ from what the decisions compare. Only the thread that reads the log touches it.
"""

from __future__ import annotations

from collections.abc import Mapping

from api.live import shapes
from api.live.latencies import Latencies
from api.live.shapes import clock, ms
from kitepilot import events as e
from kitepilot.orders.positions import Position
from kitepilot.risk.decide import decide
from kitepilot.risk.exposure import valued
from kitepilot.risk.limit_use import limit_use
from kitepilot.risk.records import Decided
from kitepilot.risk.state import DeskOrder, DeskState, Holding

BPS = 10_000
CURVE_EVERY_MS = 15_000
CURVE_POINTS = 2_000  # a session of 6 h 15 min has 1,500
DIFFERENCES_SHOWN = 10


class Board:
    """Hears every event of the tail once; `figures` says what stands now."""

    def __init__(self) -> None:
        self.desk: DeskState | None = None
        self.decided: list[Decided] = []  # what the last session event led to
        self.curve: list[shapes.EquityPoint] = []
        self.account: e.AccountMarked | None = None
        self.latencies = Latencies()
        self.last_word = -1  # number of the decisions' last word about the state
        self._reason = ("no decision yet", "")
        self._reconciled: e.Reconciled | None = None
        self._dead_letters = 0

    def hear(self, event: e.AnyEvent) -> None:
        """Fold one event in."""
        self.latencies.hear(event)
        if isinstance(event, e.SessionEvent):
            self.desk, self.decided = decide(self.desk, event)
        if isinstance(event, e.StateChanged):
            self.last_word = event.seq
        match event:
            case e.AccountMarked():
                self.account = event
                self._draw(event)
            case e.StateChanged() if event.state is not event.previous:
                self._reason = (event.reason, event.rule)
            case e.Reconciled():
                self._reconciled = event
            case e.DeadLetter():
                self._dead_letters += event.count
            case e.RunStarted():
                self._reason = ("run started", "")

    def pnl(self) -> shapes.Pnl | None:
        account, desk = self.account, self.desk
        if account is None or desk is None:
            return None
        gross = account.realised_paise + account.unrealised_paise
        return shapes.Pnl(
            at_ms=ms(account.event_at),
            ist=clock(account.event_at),
            said_ms=account.emitted_at / 1e6,
            gross_paise=gross,
            charges_paise=account.charges_paise,
            net_paise=gross - account.charges_paise,
            realised_paise=account.realised_paise,
            unrealised_paise=account.unrealised_paise,
            exposure_paise=account.gross_exposure_paise,
            net_exposure_paise=valued(desk).net_paise,
            loss_paise=account.loss_paise,
            worst_case_paise=account.worst_case_paise,
            drawdown_paise=account.drawdown_paise,
            open_positions=account.open_positions,
            working_orders=account.working_orders,
            orders=account.orders,
            fills=account.fills,
            trades=account.trades,
            limits=limit_use(desk),
        )

    def positions(self) -> shapes.Positions | None:
        desk = self.desk
        if desk is None:
            return None
        return shapes.Positions(
            at_ms=ms(desk.now),
            positions=tuple(_position(desk, token, plan) for token, plan in sorted(desk.holdings.items())),
            working=tuple(_working(desk, order) for order in desk.working.values()),
            owners=tuple(
                shapes.OwnersRow(tradingsymbol=_symbol(desk, token), quantity=held.quantity)
                for token, held in sorted(desk.owners.items())
                if held.quantity
            ),
        )

    def state(self, fence: str) -> shapes.State | None:
        desk = self.desk
        if desk is None:
            return None
        # the account's own word is newer than our fold only for an instant; what was published counts
        state = self.account.state if self.account else desk.trading
        return shapes.State(
            run_id=desk.run_id,
            mode=desk.mode,
            session_date=desk.parameters.session_date,
            state=state,
            reason=self._reason[0],
            rule=self._reason[1],
            leaving=desk.leaving,
            fence=fence,
            ended=desk.ended,
            open_at_ms=ms(desk.parameters.open_at),
            close_at_ms=ms(desk.parameters.close_at),
            strategies=tuple(sorted(desk.enabled)),
            profile_version=desk.profile.version,
            decided=self.last_word,
        )

    def feed(self) -> shapes.Feed | None:
        desk = self.desk
        if desk is None:
            return None
        return shapes.Feed(
            state="up" if desk.feed_up else "down",
            down_since_ms=ms(desk.feed_down_at),
            newest_quote_at_ms=ms(desk.newest_quote_at),
        )

    def health(self, lag: Mapping[str, int]) -> shapes.Health | None:
        desk, last = self.desk, self._reconciled
        if desk is None:
            return None
        return shapes.Health(
            lag=dict(lag),
            models=dict(desk.models),
            dead_letters=self._dead_letters,
            latencies=self.latencies.took(),
            skew_ms=desk.skew_ms,
            funds_available_paise=desk.funds.available_paise if desk.funds else None,
            reconciled_at_ms=ms(last.event_at) if last else 0,
            reconciled_verdict=last.verdict if last else "",
            reconciled_occasion=last.occasion if last else "",
            differences=tuple(
                f"{d.rule} {d.subject}: {d.ours} / {d.theirs}"
                for d in (last.differences if last else ())[:DIFFERENCES_SHOWN]
            ),
        )

    def _draw(self, account: e.AccountMarked) -> None:
        """A point each quarter minute; a curve that is full keeps every other point."""
        at = ms(account.event_at)
        if self.curve and at - self.curve[-1].at_ms < CURVE_EVERY_MS:
            return
        gross = account.realised_paise + account.unrealised_paise
        self.curve.append(shapes.EquityPoint(at, gross, gross - account.charges_paise))
        if len(self.curve) > CURVE_POINTS:
            del self.curve[1::2]


def _position(desk: DeskState, token: int, plan: Holding) -> shapes.PositionRow:
    position, terms, mark = desk.position(token), desk.terms.get(token), desk.mark(token)
    return shapes.PositionRow(
        token=token,
        tradingsymbol=_symbol(desk, token),
        strategy=plan.strategy,
        quantity=position.quantity,
        cost_paise=position.cost_paise,
        last_paise=mark,
        unrealised_paise=position.unrealised_paise(mark),
        stop_paise=_away(position, -plan.stop_bps),
        take_profit_paise=_away(position, plan.take_profit_bps),
        leave_at_ms=ms(plan.leave_at),
        square_off_at_ms=ms(terms.square_off_at) if terms else 0,
        leaving=plan.exit_wanted or desk.leaving,
    )


def _away(position: Position, bps: int) -> int:
    """The price at which the open part has earned `bps` of its cost (lost, when negative); 0 for none."""
    if not bps or not position.quantity:
        return 0
    held = abs(position.quantity)
    sign = 1 if position.quantity > 0 else -1
    return position.cost_paise * (BPS + sign * bps) // (held * BPS)


def _working(desk: DeskState, order: DeskOrder) -> shapes.WorkingRow:
    return shapes.WorkingRow(
        intent_id=order.intent_id,
        tradingsymbol=_symbol(desk, order.token),
        side=order.side,
        purpose=order.purpose,
        strategy=order.strategy,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        limit_price_paise=order.limit_price_paise,
        status=order.status,
        sent_at_ms=ms(order.sent_at),
    )


def _symbol(desk: DeskState, token: int) -> str:
    terms = desk.terms.get(token)
    return terms.tradingsymbol if terms else str(token)
