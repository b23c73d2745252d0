"""The compiled desk and the exact engine trade the same trips, to the paisa and in the same order."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
from bar_days import DAY, bars_of, plan_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kitepilot.strategies.over_session import SIDES, SessionView, SessionWishes
from kitepilot.strategies.port import MarketView, Wish
from research.bar_engine.plan import BarPlan
from research.bar_engine.session import trade_session
from research.bars import SessionBars
from research.fills.model import FillModel
from research.sweep.compiled_desk import CompiledDesk, trades_of
from research.sweep.compiled_session import trade_compiled, unsuited

NEVER = (22_500, 10_000, 10_000)  # horizon_s, stop_bps, take_profit_bps: until the session ends
COLUMNS = ("at", "gross_paise", "net_paise", "exposure_paise", "positions")


class Following:
    """Wishes what a table says, close by close."""

    requires: ClassVar[tuple[str, ...]] = ()
    interval_s = 60

    def __init__(self, wishes: SessionWishes) -> None:
        self._wishes, self._seen = wishes, 0

    def on_close(self, view: MarketView) -> list[Wish]:
        sides, self._seen = self._wishes.side[self._seen], self._seen + 1
        plan = (self._wishes.horizon_s, self._wishes.stop_bps, self._wishes.take_profit_bps)
        return [Wish(row, SIDES[int(sides[row])], 0.5, *plan) for row in np.flatnonzero(sides).tolist()]

    def snapshot(self) -> bytes:
        return b""

    def restore(self, blob: bytes) -> None:
        del blob


class Twin(Following):
    """The same table, for a whole session at once."""

    def over_session(self, view: SessionView) -> SessionWishes:
        del view
        return self._wishes


def market(seed: int, minutes: int, instruments: int, opens: str) -> SessionBars:
    """Paths that jump, gap, go silent, trade a few shares only, and lock at a circuit."""
    rng = np.random.default_rng(seed)
    paths = []
    for _ in range(instruments):
        price = int(rng.integers(20, 4_000)) * 5
        wild = float(rng.choice([3.0, 15.0, 60.0]))
        deep = int(rng.choice([60, 2_000, 200_000]))
        dries_up = int(
            rng.choice([minutes, minutes // 2])
        )  # from here on few shares trade, until the broker comes
        path: list[tuple[int, int, int, int, int] | None] = []
        for minute in range(minutes):
            if rng.random() < 0.05:
                path.append(None)
                continue
            walk = price * np.exp(np.cumsum(rng.normal(0, wild / 1e4, 6)))
            grid = np.maximum(np.round(walk / 5) * 5, 5).astype(int)
            volume = (
                0
                if rng.random() < 0.03
                else int(rng.integers(1, 8 if dries_up <= minute < minutes - 8 else deep))
            )
            path.append((int(grid[0]), int(grid.max()), int(grid.min()), int(grid[-1]), volume))
            price = int(grid[-1])
        if rng.random() < 0.2:
            first = int(rng.integers(0, minutes - 5))
            path[first : first + 5] = [(110_00, 110_00, 110_00, 110_00, 500)] * 5
        paths.append(path)
    if rng.random() < 0.3:
        for path in paths:
            path[minutes // 2] = None  # a minute nobody recorded
    return bars_of(*paths, day=DAY, opens=opens)


def wishes_for(
    bars: SessionBars, seed: int, talkative: float, horizon_s: int, stop: int, profit: int
) -> SessionWishes:
    shape = (int(bars.present.any(axis=1).sum()), len(bars.symbols))
    side = np.random.default_rng(seed).choice(
        np.array([0, 1, -1, 2], dtype=np.int8),
        shape,
        p=[1 - talkative, talkative / 3, talkative / 3, talkative / 3],
    )
    return SessionWishes(side, horizon_s, stop, profit)


def compare(bars: SessionBars, wishes: SessionWishes, plan: BarPlan) -> int:
    """Trades, after everything was found equal."""
    exact = trade_session(plan, bars)
    desk = CompiledDesk(plan, points=True)
    prepared = desk.prepare(bars)
    tally = desk.trade(prepared, wishes)
    assert trades_of(prepared, tally, "scripted") == exact.trades
    for place, column in enumerate(COLUMNS):
        np.testing.assert_array_equal(tally.points[:, place], getattr(exact.curve, column), err_msg=column)
    assert tally.denials == {str(code): count for code, count in exact.denials.items()}
    assert tally.signals == exact.signals
    assert tally.charges_paise == sum(exact.charges.values())
    told = trade_compiled(replace(plan, make_strategies=lambda: {"scripted": Twin(wishes)}), bars)
    assert told.charges == exact.charges and told.trades == exact.trades
    assert len(told.complaints) == sum("could not be closed" in said for said in exact.complaints)
    return tally.trades


risks = st.fixed_dictionaries(
    {},
    optional={
        "open_positions": st.integers(1, 4),
        "orders_per_second": st.integers(1, 4),
        "orders_per_minute": st.integers(1, 6),
        "orders_per_day": st.integers(1, 40),
        "trades_per_day": st.integers(1, 20),
        "trades_per_instrument": st.integers(1, 5),
        "loss_streak": st.integers(1, 4),
        "daily_loss_rupees": st.integers(20, 300),
        "drawdown_rupees": st.integers(5, 100),
        "trade_risk_rupees": st.integers(10, 500),
        "order_value_rupees": st.integers(500, 20_000),
        "gross_exposure_rupees": st.integers(500, 5_000),
        "net_exposure_rupees": st.integers(500, 5_000),
        "instrument_exposure_rupees": st.integers(300, 3_000),
        "sector_exposure_rupees": st.integers(300, 3_000),
        "spread_bps": st.integers(1, 60),
        "entry_protection_bps": st.integers(0, 30),
        "exit_protection_bps": st.integers(1, 40),
    },
)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**31),
    instruments=st.sampled_from([1, 4, 9]),
    opens=st.sampled_from(["09:15", "14:20", "14:55"]),
    talkative=st.sampled_from([0.02, 0.1, 0.4]),
    ends=st.sampled_from([(60, 5, 5), (303, 5, 40), (303, 30, 40), (22_500, 200, 10_000), NEVER, NEVER]),
    fills=st.builds(
        FillModel,
        half_spread_bps=st.sampled_from([0.0, 1.5, 12.0]),
        impact_bps=st.sampled_from([0.0, 10.0, 200.0]),
        participation_bps=st.sampled_from([100, 1_000, 10_000]),
    ),
    risk=risks,
)
@example(  # an exit not sent again within its minute waits for the next open, not for an old price
    seed=1821580570,
    instruments=9,
    opens="09:15",
    talkative=0.4,
    ends=(303, 5, 40),
    fills=FillModel(half_spread_bps=0, impact_bps=0, participation_bps=100),
    risk={},
)
def test_the_compiled_desk_trades_what_the_exact_engine_trades(
    seed: int,
    instruments: int,
    opens: str,
    talkative: float,
    ends: tuple[int, int, int],
    fills: FillModel,
    risk: dict[str, int],
) -> None:
    bars = market(seed, 70, instruments, opens)
    wishes = wishes_for(bars, seed, talkative, *ends)
    compare(bars, wishes, plan_of(partial(Following, wishes), fills, **risk))


def test_what_the_compiled_desk_cannot_trade_it_leaves_to_the_exact_engine() -> None:
    bars = market(3, 70, 4, "09:15")
    wishes = wishes_for(bars, 3, 0.1, *NEVER)
    plan = plan_of(partial(Following, wishes), FillModel())
    assert "no twin" in unsuited(plan)
    two = replace(plan, make_strategies=lambda: {"one": Twin(wishes), "two": Twin(wishes)})
    assert "one strategy at a time" in unsuited(two)
    assert unsuited(replace(plan, make_strategies=lambda: {"one": Twin(wishes)})) == ""
