"""What a round trip costs, in basis points of its value: stated flat, or by the rates of the day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Protocol

from kitepilot.events import Side
from kitepilot.orders.charges import ExecutedOrder, charges_for
from research.charge_rates import charged_as_on

BPS = 10_000


class Cost(Protocol):
    """The cost of buying and selling one position intraday."""

    def bps_on(self, day: date) -> float: ...

    def words(self) -> str: ...


@dataclass(frozen=True)
class FlatCost:
    """The same on every day."""

    bps: float = 0.0

    def bps_on(self, day: date) -> float:
        return self.bps

    def words(self) -> str:
        return f"{self.bps:g} bps"


@dataclass(frozen=True)
class ChargedCost:
    """Charges of a round trip of `notional_paise` a side at the rates of the day, and what slips.

    Both sides are taken at the same value: a move of 1 % between them changes the cost by less than 0.1 bps.
    `slippage_bps` is what both sides together pay against the price they were decided on. `rates_of` is the
    date whose rates count on every day; a day before the table of charges begins pays today's.
    """

    notional_paise: int = 6_000_000
    slippage_bps: float = 0.0
    rates_of: date | None = None

    def bps_on(self, day: date) -> float:
        """Raises `ChargesError` when `rates_of` is before the first known rates."""
        sides = (ExecutedOrder(side, 1, self.notional_paise) for side in (Side.BUY, Side.SELL))
        charges = charges_for(sides, charged_as_on(day, self.rates_of)).total
        return float(charges * BPS / self.notional_paise) + self.slippage_bps

    def words(self) -> str:
        rates = f"the rates of {self.rates_of}" if self.rates_of else "the day's rates"
        slips = f" and {self.slippage_bps:g} bps of slippage" if self.slippage_bps else ""
        return f"charges of a round trip of Rs {self.notional_paise // 100:,} at {rates}{slips}"
