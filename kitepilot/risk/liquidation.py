"""The broker's own books -> what is ours in the account, and the orders that close it. Pure.

Used when the fold cannot be asked. What is ours is read off the tags: every fill of an order that carries
one, less what fills without a tag closed of it (the same split as the fold's). And never more than the
account's net intraday position bears out: an exit of ours can then neither open a position nor turn one, even
if somebody trades by hand at that moment. What this cannot explain is left alone and told to the owner.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kitepilot.events import ApprovedIntent, InstrumentTerms, Purpose, RiskLimits, Side
from kitepilot.orders.intents import is_ours, watchdog_intent_id
from kitepilot.orders.order_machine import OrderEvent, hear
from kitepilot.ports import OrderReport, PositionReport, TradeReport
from kitepilot.risk.foreign import INTRADAY, portion
from kitepilot.risk.ladder import ASK_BROKER_AFTER, MARKET

SOURCE = "watchdog"
ENDS = (OrderEvent.COMPLETE, OrderEvent.CANCELLED, OrderEvent.REJECTED)


@dataclass(frozen=True)
class Stake:
    """One instrument. `quantity`: ours, signed; `leaving`: shares that live orders against it may still take;
    `unexplained`: of the account's net position, what no fill accounts for."""

    token: int
    tradingsymbol: str
    quantity: int
    leaving: int = 0
    unexplained: int = 0


@dataclass(frozen=True)
class Mandate:
    """In whose name exits are sent: the run, its configuration, and the fence they stand behind."""

    run_id: str
    config_hash: str
    raised_at: int
    limits: RiskLimits
    terms: Mapping[int, InstrumentTerms]


def live_of_ours(orders: Iterable[OrderReport]) -> list[OrderReport]:
    """Our intraday orders that may still fill. A status we do not know is not an end."""
    return [row for row in orders if _counts(row) and is_ours(row.tag) and not _ended(row)]


def stakes(
    orders: Sequence[OrderReport], trades: Iterable[TradeReport], positions: Iterable[PositionReport]
) -> list[Stake]:
    """What is ours, per instrument. Read trades first, then orders, then positions."""
    ours: dict[int, int] = defaultdict(int)
    owners: dict[int, int] = defaultdict(int)
    for row, quantity in _fills(orders, trades):
        token, signed = row.token, row.side.sign * quantity
        closed = quantity
        if not is_ours(row.tag):
            closed = portion(owners[token], ours[token], row.side, quantity, ours_first=False)
        ours[token] += row.side.sign * closed
        owners[token] += signed - row.side.sign * closed
    net = {row.token: row.quantity for row in positions}
    names = {row.token: row.tradingsymbol for row in orders}
    leaving: dict[int, int] = defaultdict(int)
    for row in live_of_ours(orders):
        if row.side.sign * ours[row.token] < 0:
            leaving[row.token] += row.quantity - row.filled_quantity
    return [
        Stake(
            token=token,
            tradingsymbol=names[token],
            quantity=_borne_out(ours[token], net.get(token, 0)),
            leaving=leaving[token],
            unexplained=net.get(token, 0) - ours[token] - owners[token],
        )
        for token in sorted(ours)
    ]


def exits(
    mandate: Mandate,
    held: Iterable[Stake],
    doubtful: Mapping[int, int],
    tries: Mapping[int, int],
    now: int,
) -> list[ApprovedIntent]:
    """One market exit per instrument that still needs one, IOC and protected; `now` is session time, ns.

    `doubtful`: shares of exits that nobody knows the outcome of, which may still fill; `tries`: exits sent so
    far. After its continuous close an instrument cannot be traded, and only a person can help.
    """
    orders = []
    for stake in held:
        terms = mandate.terms.get(stake.token)
        needed = abs(stake.quantity) - stake.leaving - doubtful.get(stake.token, 0)
        if needed > 0 and (terms is None or now < terms.continuous_close_at):
            orders.append(_exit(mandate, stake, needed, tries.get(stake.token, 0), now))
    return orders


def width_bps(limits: RiskLimits, tries: int) -> int:
    """How far from the last price the next exit may trade: twice as far each time, up to the band.

    Past a few tries the narrowest and the widest take turns: a price outside the day's circuit limits is
    refused, one close to the last price is not.
    """
    if tries >= ASK_BROKER_AFTER and tries % 2:
        return limits.exit_protection_bps
    return min(limits.exit_protection_bps << min(tries, ASK_BROKER_AFTER), limits.price_band_bps)


def _exit(mandate: Mandate, stake: Stake, quantity: int, tries: int, now: int) -> ApprovedIntent:
    return ApprovedIntent(
        source=SOURCE,
        seq=tries,
        event_at=now,
        intent_id=watchdog_intent_id(mandate.run_id, stake.token, mandate.raised_at, tries),
        run_id=mandate.run_id,
        config_hash=mandate.config_hash,
        signal_id="",
        verdict_id="",
        strategy=SOURCE,
        purpose=Purpose.SQUARE_OFF,
        token=stake.token,
        tradingsymbol=stake.tradingsymbol,
        side=Side.SELL if stake.quantity > 0 else Side.BUY,
        quantity=quantity,
        order_type=MARKET,
        limit_price_paise=0,
        validity="IOC",
        decision_price_paise=0,
        received_at=0,
        signal_emitted_at=0,
        protection_bps=width_bps(mandate.limits, tries),
        attempt=tries,
    )


def _borne_out(ours: int, net: int) -> int:
    """Of our shares what the account's net position shows on the same side."""
    return 0 if ours * net <= 0 else min(abs(ours), abs(net)) * (1 if ours > 0 else -1)


def _fills(orders: Sequence[OrderReport], trades: Iterable[TradeReport]) -> Iterator[tuple[OrderReport, int]]:
    """(order, shares) as they traded; what an order claims beyond its listed trades counts at its update."""
    rows = {row.order_id: row for row in orders if _counts(row)}
    listed: dict[str, int] = defaultdict(int)
    found = []
    for trade in trades:
        if trade.order_id in rows:
            listed[trade.order_id] += trade.quantity
            found.append((trade.traded_at, trade.order_id, trade.trade_id, trade.quantity))
    found += [
        (row.updated_at, row.order_id, "", more)
        for row in rows.values()
        if (more := row.filled_quantity - listed[row.order_id]) > 0
    ]
    for _, order_id, _, quantity in sorted(found):
        yield rows[order_id], quantity


def _counts(row: OrderReport) -> bool:
    return row.product == INTRADAY


def _ended(row: OrderReport) -> bool:
    return hear(row.venue_status) in ENDS
