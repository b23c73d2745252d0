"""Was it worth it after so many minutes? The label that the live flow matures, over bars."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kitepilot.models.labels import label
from research.bars import MINUTE_NS, SessionBars
from research.labels.cost import Cost, FlatCost
from research.labels.port import NO_ROW, Labelled, carried_close, rows_at

BPS = 10_000.0


@dataclass(frozen=True)
class FixedHorizon:
    """y = 1 when the price `minutes` later beats the price now by more than the cost.

    Prices are the newest closes known at both moments: an instrument that does not trade keeps its price, as
    in the live flow. A decision has a label only if a minute closes exactly one horizon later in its session.
    `long` False asks the same of selling first.
    """

    minutes: int = 5
    cost: Cost = field(default_factory=FlatCost)
    long: bool = True

    def __post_init__(self) -> None:
        if self.minutes < 1:
            raise ValueError(f"a horizon of {self.minutes} minutes: it must be at least 1")

    @property
    def words(self) -> str:
        moves = "above" if self.long else "below"
        return f"price {self.minutes} min later is {moves} the price by more than {self.cost.words()}"

    def of(self, bars: SessionBars) -> Labelled:
        cost_bps = self.cost.bps_on(bars.session)
        then = carried_close(bars)
        end = rows_at(bars.close_at, bars.close_at + self.minutes * MINUTE_NS)
        now = then[end]
        known = (end != NO_ROW)[:, None] & (then > 0) & (now > 0)
        side = 1 if self.long else -1
        won = label(then, now, cost_bps) if self.long else label(then, 2 * then - now, cost_bps)
        moved = side * (now - then) / np.maximum(then, 1) * BPS
        return Labelled(
            y=np.where(known, won, np.nan),
            outcome_bps=np.where(known, moved - cost_bps, np.nan),
            end=np.where(known, end[:, None], NO_ROW),
        )
