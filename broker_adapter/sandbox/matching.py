"""Order against visible depth -> executions and the depth that is left. Pure; prices in paise.

The recorded or synthetic market does not know our orders, so what we take is taken from the five visible
levels only, and they come back with the next packet of that instrument. Resting orders: `queueing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Level(NamedTuple):
    """One price level of one side of the book."""

    price_paise: int
    quantity: int


class Execution(NamedTuple):
    """So many shares at that price."""

    price_paise: int
    quantity: int


class Matched(NamedTuple):
    """What an order took from the opposite side, best price first, and what it left there."""

    executions: tuple[Execution, ...]
    left: tuple[Level, ...]

    @property
    def quantity(self) -> int:
        return sum(execution.quantity for execution in self.executions)


def crosses(buy: bool, limit_paise: int, opposite_paise: int) -> bool:
    """Whether an order with that limit can trade at the opposite side's price."""
    return opposite_paise <= limit_paise if buy else opposite_paise >= limit_paise


def take(levels: Sequence[Level], buy: bool, limit_paise: int, quantity: int) -> Matched:
    """An arriving order takes the opposite `levels` (best first) at their own prices, up to its limit.

    Empty levels (price or quantity 0) are skipped and dropped from what is left.
    """
    executions: list[Execution] = []
    left: list[Level] = []
    for level in levels:
        if level.price_paise == 0 or level.quantity == 0:
            continue
        wanted = min(quantity, level.quantity) if crosses(buy, limit_paise, level.price_paise) else 0
        if wanted:
            executions.append(Execution(level.price_paise, wanted))
            quantity -= wanted
        if level.quantity > wanted:
            left.append(Level(level.price_paise, level.quantity - wanted))
    return Matched(tuple(executions), tuple(left))


def hit(levels: Sequence[Level], buy: bool, limit_paise: int, quantity: int) -> Matched:
    """A resting order is hit when the opposite touch reaches its price: it trades at its own limit.

    Nobody can be ahead of it then, for whoever was has been hit too.
    """
    matched = take(levels, buy, limit_paise, quantity)
    if not matched.executions:
        return matched
    return Matched((Execution(limit_paise, matched.quantity),), matched.left)


def triggered(buy: bool, trigger_paise: int, last_paise: int) -> bool:
    """A stop order wakes when the last price reaches its trigger from the safe side."""
    return last_paise >= trigger_paise if buy else 0 < last_paise <= trigger_paise


def protection_price(buy: bool, last_paise: int, protection_bps: int, tick_paise: int) -> int:
    """The limit a protected MARKET order becomes: last price x (1 +- p), rounded to the tick inwards.

    `protection_bps` -1 is Kite's automatic band (support page on market protection, seen 2026): 2 % below
    100 rupees, 1 % to 500, 0.5 % above.
    """
    if protection_bps < 0:
        protection_bps = 200 if last_paise < 100_00 else 100 if last_paise <= 500_00 else 50
    if buy:
        return last_paise * (10_000 + protection_bps) // 10_000 // tick_paise * tick_paise
    price = -(-last_paise * (10_000 - protection_bps) // 10_000)
    return -(-price // tick_paise) * tick_paise
