"""The limits of the day -> how much of each is used: the gauges of whoever watches."""

from __future__ import annotations

import msgspec

from kitepilot.events import Side
from kitepilot.risk.exposure import (
    drawdown_paise,
    gross_exposure_paise,
    instrument_exposure_paise,
    worst_case_loss_paise,
)
from kitepilot.risk.sides import net_exposure_paise, sector_exposure_paise
from kitepilot.risk.state import DeskState


class LimitUse(msgspec.Struct, frozen=True):
    """One limit: `used` of `limit`, both in `unit` (paise | count); `subject` where it is one of many.

    `used` is what the check of that name would observe now, without a new entry; it may pass the limit, and a
    result that has earned is 0 of a loss.
    """

    name: str
    used: int
    limit: int
    unit: str
    subject: str = ""

    @property
    def share(self) -> float:
        """Used by limit; a limit of nothing is used up."""
        return self.used / self.limit if self.limit else 1.0


def limit_use(state: DeskState) -> tuple[LimitUse, ...]:
    """One row per limit of the account; of instruments and sectors the fullest. Costs grow with positions."""
    limits, (in_second, in_minute, in_day) = state.limits, state.rate.at(state.now)
    occupied = state.holdings.keys() | {order.token for order in state.working.values()}
    paise = (
        ("daily_loss", worst_case_loss_paise(state), limits.daily_loss_paise, ""),
        ("drawdown", drawdown_paise(state), limits.drawdown_paise, ""),
        ("gross_exposure", gross_exposure_paise(state), limits.gross_exposure_paise, ""),
        ("net_exposure", _net(state), limits.net_exposure_paise, ""),
        ("instrument_exposure", *_fullest_instrument(state, occupied)),
        ("sector_exposure", *_fullest_sector(state, occupied)),
    )
    counts = (
        ("open_positions", len(occupied), limits.open_positions),
        ("orders_per_second", in_second, limits.orders_per_second),
        ("orders_per_minute", in_minute, limits.orders_per_minute),
        ("orders_per_day", in_day, limits.orders_per_day),
        ("trades_per_day", state.trades, limits.trades_per_day),
        ("loss_streak", state.streak, limits.loss_streak),
    )
    return (
        *(LimitUse(name, max(used, 0), limit, "paise", subject) for name, used, limit, subject in paise),
        *(LimitUse(name, used, limit, "count") for name, used, limit in counts),
    )


def _net(state: DeskState) -> int:
    return max(net_exposure_paise(state, side) for side in Side)


def _fullest_instrument(state: DeskState, occupied: set[int]) -> tuple[int, int, str]:
    limit = state.limits.instrument_exposure_paise
    values = {token: instrument_exposure_paise(state, token) for token in occupied}
    if not values:
        return 0, limit, ""
    token = max(sorted(values), key=values.__getitem__)
    return values[token], limit, state.terms[token].tradingsymbol if token in state.terms else str(token)


def _fullest_sector(state: DeskState, occupied: set[int]) -> tuple[int, int, str]:
    limit = state.limits.sector_exposure_paise
    sectors = {state.terms[token].sector for token in occupied if token in state.terms} - {""}
    values = {sector: sector_exposure_paise(state, sector) for sector in sectors}
    if not values:
        return 0, limit, ""
    sector = max(sorted(values), key=values.__getitem__)
    return values[sector], limit, sector
