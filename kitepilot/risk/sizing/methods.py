"""The built-in sizing methods. Amounts in paise, shares of the capital in basis points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from kitepilot.risk.sizing.port import Entry, Parameter, SizingMethod

BPS = 10_000
MILLI = 1_000
MOST_PAISE = 10**13  # 1,000 crore rupees: a typing error above it

CAPITAL = Parameter(None, 1, MOST_PAISE, "the capital that shares of it are taken from, paise")


class FixedQuantity:
    """Always the same number of shares."""

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "shares": Parameter(None, 1, 10**7, "shares of an entry")
    }

    def __init__(self, settled: Mapping[str, int]) -> None:
        self._shares = settled["shares"]

    def shares(self, _entry: Entry) -> int:
        return self._shares


class FixedNotional:
    """As many shares as an amount buys at the limit price."""

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "notional_paise": Parameter(None, 1, MOST_PAISE, "value of an entry, paise")
    }

    def __init__(self, settled: Mapping[str, int]) -> None:
        self._notional = settled["notional_paise"]

    def shares(self, entry: Entry) -> int:
        return self._notional // entry.price_paise


class FixedFractional:
    """So large that the stop costs a fixed share of the capital."""

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "capital_paise": CAPITAL,
        "risk_bps": Parameter(25, 1, 1_000, "share of the capital lost at the stop"),
    }

    def __init__(self, settled: Mapping[str, int]) -> None:
        self._at_risk = settled["capital_paise"] * settled["risk_bps"] // BPS

    def shares(self, entry: Entry) -> int:
        return self._at_risk * BPS // (entry.price_paise * entry.stop_bps)


class VolatilityTarget:
    """So large that a usual move over the holding time is a fixed share of the capital.

    The usual move is that of a minute (`vol_300s`: root of the mean squared return of a minute over the last
    five, in bps), times the root of the holding time in minutes. While it warms up nothing is bought.
    """

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "capital_paise": CAPITAL,
        "target_bps": Parameter(10, 1, 1_000, "share of the capital that a usual move is"),
        "least_move_bps": Parameter(5, 1, 1_000, "a quieter instrument counts as moving this much"),
    }

    def __init__(self, settled: Mapping[str, int]) -> None:
        self._at_risk = settled["capital_paise"] * settled["target_bps"] // BPS
        self._least = settled["least_move_bps"] * MILLI

    def shares(self, entry: Entry) -> int:
        if entry.minute_move_milli_bps <= 0:
            return 0
        move = math.isqrt(entry.minute_move_milli_bps**2 * max(entry.horizon_s, 1) // 60)
        return self._at_risk * BPS * MILLI // (entry.price_paise * max(move, self._least))


class FractionalKelly:
    """A part of Kelly's share of the capital at the stop, capped.

    Kelly: `win rate - (1 - win rate) / payoff`, payoff being the average win over the average loss. Both are
    what the owner states of the strategy from his own research; they are not learned during the day, when a
    lucky morning would enlarge the afternoon. Without an edge nothing is bought.
    """

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "capital_paise": CAPITAL,
        "win_rate_bps": Parameter(None, 1, 9_999, "share of trades that win"),
        "payoff_bps": Parameter(None, 1, 1_000_000, "average win over average loss, 10000 is equal"),
        "fraction_bps": Parameter(2_500, 1, BPS, "part of Kelly's share that is used"),
        "cap_bps": Parameter(50, 1, 1_000, "most of the capital that one stop may cost"),
    }

    def __init__(self, settled: Mapping[str, int]) -> None:
        win, payoff = settled["win_rate_bps"], settled["payoff_bps"]
        kelly = win - -(-(BPS - win) * BPS // payoff)
        share = min(max(kelly, 0) * settled["fraction_bps"] // BPS, settled["cap_bps"])
        self._at_risk = settled["capital_paise"] * share // BPS

    def shares(self, entry: Entry) -> int:
        return self._at_risk * BPS // (entry.price_paise * entry.stop_bps)


METHODS: Mapping[str, type[SizingMethod]] = {
    "fixed_notional": FixedNotional,
    "fixed_quantity": FixedQuantity,
    "fixed_fractional": FixedFractional,
    "volatility_target": VolatilityTarget,
    "fractional_kelly": FractionalKelly,
}
