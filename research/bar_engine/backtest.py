"""Many sessions of bars -> one `Outcome`, over as many processes as are given.

    backtest(plan, source, name="ma_cross", jobs=2) -> Outcome

Sessions do not depend on each other: positions are flat overnight, a live day starts new strategies and a new
run of the risk fold, and what limits carry within a day (losses, streaks, order counts) begins anew in both.
So they are traded in any order and put together by date; the result does not depend on `jobs`.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import TypeVar

import numpy as np

from kitepilot.market.calendar import CalendarError
from research.bar_engine.plan import BarPlan
from research.bar_engine.session import SessionResult, trade_session
from research.bar_engine.trips import note_of
from research.bars import BarSource, SessionBars
from research.charge_rates import assumption
from research.outcome import Curve, Outcome, Trade

ENGINE = "exact: strategies and risk fold as live, fills out of bars"
AHEAD = 2  # sessions per process that are on their way at once: memory does not grow with the years
Traded = SessionResult | str  # why a session was left out
Progress = Callable[[date], None]
Trader = Callable[[BarPlan, SessionBars], SessionResult]
R = TypeVar("R")


class NothingToTradeError(ValueError):
    """No session of the data can be traded; the text says why."""


def silent(_: date) -> None:
    """Progress that nobody watches."""


def backtest(
    plan: BarPlan,
    source: BarSource,
    *,
    name: str,
    sessions: Sequence[date] = (),
    symbols: Sequence[str] = (),
    jobs: int = 1,
    progress: Progress = silent,
    trade: Trader = trade_session,
    engine: str = ENGINE,
) -> Outcome:
    """Trade `sessions` (all of the source without any) on `symbols` (all without any).

    `trade` trades one of them, and `engine` is what it calls itself in the result.

    Raises:
        NothingToTradeError: not one session could be traded.
    """
    days = tuple(sessions) or tuple(source.sessions)
    work = partial(_traded, trade, plan, source, tuple(symbols))
    gathered = _Gathered(source.name, name, plan, engine)
    for day, found in in_order(work, days, jobs):
        gathered.add(day, found)
        progress(day)
    return gathered.outcome()


def _traded(trade: Trader, plan: BarPlan, source: BarSource, symbols: tuple[str, ...], day: date) -> Traded:
    try:
        bars = source.read(day)
        bars = only(bars, symbols or _tradable(bars))
        if not bars.bars:
            return f"{day}: no bars"
        return trade(plan, bars)
    except (CalendarError, LookupError, ValueError) as err:
        text = str(err)
        return text if str(day) in text else f"{day}: {text}"


def _tradable(bars: SessionBars) -> tuple[str, ...]:
    """Indices have no tick size: nobody trades them."""
    return tuple(
        symbol for symbol, tick in zip(bars.symbols, bars.tick_size_paise.tolist(), strict=True) if tick > 0
    )


def only(bars: SessionBars, symbols: Sequence[str]) -> SessionBars:
    """The columns of `symbols`, those of them that the session has.

    Raises:
        LookupError: it has none of them.
    """
    wanted = set(symbols)
    columns = [place for place, symbol in enumerate(bars.symbols) if symbol in wanted]
    if len(columns) == len(bars.symbols):
        return bars
    if not columns:
        raise LookupError(f"{bars.session}: none of {', '.join(sorted(wanted))} has bars")
    return SessionBars(
        session=bars.session,
        symbols=tuple(bars.symbols[place] for place in columns),
        tokens=bars.tokens[columns],
        close_at=bars.close_at,
        open=bars.open[:, columns],
        high=bars.high[:, columns],
        low=bars.low[:, columns],
        close=bars.close[:, columns],
        volume=bars.volume[:, columns],
        present=bars.present[:, columns],
        tick_size_paise=bars.tick_size_paise[columns],
        previous_close_paise=bars.previous_close_paise[columns],
        auction_tokens=bars.auction_tokens,
    )


def in_order(work: Callable[[date], R], days: Iterable[date], jobs: int) -> Iterator[tuple[date, R]]:
    """Results in the order of `days`, at most `AHEAD` sessions per process ahead of the reader."""
    if jobs <= 1:
        for day in days:
            yield day, work(day)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("forkserver")) as pool:
        under_way: deque[tuple[date, Future[R]]] = deque()
        for day in days:
            under_way.append((day, pool.submit(work, day)))
            if len(under_way) >= AHEAD * jobs:
                first, future = under_way.popleft()
                yield first, future.result()
        for first, future in under_way:
            yield first, future.result()


@dataclass
class _Gathered:
    """Sessions put together. Grows with trades and minutes, not with bars."""

    data: str
    name: str
    plan: BarPlan
    engine: str
    traded: list[date] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    charges: list[dict[str, int]] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    denials: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    left_out: list[str] = field(default_factory=list)
    signals: int = 0
    gross: int = 0
    net: int = 0
    symbols: Counter[str] = field(default_factory=Counter)

    def add(self, day: date, found: Traded) -> None:
        if isinstance(found, str):
            self.left_out.append(found)
            return
        self.traded.append(day)
        self.trades.extend(sorted(found.trades, key=lambda trade: (trade.closed_at, trade.tradingsymbol)))
        self.charges.append(found.charges)
        self.denials.update({str(code): count for code, count in found.denials.items()})
        self.noted.update(found.noted)
        self.left_out.extend(found.complaints)
        self.signals += found.signals
        self.symbols.update(found.symbols)
        self._append(found.curve)

    def _append(self, curve: Curve) -> None:
        self.curves.append(
            Curve(
                curve.at,
                curve.gross_paise + self.gross,
                curve.net_paise + self.net,
                curve.exposure_paise,
                curve.positions,
            )
        )
        if len(curve.at):
            self.gross += int(curve.gross_paise[-1])
            self.net += int(curve.net_paise[-1])

    def outcome(self) -> Outcome:
        if not self.traded:
            first = self.left_out[0] if self.left_out else "the data has no sessions"
            raise NothingToTradeError(f"{self.data}: nothing could be traded: {first}")
        return Outcome(
            name=self.name,
            parameters={name: dict(given) for name, given in self.plan.parameters.items()},
            data=self.data,
            sessions=tuple(self.traded),
            engine=self.engine,
            capital_paise=self.plan.capital_paise,
            trades=tuple(self.trades),
            curve=_joined(self.curves),
            charges=note_of(self.charges),
            denials=dict(self.denials.most_common()),
            signals=self.signals,
            config_hash=self.plan.config_hash,
            assumptions=self._assumptions(),
            left_out=(*self.left_out, *self._gaps()),
        )

    def _assumptions(self) -> tuple[str, ...]:
        said = [self.plan.fills.assumption, assumption(self.traded, self.plan.rates_of)]
        said += [f"{what}: {count:,}" for what, count in self.noted.most_common()]
        return tuple(filter(None, said))

    def _gaps(self) -> list[str]:
        """Instruments that some of the sessions lack."""
        total = len(self.traded)
        return [
            f"{symbol}: no bars in {total - count} of {total} sessions"
            for symbol, count in sorted(self.symbols.items())
            if count < total
        ]


def _joined(curves: Sequence[Curve]) -> Curve:
    columns = ("at", "gross_paise", "net_paise", "exposure_paise", "positions")
    empty = np.zeros(0, dtype=np.int64)
    return Curve(
        *(np.concatenate([empty, *(getattr(curve, column) for curve in curves)]) for column in columns)
    )
