"""A session through the compiled desk, told as the exact engine tells it: the same trades, far sooner.

One strategy, and only one that has a twin over whole sessions. What the desk does not count (orders that met
no traded bar) is not among the notes; trades, charges, curve and denials are the exact engine's.
"""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import numpy as np
import numpy.typing as npt

from kitepilot.orders.charges import DayCharges, rates_on
from kitepilot.strategies.over_session import Twinned
from research.bar_engine.plan import BarPlan
from research.bar_engine.session import SessionResult
from research.bar_engine.trips import LINES, split_whole
from research.bars import SessionBars
from research.charge_rates import charged_as_on
from research.outcome import Curve
from research.sweep import layout as at
from research.sweep.charge_units import NANO
from research.sweep.compiled_desk import (
    CompiledDesk,
    NotModelledError,
    Prepared,
    SessionTally,
    refusal,
    trades_of,
)

ENGINE = "compiled: equal to the exact engine trade by trade, fills out of bars"


def unsuited(plan: BarPlan) -> str:
    """Why a plan needs the exact engine, "" when it does not."""
    strategies = plan.make_strategies()
    if len(strategies) != 1:
        return f"it trades one strategy at a time, not {', '.join(strategies)}"
    name, strategy = next(iter(strategies.items()))
    if not isinstance(strategy, Twinned):
        return f"strategy {name!r} has no twin over whole sessions (`over_session`)"
    return refusal(plan)


def trade_compiled(plan: BarPlan, bars: SessionBars) -> SessionResult:
    """As `research.bar_engine.session.trade_session`.

    Raises:
        NotModelledError: the plan or the day needs the exact engine. CalendarError: NSE was closed.
    """
    if why := unsuited(plan):
        raise NotModelledError(why)
    ((name, strategy),) = plan.make_strategies().items()
    desk = CompiledDesk(plan, points=True)
    prepared = desk.prepare(bars)
    tally = desk.trade(prepared, cast(Twinned, strategy).over_session(prepared.view))
    return SessionResult(
        session=bars.session,
        trades=trades_of(prepared, tally, name),
        charges=_lines(plan, bars, tally.trips),
        curve=Curve(*(np.ascontiguousarray(tally.points[:, column]) for column in range(at.POINT))),
        denials=tally.denials,
        signals=tally.signals,
        bars=bars.bars,
        noted=prepared.noted,
        complaints=_carried(prepared, tally),
        states=(),
        symbols=tuple(bars.symbols[row] for row in np.flatnonzero(bars.present.any(axis=0))),
    )


def _lines(plan: BarPlan, bars: SessionBars, trips: npt.NDArray[np.int64]) -> dict[str, int]:
    """The session's charges by line of the contract note; they add up to its total."""
    long = trips[:, at.R_SIGN] > 0
    bought = np.where(long, trips[:, at.R_ENTRY], trips[:, at.R_PAID_EXIT]).sum()
    sold = np.where(long, trips[:, at.R_PAID_EXIT], trips[:, at.R_ENTRY]).sum()
    day = DayCharges(
        bought_paise=int(bought),
        sold_paise=int(sold),
        brokerage=Decimal(int(trips[:, at.R_BROKERAGE].sum())) / NANO,
        auto_square_offs=int(trips[:, at.R_SQUARE_OFFS].sum()),
    )
    charges = day.charges(rates_on(charged_as_on(bars.session, plan.rates_of)))
    return dict(zip(LINES, split_whole(getattr(charges, line) for line in LINES), strict=True))


def _carried(prepared: Prepared, tally: SessionTally) -> tuple[str, ...]:
    rows = tally.trips[tally.trips[:, at.R_REASON] == at.CARRIED]
    return tuple(
        f"{prepared.bars.session} {prepared.bars.symbols[row[at.R_ROW]]}: a position could not be closed: "
        "valued at the last price, what delivery or the exchange's auction costs is not in the result"
        for row in rows.tolist()
    )
