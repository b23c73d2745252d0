"""What the day's memory holds -> rows to show."""

from __future__ import annotations

from math import isfinite

from api.day_book import DayBook, Held, Quote
from api.rows import FillRow, InstrumentRow, IntentRow, OrderRow, PositionRow, QuoteRow, SignalRow
from api.times import instant
from kitepilot import events as e
from kitepilot.events import InstrumentTerms
from kitepilot.orders.positions import Position

BPS = 10_000


def order_row(day: DayBook, intent: e.ApprovedIntent) -> OrderRow:
    """Submitting until the gateway says otherwise."""
    update = day.updates.get(intent.intent_id)
    return OrderRow(
        intent_id=intent.intent_id,
        order_id=update.order_id if update else "",
        run_id=intent.run_id,
        signal_id=intent.signal_id,
        strategy=intent.strategy,
        purpose=intent.purpose.value,
        token=intent.token,
        tradingsymbol=intent.tradingsymbol,
        side=intent.side.value,
        quantity=intent.quantity,
        filled_quantity=update.filled_quantity if update else 0,
        limit_price_paise=intent.limit_price_paise,
        status=(update.status if update else e.OrderStatus.SUBMITTING).value,
        venue_status=update.venue_status if update else "",
        message=update.message if update else "",
        decided=instant(intent.event_at),
        updated=instant(update.event_at if update else intent.event_at),
    )


def intent_row(intent: e.ApprovedIntent) -> IntentRow:
    return IntentRow(
        intent_id=intent.intent_id,
        run_id=intent.run_id,
        signal_id=intent.signal_id,
        verdict_id=intent.verdict_id,
        strategy=intent.strategy,
        purpose=intent.purpose.value,
        token=intent.token,
        tradingsymbol=intent.tradingsymbol,
        side=intent.side.value,
        quantity=intent.quantity,
        order_type=intent.order_type,
        validity=intent.validity,
        limit_price_paise=intent.limit_price_paise,
        decision_price_paise=intent.decision_price_paise,
        attempt=intent.attempt,
        decided=instant(intent.event_at),
    )


def fill_row(day: DayBook, fill: e.Filled) -> FillRow:
    return FillRow(
        run_id=fill.run_id,
        intent_id=fill.intent_id,
        order_id=fill.order_id,
        trade_id=fill.trade_id,
        token=fill.token,
        tradingsymbol=day.symbol(fill.token),
        side=fill.side.value,
        quantity=fill.quantity,
        price_paise=fill.price_paise,
        traded=instant(fill.filled_at),
    )


def signal_row(day: DayBook, signal: e.SignalRaised, run_id: str) -> SignalRow:
    verdict = day.judged.get(signal.signal_id)
    said = ("approved" if verdict.approved else "denied") if verdict else "waiting"
    return SignalRow(
        signal_id=signal.signal_id,
        run_id=run_id,
        strategy=signal.strategy,
        token=signal.token,
        tradingsymbol=signal.tradingsymbol,
        side=signal.side.value if signal.side else "",
        strength=signal.strength,
        interval_s=signal.interval_s,
        horizon_s=signal.horizon_s,
        stop_bps=signal.stop_bps,
        take_profit_bps=signal.take_profit_bps,
        last_paise=signal.last_paise,
        scores={name: score if isfinite(score) else None for name, score in signal.scores.items()},
        verdict=said,
        denial=verdict.denial if verdict else "",
        intent_id=verdict.intent_id if verdict else "",
        raised=instant(signal.event_at),
    )


def position_rows(day: DayBook) -> list[PositionRow]:
    """Every instrument that was traded today, those held first, by symbol."""
    rows = [_position_row(day, held) for held in day.held]
    return sorted(rows, key=lambda row: (row.quantity == 0, row.tradingsymbol))


def _position_row(day: DayBook, held: Held) -> PositionRow:
    ours, mark = held.position, held.mark_paise
    return PositionRow(
        token=held.token,
        tradingsymbol=day.symbol(held.token),
        quantity=ours.quantity,
        cost_paise=ours.cost_paise,
        last_paise=mark,
        unrealised_paise=ours.unrealised_paise(mark),
        realised_paise=ours.realised_paise,
        exposure_paise=ours.exposure_paise(mark),
        bought_quantity=ours.bought_quantity,
        bought_paise=ours.bought_paise,
        sold_quantity=ours.sold_quantity,
        sold_paise=ours.sold_paise,
        strategy=held.strategy,
        stop_price_paise=stop_price_paise(ours, held.stop_bps),
        foreign_quantity=held.owners.quantity,
        leaves=instant(held.leave_at),
        square_off=instant(held.square_off_at),
    )


def stop_price_paise(held: Position, stop_bps: int) -> int | None:
    """The first price at which the stop acts: a loss of `stop_bps` of what the open part cost. None: no stop.

    The rule is `risk.exits`': unrealised x 10,000 <= -stop_bps x cost.
    """
    if held.flat or not stop_bps:
        return None
    shares = abs(held.quantity) * BPS
    if held.quantity > 0:
        return held.cost_paise * (BPS - stop_bps) // shares
    return -(-held.cost_paise * (BPS + stop_bps) // shares)


def quote_row(day: DayBook, token: int, quote: Quote) -> QuoteRow:
    return QuoteRow(
        token=token,
        tradingsymbol=day.symbol(token),
        last_paise=quote.last_paise,
        bid_paise=quote.bid_paise,
        ask_paise=quote.ask_paise,
        quoted=instant(quote.quoted_at),
    )


def instrument_row(terms: InstrumentTerms) -> InstrumentRow:
    return InstrumentRow(
        token=terms.token,
        tradingsymbol=terms.tradingsymbol,
        tick_size_paise=terms.tick_size_paise,
        lot_size=terms.lot_size,
        sector=terms.sector,
        average_volume=terms.average_volume,
        margin_bps=terms.margin_bps,
        segment=terms.segment,
        entry_cutoff=instant(terms.entry_cutoff_at),
        square_off=instant(terms.square_off_at),
        force_flat=instant(terms.force_flat_at),
    )
