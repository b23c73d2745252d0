"""Parameter sets over a source of bars -> a trial each, session by session.

    search(plan, source, MaCross, sets, jobs=2) -> (Trial, ...)

A session is read once, its features are computed once, and every parameter set trades it; then it is
forgotten. So memory grows with parameter sets, and by a few numbers per session, never with bars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from kitepilot.market.calendar import CalendarError
from kitepilot.strategies.over_session import Twinned
from research.bar_engine.backtest import Progress, in_order, silent
from research.bar_engine.plan import BarPlan
from research.bars import BarSource
from research.sweep.compiled_desk import CompiledDesk, NotModelledError, SessionTally
from research.sweep.deflation import sharpe
from research.sweep.grid import Parameters

Ints = npt.NDArray[np.int64]
Make = Callable[[Mapping[str, float]], Any]
FIGURES = ("net_paise", "gross_paise", "charges_paise", "turnover_paise", "trades", "won", "signals")
NET, GROSS, CHARGES, TURNOVER, TRADES, WON, SIGNALS = range(len(FIGURES))


@dataclass(frozen=True, eq=False)
class Trial:
    """One parameter set. `figures` int64[sessions, FIGURES]; `failed` says why it has none."""

    parameters: Parameters
    figures: Ints
    capital_paise: int
    failed: str = ""

    def total(self, figure: int) -> int:
        return int(self.figures[:, figure].sum()) if len(self.figures) else 0

    @property
    def returns(self) -> npt.NDArray[np.float64]:
        """Net result of each session over the capital."""
        return self.figures[:, NET] / float(self.capital_paise)

    @property
    def sharpe(self) -> float:
        """Per session; 0 where nothing varies."""
        return float(sharpe(self.returns[:, None])[0]) if len(self.figures) else 0.0


@dataclass
class Searched:
    """What a search has come to: trials in the order of the sets, the sessions that were traded."""

    sessions: list[date] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Session:
    """One session of all sets: int64[sets, FIGURES], and what failed by set."""

    figures: Ints
    failed: dict[int, str]


def search(
    plan: BarPlan,
    source: BarSource,
    make: Make,
    sets: Sequence[Parameters],
    *,
    jobs: int = 1,
    progress: Progress = silent,
) -> Searched:
    """Every set over every session. A set that fails is a trial that says so; the others go on.

    Raises:
        NotModelledError: the plan, or the strategy itself, needs the exact engine.
    """
    failed = _unmade(make, sets)
    sound = [number for number in range(len(sets)) if number not in failed]
    work = partial(_session, plan, source, make, [sets[number] for number in sound])
    found = Searched()
    rows: list[Ints] = []
    for day, told in in_order(work, source.sessions, jobs if sound else 1):
        progress(day)
        if isinstance(told, str):
            found.left_out.append(told)
            continue
        found.sessions.append(day)
        rows.append(told.figures)
        for place, why in told.failed.items():
            failed.setdefault(sound[place], why)
    figures = np.stack(rows, axis=1) if rows else np.zeros((len(sound), 0, len(FIGURES)), dtype=np.int64)
    none = np.zeros((0, len(FIGURES)), dtype=np.int64)
    of = {number: place for place, number in enumerate(sound)}
    found.trials = [
        Trial(
            dict(given),
            none if number in failed else np.ascontiguousarray(figures[of[number]]),
            plan.capital_paise,
            failed.get(number, ""),
        )
        for number, given in enumerate(sets)
    ]
    return found


def _unmade(make: Make, sets: Sequence[Parameters]) -> dict[int, str]:
    """Sets that the strategy refuses, each with its reason."""
    failed: dict[int, str] = {}
    for number, given in enumerate(sets):
        try:
            made = make(given)
        except ValueError as err:
            failed[number] = str(err)
            continue
        if not isinstance(made, Twinned):
            raise NotModelledError(
                f"strategy {type(made).__name__} has no twin over whole sessions (`over_session`): see "
                "docs/how-to/sweep.md, or backtest its parameter sets one by one"
            )
    return failed


def _session(
    plan: BarPlan, source: BarSource, make: Make, sets: Sequence[Parameters], day: date
) -> _Session | str:
    """One session, in whichever process."""
    desk = CompiledDesk(plan)
    figures = np.zeros((len(sets), len(FIGURES)), dtype=np.int64)
    failed: dict[int, str] = {}
    try:
        prepared = desk.prepare(source.read(day))
    except (CalendarError, LookupError, ValueError) as err:
        return f"{day}: {err}"
    for number, given in enumerate(sets):
        try:
            wishes = cast(Twinned, make(given)).over_session(prepared.view)
            figures[number] = _figures(desk.trade(prepared, wishes))
        except Exception as err:  # a user's strategy: the other sets go on
            failed[number] = f"{day}: {type(err).__name__}: {err}"
    return _Session(figures, failed)


def _figures(tally: SessionTally) -> list[int]:
    return [getattr(tally, name) for name in FIGURES]
