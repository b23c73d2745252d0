"""Fills -> a position and its profit, in whole paise.

A position keeps its quantity and what the open part cost; averages are not stored. Closing a part releases
the same share of that cost, rounded down to the paisa, and the rest stays with what is open. So nothing is
lost to rounding: when the position is flat, realised profit is exactly what was sold minus what was bought.
"""

from __future__ import annotations

import msgspec

from kitepilot.events import Side


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument. `cost_paise` is the open part's notional (never negative, 0 when flat)."""

    quantity: int = 0  # signed: long is positive
    cost_paise: int = 0
    realised_paise: int = 0
    bought_quantity: int = 0
    sold_quantity: int = 0
    bought_paise: int = 0
    sold_paise: int = 0

    @property
    def flat(self) -> bool:
        return self.quantity == 0

    def unrealised_paise(self, mark_paise: int) -> int:
        """Profit if the open part were closed at the mark, before charges."""
        value = self.quantity * mark_paise
        return value - self.cost_paise if self.quantity > 0 else value + self.cost_paise

    def exposure_paise(self, mark_paise: int) -> int:
        return abs(self.quantity) * mark_paise


FLAT = Position()


def apply_fill(position: Position, side: Side, quantity: int, price_paise: int) -> Position:
    """The position after one fill. A fill larger than the position turns it to the other side.

    Raises:
        ValueError: quantity or price is not positive.
    """
    if quantity <= 0 or price_paise <= 0:
        raise ValueError(f"a fill of {quantity} at {price_paise} paise cannot be")
    held = position.quantity * side.sign
    closed = min(quantity, -held) if held < 0 else 0
    opened = quantity - closed
    released = position.cost_paise * closed // abs(held) if closed else 0
    proceeds = closed * price_paise
    profit = released - proceeds if side is Side.BUY else proceeds - released
    value = quantity * price_paise
    buying = side is Side.BUY
    return Position(
        quantity=position.quantity + side.sign * quantity,
        cost_paise=position.cost_paise - released + opened * price_paise,
        realised_paise=position.realised_paise + profit,
        bought_quantity=position.bought_quantity + (quantity if buying else 0),
        sold_quantity=position.sold_quantity + (0 if buying else quantity),
        bought_paise=position.bought_paise + (value if buying else 0),
        sold_paise=position.sold_paise + (0 if buying else value),
    )
