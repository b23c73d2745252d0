"""How much larger the orders could be before their own slippage eats the result.

Slippage per share is taken to grow with the square root of the order's size (the square-root law of market
impact), so what the trades paid grows with the power 3/2; charges are worked out anew for each size. A model
laid over the trades that were, not a promise: larger orders may not be filled at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kitepilot.events import Side
from kitepilot.orders.charges import ExecutedOrder, charges_for
from research.charge_rates import charged_as_on
from research.outcome import Outcome, Trade

SIZES = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


@dataclass(frozen=True, slots=True)
class Sized:
    """The same trades at `times` their size; amounts in paise."""

    times: float
    gross_paise: int
    charges_paise: int

    @property
    def net_paise(self) -> int:
        return self.gross_paise - self.charges_paise


def sizes(outcome: Outcome, times: Sequence[float] = SIZES) -> tuple[Sized, ...]:
    """One line per size, in order."""
    return tuple(_sized(outcome, each) for each in times)


def best(sized: Sequence[Sized]) -> Sized | None:
    """The size with the highest net result, None when none earns anything."""
    found = max(sized, key=lambda each: each.net_paise, default=None)
    return found if found is not None and found.net_paise > 0 else None


def _sized(outcome: Outcome, times: float) -> Sized:
    before_slippage = sum(trade.gross_paise + trade.slippage_paise for trade in outcome.trades)
    slippage = sum(trade.slippage_paise for trade in outcome.trades)
    gross = round(before_slippage * times - slippage * times**1.5)
    return Sized(times, gross, sum(_charges(trade, times) for trade in outcome.trades))


def _charges(trade: Trade, times: float) -> int:
    """Both sides as one order each: the cap on brokerage makes large orders cheaper per rupee."""
    if times == 1.0:
        return trade.charges_paise
    entry, exit = round(trade.entry_paise * times), round(trade.exit_paise * times)
    bought, sold = (entry, exit) if trade.long else (exit, entry)
    quantity = max(1, round(trade.quantity * times))
    orders = (ExecutedOrder(Side.BUY, quantity, bought), ExecutedOrder(Side.SELL, quantity, sold))
    return charges_for(orders, charged_as_on(trade.session)).total_paise
