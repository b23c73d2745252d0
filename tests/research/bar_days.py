"""Sessions of bars made by hand, and strategies that wish what a test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import ClassVar

import msgspec
import numpy as np

from kitepilot.config import RiskSection, SizingSection
from kitepilot.events import Side
from kitepilot.market.calendar import ist_ns
from kitepilot.strategies.port import MarketView, Strategy, Wish
from research.bar_engine.plan import BarPlan
from research.bars import MINUTE_NS, SessionBars
from research.fills.model import FillModel

DAY = date(2026, 4, 1)
WIDE = RiskSection(
    sizing=SizingSection(method="fixed_quantity", parameters={"shares": 10}),
    open_positions=200,
    orders_per_second=1_000,
    orders_per_minute=10_000,
    orders_per_day=100_000,
    trades_per_day=100_000,
    trades_per_instrument=1_000,
    loss_streak=100_000,
    daily_loss_rupees=10**7,
    drawdown_rupees=10**7,
    gross_exposure_rupees=10**9,
    net_exposure_rupees=10**9,
    sector_exposure_rupees=10**9,
    instrument_exposure_rupees=10**8,
    order_value_rupees=10**7,
    trade_risk_rupees=10**6,
    spread_bps=200,
)


def bars_of(
    *paths: Sequence[tuple[int, int, int, int, int] | None],
    day: date = DAY,
    opens: str = "09:15",
    previous_close: int = 100_00,
) -> SessionBars:
    """One path per instrument: (open, high, low, close, volume) by minute, None where there is none."""
    table = np.array([[bar or (0, 0, 0, 0, 0) for bar in path] for path in paths], dtype=np.int64)
    present = np.array([[bar is not None for bar in path] for path in paths])
    opened, high, low, close, volume = (np.ascontiguousarray(table[:, :, k].T) for k in range(5))
    n, m = len(paths), len(paths[0])
    return SessionBars(
        session=day,
        symbols=tuple(f"S{row}" for row in range(n)),
        tokens=(np.arange(n, dtype=np.int64) + 1) * 256 + 1,
        close_at=ist_ns(day, opens) + np.arange(1, m + 1, dtype=np.int64) * MINUTE_NS,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
        present=np.ascontiguousarray(present.T),
        tick_size_paise=np.full(n, 5, dtype=np.int64),
        previous_close_paise=np.full(n, previous_close, dtype=np.int64),
    )


def flat(
    minutes: int, price: int = 100_00, volume: int = 10_000
) -> list[tuple[int, int, int, int, int] | None]:
    """Minutes that trade a little around one price."""
    return [(price, price + 50, price - 50, price, volume)] * minutes


@dataclass
class Scripted:
    """Wishes by (minute of the session, row). A side of "" leaves."""

    wishes: Mapping[tuple[int, int], str]
    stop_bps: int = 5_000
    take_profit_bps: int = 5_000
    horizon_s: int = 22_500
    seen: int = 0
    requires: ClassVar[tuple[str, ...]] = ()
    interval_s: int = 60

    def on_close(self, view: MarketView) -> list[Wish]:
        minute, self.seen = self.seen, self.seen + 1
        return [
            Wish(
                row=row,
                side=Side(side) if side else None,
                strength=1.0,
                horizon_s=self.horizon_s,
                stop_bps=self.stop_bps,
                take_profit_bps=self.take_profit_bps,
            )
            for (at, row), side in self.wishes.items()
            if at == minute
        ]

    def snapshot(self) -> bytes:
        return b""

    def restore(self, blob: bytes) -> None:
        del blob


def plan_of(strategy: Callable[[], Strategy], fills: FillModel | None = None, **risk: int) -> BarPlan:
    section = msgspec.structs.replace(WIDE, **risk)
    return BarPlan(
        make_strategies=partial(_one, strategy),
        profile=section.profile(),
        fills=fills or FillModel(half_spread_bps=0, impact_bps=0),
        capital_paise=10**13,
    )


def _one(strategy: Callable[[], Strategy]) -> dict[str, Strategy]:
    return {"scripted": strategy()}


def scripted(wishes: Mapping[tuple[int, int], str], **plan: int) -> Callable[[], Strategy]:
    return partial(Scripted, wishes, **plan)


@dataclass
class Fails:
    """Raises at its third close, or never comes back."""

    how: str
    seen: int = 0
    requires: ClassVar[tuple[str, ...]] = ()
    interval_s: int = 60
    kept: list[int] = field(default_factory=list)

    def on_close(self, view: MarketView) -> list[Wish]:
        del view
        self.seen += 1
        if self.seen == 3:
            if self.how == "loops":
                while True:
                    self.kept[:] = [1]
            raise ZeroDivisionError("no volume")
        return []

    def snapshot(self) -> bytes:
        return b""

    def restore(self, blob: bytes) -> None:
        del blob
