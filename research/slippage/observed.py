"""Own orders, their fills and the minutes they traded in -> one observation per order and minute.

Slippage is measured as everywhere: paid beyond the price the order was decided at; a cost is positive. It
therefore holds the market's way between decision and exchange too; over many orders that has no side.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kitepilot.events import AnyEvent, ApprovedIntent, BarsClosed, Filled, Side

Floats = npt.NDArray[np.float64]
BPS = 10_000.0
MINUTE_S = 60
MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, eq=False)
class Observations:
    """k own orders, one row for each minute an order traded in, in order of time.

    Attributes:
        at: int64[k] ns, of the first fill.
        sign: int8[k], +1 bought, -1 sold.
        slippage_bps: float64[k] of the decision price.
        share: float64[k], our shares of all that traded in the minute, above 0 and at most 1.
        value_paise: int64[k] of our shares; `minute_paise` int64[k] of all of the minute's.
        skipped: fills whose minute or order is not known, which are not in the rows.
    """

    at: npt.NDArray[np.int64]
    sign: npt.NDArray[np.int8]
    slippage_bps: Floats
    share: Floats
    value_paise: npt.NDArray[np.int64]
    minute_paise: npt.NDArray[np.int64]
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.at)

    def take(self, rows: npt.NDArray[np.intp]) -> Observations:
        """Those rows, in that order."""
        return Observations(
            self.at[rows],
            self.sign[rows],
            self.slippage_bps[rows],
            self.share[rows],
            self.value_paise[rows],
            self.minute_paise[rows],
        )


@dataclass
class _Order:
    intent: ApprovedIntent
    at: int
    quantity: int = 0
    paid_paise: int = 0


def observed(events: Iterable[AnyEvent]) -> Observations:
    """From one run's intents, fills and 1 m bars, in any order. Backfilled bars count as the others.

    Memory grows with the orders and with instruments times minutes of one day.
    """
    intents: dict[str, ApprovedIntent] = {}
    fills: list[Filled] = []
    volumes: dict[tuple[int, int], int] = {}
    for event in events:
        match event:
            case ApprovedIntent():
                intents[event.intent_id] = event
            case Filled():
                fills.append(event)
            case BarsClosed() if event.interval_s == MINUTE_S:
                volumes |= {
                    (token, event.close_at): volume
                    for token, volume in zip(event.tokens, event.volume, strict=True)
                }
    orders, skipped = _by_minute(fills, intents)
    return _rows(orders, volumes, skipped)


def together(parts: Iterable[Observations]) -> Observations:
    """Of many runs, in order of time."""
    listed = list(parts)
    columns = ("at", "sign", "slippage_bps", "share", "value_paise", "minute_paise")
    joined = [
        np.concatenate([getattr(empty(), column), *(getattr(part, column) for part in listed)])
        for column in columns
    ]
    order = np.argsort(joined[0], kind="stable")
    at, sign, slippage, share, value, minute = (column[order] for column in joined)
    skipped = sum(part.skipped for part in listed)
    return Observations(at, sign, slippage, share, value, minute, skipped)


def empty() -> Observations:
    """None at all."""
    whole = np.zeros(0, dtype=np.int64)
    return Observations(whole, whole.astype(np.int8), np.zeros(0), np.zeros(0), whole, whole)


def _by_minute(
    fills: Iterable[Filled], intents: dict[str, ApprovedIntent]
) -> tuple[dict[tuple[str, int], _Order], int]:
    orders: dict[tuple[str, int], _Order] = {}
    seen: set[tuple[str, str]] = set()
    skipped = 0
    for fill in sorted(fills, key=lambda fill: fill.filled_at):
        if (fill.order_id, fill.trade_id) in seen:
            continue
        seen.add((fill.order_id, fill.trade_id))
        intent = intents.get(fill.intent_id)
        if intent is None or intent.decision_price_paise <= 0:
            skipped += 1
            continue
        closes = (fill.filled_at // MINUTE_NS + 1) * MINUTE_NS
        order = orders.setdefault((fill.intent_id, closes), _Order(intent, fill.filled_at))
        order.quantity += fill.quantity
        order.paid_paise += fill.quantity * fill.price_paise
    return orders, skipped


def _rows(
    orders: dict[tuple[str, int], _Order], volumes: dict[tuple[int, int], int], skipped: int
) -> Observations:
    columns: defaultdict[str, list[float]] = defaultdict(list)
    for (_, closes), order in orders.items():
        intent, quantity = order.intent, order.quantity
        volume = volumes.get((intent.token, closes), 0)
        if volume < quantity:
            skipped += 1  # the minute's bar is missing, or does not hold our own trade
            continue
        price = order.paid_paise / quantity
        sign = 1 if intent.side is Side.BUY else -1
        decided = intent.decision_price_paise
        columns["at"].append(order.at)
        columns["sign"].append(sign)
        columns["slippage"].append(sign * (price - decided) / decided * BPS)
        columns["share"].append(quantity / volume)
        columns["value"].append(order.paid_paise)
        columns["minute"].append(volume * price)
    return Observations(
        at=np.array(columns["at"], dtype=np.int64),
        sign=np.array(columns["sign"], dtype=np.int8),
        slippage_bps=np.array(columns["slippage"], dtype=np.float64),
        share=np.array(columns["share"], dtype=np.float64),
        value_paise=np.array(columns["value"], dtype=np.int64),
        minute_paise=np.array(columns["minute"], dtype=np.int64),
        skipped=skipped,
    )
