"""A session of bars and a plan -> what the exact engine would trade, many times as fast.

    desk = CompiledDesk(plan)
    prepared = desk.prepare(bars)                   # once per session, shared by all parameter sets
    desk.trade(prepared, wishes) -> SessionTally    # once per parameter set

It is the exact engine (`research.bar_engine`) with one strategy, written again for numbers: the same steps of
a minute, the same compiled fills, the same checks of the risk fold. tests/research holds the two equal, trade
by trade. What it does not model it refuses: see `refusal`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from kitepilot.orders.charges import rates_on
from kitepilot.strategies.over_session import SessionView, SessionWishes
from research.bar_engine.plan import BarPlan
from research.bar_engine.terms import SessionTerms, terms_of
from research.bar_engine.trips import split_whole
from research.bars import SessionBars
from research.charge_rates import charged_as_on
from research.fills.quotes import locked_sides
from research.outcome import Trade
from research.sweep import layout as at
from research.sweep.charge_units import NANO, charge_units, charges_of, to_paise
from research.sweep.session_kernel import carry_forward, trade_session

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
NS = 1_000_000_000
BPS = 10_000
TRADES_AT_FIRST = 4_096


class NotModelledError(ValueError):
    """The compiled desk cannot say what the exact engine would do; the text says what it lacks."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """One session as the kernels read it. Nothing here depends on parameters."""

    bars: SessionBars
    view: SessionView
    tape: at.Tape
    rules: at.Rules
    noted: Counter[str]


@dataclass(frozen=True, eq=False)
class SessionTally:
    """What one session came to with one parameter set. Amounts in paise.

    `trips` int64[k, TRADE] by `layout`, in order of closing; `points` int64[minutes, POINT], without rows
    unless asked for. `drawdown_paise`: deepest fall of the net result from its best, at minute closes.
    """

    net_paise: int
    gross_paise: int
    charges_paise: int
    turnover_paise: int
    trades: int
    won: int
    signals: int
    drawdown_paise: int
    denials: Counter[str]
    trips: Ints
    points: Ints


def refusal(plan: BarPlan) -> str:
    """Why a plan cannot be traded by the compiled desk, "" when it can."""
    sizing = plan.profile.sizing.method
    if sizing not in _SIZES:
        return f"sizing {sizing!r} is not among {', '.join(_SIZES)}"
    return ""


_SIZES = ("fixed_quantity", "fixed_notional", "fixed_fractional")


class CompiledDesk:
    """One plan. The strategies of the plan are not asked: their twins' wishes are given."""

    def __init__(self, plan: BarPlan, *, points: bool = False) -> None:
        """Raises `NotModelledError` for a plan that needs the exact engine."""
        if why := refusal(plan):
            raise NotModelledError(why)
        self._plan = plan
        self._limits = _limits(plan)
        self._points = points
        self._trips = np.zeros((TRADES_AT_FIRST, at.TRADE), dtype=np.int64)

    def prepare(self, bars: SessionBars, features: Floats | None = None) -> Prepared:
        """Raises `CalendarError` for a day on which NSE was closed."""
        noted: Counter[str] = Counter()
        session = terms_of(bars, self._plan, (), noted)
        rows = np.array(session.rows, dtype=np.int64)
        shown = bars.present[rows].any(axis=1)
        asked = np.where(shown, np.cumsum(shown) - 1, -1).astype(np.int64)
        tape = _tape(bars, session.tradable, rows, asked)
        seen = rows[shown]
        if features is None:
            names = self._plan.features.names
            features = (
                np.zeros((len(bars.close_at), len(bars.symbols), 0)) if not names else self._features(bars)
            )
        view = SessionView(
            close_at=bars.close_at[seen],
            tokens=bars.tokens,
            tradingsymbols=bars.symbols,
            names=self._plan.features.names,
            features=features[seen] if len(seen) < len(features) else features,
            last_paise=tape.last[seen] if len(seen) < len(tape.last) else tape.last,
        )
        rates = rates_on(charged_as_on(bars.session, self._plan.rates_of))
        fills = self._plan.fills
        return Prepared(
            bars=bars,
            view=view,
            tape=tape,
            rules=at.Rules(
                terms=_terms(bars, session, self._plan),
                limits=self._limits,
                units=charge_units(rates).array(),
                half_spread_bps=float(fills.half_spread_bps),
                impact_bps=float(fills.impact_bps),
            ),
            noted=noted,
        )

    def _features(self, bars: SessionBars) -> Floats:
        columns = self._plan.features
        if columns.of is None:
            return np.full((len(bars.close_at), len(bars.symbols), len(columns.names)), np.nan)
        return columns.of(bars)

    def trade(self, prepared: Prepared, wishes: SessionWishes) -> SessionTally:
        """Raises `NotModelledError` for what the exact engine would do and this one does not."""
        books = self._books(prepared)
        trade_session(
            wishes.side,
            np.array([wishes.horizon_s, wishes.stop_bps, wishes.take_profit_bps], dtype=np.int64),
            prepared.tape,
            books,
            prepared.rules,
        )
        if books.acct[at.FLAW] == at.TOO_MANY_TRADES:
            self._trips = np.zeros((2 * int(books.acct[at.CLOSED]), at.TRADE), dtype=np.int64)
            return self.trade(prepared, wishes)
        if books.acct[at.FLAW] == at.SLICED:
            day = prepared.bars.session
            raise NotModelledError(f"{day}: an order so large that the gateway would cut it into several")
        return _tally(prepared, books)

    def _books(self, prepared: Prepared) -> at.Books:
        n, minutes = len(prepared.bars.symbols), len(prepared.view.close_at) if self._points else 0

        def zeros(*shape: int) -> Ints:
            return np.zeros(shape, dtype=np.int64)

        return at.Books(
            inst=zeros(n, at.INST),
            held=zeros(n),
            working=zeros(n),
            acct=zeros(at.ACCT),
            value=zeros(at.VALUE),
            trips=self._trips,
            points=zeros(minutes, at.POINT),
            refusals=zeros(len(at.DENIALS)),
        )


def _tape(bars: SessionBars, tradable: Flags, rows: Ints, asked: Ints) -> at.Tape:
    tape = at.Tape(
        open=bars.open,
        high=bars.high,
        low=bars.low,
        volume=bars.volume,
        tradable=tradable,
        locked=locked_sides(bars),
        last=np.zeros_like(bars.close),
        quoted=np.zeros_like(bars.close),
        close_at=bars.close_at,
        rows=rows,
        asked=asked,
    )
    carry_forward(tape, bars.close, bars.present)
    return tape


def _terms(bars: SessionBars, session: SessionTerms, plan: BarPlan) -> Ints:
    instruments = session.parameters.instruments
    found = np.zeros((len(instruments), at.TERMS), dtype=np.int64)
    found[:, at.TICK] = bars.tick_size_paise
    found[:, at.CUTOFF_AT] = [each.entry_cutoff_at for each in instruments]
    found[:, at.SQUARE_OFF_AT] = [each.square_off_at for each in instruments]
    found[:, at.FLAT_AT] = [each.force_flat_at for each in instruments]
    found[:, at.CLOSE_AT] = [each.continuous_close_at for each in instruments]
    found[:, at.BROKER_AT] = session.broker_at
    found[:, at.MAY_ENTER] = [
        _may_enter(symbol, tick, plan)
        for symbol, tick in zip(bars.symbols, bars.tick_size_paise.tolist(), strict=True)
    ]
    return found


def _may_enter(symbol: str, tick: int, plan: BarPlan) -> int:
    profile = plan.profile
    if tick <= 0:  # an index
        return at.UNKNOWN
    if profile.allowed and symbol not in profile.allowed:
        return at.NOT_ALLOWED
    if symbol in profile.blocked:
        return at.BLOCKED
    return at.MAY if plan.margin_bps > 0 else at.NOT_INTRADAY


def _tally(prepared: Prepared, books: at.Books) -> SessionTally:
    acct, inst, units = books.acct, books.inst, prepared.rules.units
    left = [_carried(inst[row], int(row), prepared)[None, :] for row in books.held[: acct[at.HELD]]]
    trips = np.concatenate([books.trips[: acct[at.CLOSED]], *left])
    charges = to_paise(
        charges_of(units, acct[at.BOUGHT], acct[at.SOLD], acct[at.BROKERAGE], acct[at.SQUARE_OFFS])
    )
    gross = int(trips[:, at.R_GROSS].sum())
    counted = zip(at.DENIALS, books.refusals.tolist(), strict=True)
    return SessionTally(
        net_paise=gross - charges,
        gross_paise=gross,
        charges_paise=charges,
        turnover_paise=int(acct[at.BOUGHT] + acct[at.SOLD]),
        trades=len(trips),
        won=int((trips[:, at.R_GROSS] * NANO > trip_charges_nano(trips, units)).sum()),
        signals=int(acct[at.SIGNALS]),
        drawdown_paise=int(acct[at.DEEPEST]),
        denials=Counter({code: count for code, count in counted if code and count}),
        trips=trips,
        points=books.points,
    )


def trip_charges_nano(trips: Ints, units: Ints) -> Ints:
    """Of each trip, not rounded: int64[k] nano-paise."""
    long = trips[:, at.R_SIGN] > 0
    bought = np.where(long, trips[:, at.R_ENTRY], trips[:, at.R_PAID_EXIT])
    sold = np.where(long, trips[:, at.R_PAID_EXIT], trips[:, at.R_ENTRY])
    return np.asarray(charges_of(units, bought, sold, trips[:, at.R_BROKERAGE], trips[:, at.R_SQUARE_OFFS]))


def trades_of(prepared: Prepared, tally: SessionTally, strategy: str) -> tuple[Trade, ...]:
    """The trips as the exact engine tells them; charges are shared out by the same rule."""
    exact = [Decimal(nano) / NANO for nano in trip_charges_nano(tally.trips, prepared.rules.units).tolist()]
    return tuple(
        Trade(
            session=prepared.bars.session,
            tradingsymbol=prepared.bars.symbols[trip[at.R_ROW]],
            strategy=strategy,
            long=trip[at.R_SIGN] > 0,
            quantity=trip[at.R_SHARES],
            opened_at=trip[at.R_OPENED],
            closed_at=trip[at.R_CLOSED],
            entry_paise=trip[at.R_ENTRY],
            exit_paise=trip[at.R_EXIT],
            gross_paise=trip[at.R_GROSS],
            charges_paise=charges,
            slippage_paise=trip[at.R_SLIPPAGE],
            exit_reason=at.REASONS[trip[at.R_REASON]],
        )
        for trip, charges in zip(tally.trips.tolist(), split_whole(exact), strict=True)
    )


def _carried(one: Ints, row: int, prepared: Prepared) -> Ints:
    """What nothing could close, valued at its last price."""
    made = np.zeros(at.TRADE, dtype=np.int64)
    long = one[at.T_SIGN] > 0
    paid = one[at.T_SOLD] if long else one[at.T_BOUGHT]
    left = abs(one[at.QUANTITY]) * one[at.LAST]
    made[at.R_ROW], made[at.R_SIGN], made[at.R_SHARES] = row, one[at.T_SIGN], one[at.T_SHARES]
    made[at.R_OPENED], made[at.R_CLOSED] = one[at.T_OPENED], prepared.bars.close_at[prepared.tape.rows[-1]]
    made[at.R_ENTRY] = one[at.T_BOUGHT] if long else one[at.T_SOLD]
    made[at.R_EXIT], made[at.R_PAID_EXIT] = paid + left, paid
    unrealised = one[at.QUANTITY] * one[at.LAST] - (one[at.COST] if long else -one[at.COST])
    made[at.R_GROSS] = one[at.T_REALISED] + unrealised
    made[at.R_BROKERAGE], made[at.R_SQUARE_OFFS] = one[at.T_BROKERAGE], one[at.T_SQUARE_OFFS]
    made[at.R_SLIPPAGE], made[at.R_REASON] = one[at.T_SLIPPAGE], at.CARRIED
    return made


def _limits(plan: BarPlan) -> Ints:
    limits = plan.profile.limits
    found = np.zeros(at.LIMITS, dtype=np.int64)
    found[: len(at.LIMIT_NAMES)] = [getattr(limits, name) for name in at.LIMIT_NAMES]
    found[at.L_STALE_NS] = round(limits.stale_quote_s * NS)
    found[at.L_MARGIN_BPS], found[at.L_CAPITAL] = plan.margin_bps, plan.capital_paise
    found[at.L_PARTICIPATION] = plan.fills.participation_bps
    found[at.L_SLICE_VALUE] = plan.broker.slice_value_rupees * 100
    found[at.L_SLICE_QUANTITY] = plan.broker.freeze_quantity
    found[at.L_SIZING], found[at.L_SIZE] = _size(plan)
    return found


def _size(plan: BarPlan) -> tuple[int, int]:
    given = plan.profile.sizing.parameters
    match plan.profile.sizing.method:
        case "fixed_quantity":
            return at.BY_SHARES, given["shares"]
        case "fixed_notional":
            return at.BY_NOTIONAL, given["notional_paise"]
        case _:
            return at.BY_STOP, given["capital_paise"] * given.get("risk_bps", 25) // BPS
