"""One session of bars -> what it came to, minute by minute (docs/reference/backtest-fills.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from kitepilot.events import FundsMarked, Marked, RunStarted, SessionEvent, SignalRaised
from kitepilot.market.calendar import to_ist
from kitepilot.orders.intents import signal_id
from kitepilot.risk.exposure import charges_paise, valued
from kitepilot.strategies.port import MarketView, Strategy, Wish
from research.bar_engine.desk import BarDesk, Listener, silent
from research.bar_engine.features import note_what_is_missing, with_modelled_spread
from research.bar_engine.plan import BarPlan
from research.bar_engine.terms import SessionTerms, terms_of
from research.bar_engine.time_limit import TimeLimit
from research.bar_engine.venue import BarVenue, Minute
from research.bars import MINUTE_NS, SessionBars
from research.fills.in_bar import touch
from research.fills.quotes import locked_sides, quotes_of
from research.outcome import Curve, Trade

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
NS = 1_000_000_000
MINUTE_S = 60
OPEN, STOP, PROFIT = 1, 4, 5  # seconds into the minute: they say the order of events, no more
RETRIES = (2, 3)
LATE_RETRIES = (6, 7)
MARKET, RESEARCH = "market-0", "research"


@dataclass(frozen=True, eq=False)
class SessionResult:
    """What one session came to. `curve` has a point per minute; P&L in paise since the session's open."""

    session: date
    trades: tuple[Trade, ...]
    charges: dict[str, int]
    curve: Curve
    denials: Counter[str]
    signals: int
    bars: int
    noted: Counter[str]
    complaints: tuple[str, ...]  # strategies that failed, positions that stayed
    states: tuple[str, ...]
    symbols: tuple[str, ...]  # with a bar


@dataclass
class _Points:
    rows: list[tuple[int, int, int, int, int]] = field(default_factory=list)

    def curve(self) -> Curve:
        table = np.array(self.rows, dtype=np.int64).reshape(-1, 5)
        return Curve(*(np.ascontiguousarray(table[:, column]) for column in range(5)))


def trade_session(plan: BarPlan, bars: SessionBars, listener: Listener = silent) -> SessionResult:
    """Trade one session. `listener` hears each signal and what the risk fold says, as it happens.

    Raises:
        CalendarError: NSE was closed that day, or open for a special session that is not asked for.
    """
    noted: Counter[str] = Counter()
    strategies = plan.make_strategies()
    terms = terms_of(bars, plan, tuple(strategies), noted)
    return _SessionTrader(plan, bars, terms, strategies, noted, listener).run()


class _SessionTrader:
    def __init__(
        self,
        plan: BarPlan,
        bars: SessionBars,
        terms: SessionTerms,
        strategies: Mapping[str, Strategy],
        noted: Counter[str],
        listener: Listener,
    ) -> None:
        self._plan, self._bars, self._terms, self._noted = plan, bars, terms, noted
        self._strategies = dict(strategies)
        self._tokens: list[int] = bars.tokens.tolist()
        self._row_of = {token: row for row, token in enumerate(self._tokens)}
        self._ticks: list[int] = bars.tick_size_paise.tolist()
        self._last, self._bid, self._ask = quotes_of(bars, plan.fills.half_spread_bps)
        self._features = _features(plan, bars, self._bid, self._ask)
        self._scores = plan.scores(bars, self._features) if plan.scores is not None else {}
        note_what_is_missing(self._features, plan.features.names, strategies, noted, self._scores)
        self._run_id = f"bars-{bars.session:%Y%m%d}"
        self._locked = locked_sides(bars)
        self._venue = venue = BarVenue(plan, self._run_id, self._row_of, self._ticks, noted)
        self._desk = BarDesk(bars.session, terms, venue, self._row_of, self._ticks, listener)
        self._seq: Counter[str] = Counter()
        self._points = _Points()
        self._signals = 0
        self._complaints: list[str] = []
        self._limit = TimeLimit(plan.limit_s)
        self._shown: list[bool] = np.any(bars.present, axis=1).tolist()
        self._whole: list[bool] = np.all(bars.present, axis=1).tolist()

    def run(self) -> SessionResult:
        self._desk.take(self._announced())
        with self._limit:
            for row in self._terms.rows:
                self._minute(row)
        self._close_books()
        trades, charges = self._desk.books.trades()
        return SessionResult(
            session=self._bars.session,
            trades=trades,
            charges=charges,
            curve=self._points.curve(),
            denials=self._desk.denials,
            signals=self._signals,
            bars=self._bars.bars,
            noted=self._noted,
            complaints=tuple(self._complaints),
            states=tuple(self._desk.states),
            symbols=tuple(self._bars.symbols[row] for row in np.flatnonzero(self._bars.present.any(axis=0))),
        )

    def _announced(self) -> list[SessionEvent]:
        parameters = self._terms.parameters
        before = parameters.open_at - 30 * MINUTE_NS
        return [
            RunStarted(
                **self._head(RESEARCH, before),
                run_id=self._run_id,
                mode="paper",
                config_hash=self._plan.config_hash,
                parameters=parameters,
            ),
            FundsMarked(
                **self._head(RESEARCH, before),
                run_id=self._run_id,
                available_paise=self._plan.capital_paise,
                used_paise=0,
            ),
        ]

    # --- one minute, step by step ---------------------------------------------------------------------

    def _minute(self, i: int) -> None:
        bars, desk = self._bars, self._desk
        begins = int(bars.close_at[i]) - MINUTE_NS
        if not self._shown[i]:
            self._silence(begins)
            return
        if self._venue.waiting or desk.desk.holdings:
            minute = Minute(
                open=bars.open[i].tolist(),
                high=bars.high[i].tolist(),
                low=bars.low[i].tolist(),
                volume=bars.volume[i].tolist(),
                tradable=self._terms.tradable[i].tolist(),
                locked=self._locked[i].tolist(),
            )
            if self._venue.waiting:
                desk.take(self._venue.meet(minute, {}, begins + OPEN * NS))
            self._broker(minute, begins)
            self._retry(minute, begins, RETRIES, {})
            met = self._trigger(i, minute, begins + STOP * NS, profit=False)
            met |= self._trigger(i, minute, begins + PROFIT * NS, profit=True)
            if met:
                self._retry(minute, begins, LATE_RETRIES, met)
            desk.take(self._venue.rest(minute, begins + MINUTE_NS - 1))
        self._close(i)
        self._ask_strategies(i)

    def _silence(self, begins: int) -> None:
        """A minute nobody has recorded: what was sent into it is lost, and nobody decides anything."""
        if self._venue.waiting:
            nothing = [0] * len(self._tokens)
            minute = Minute(nothing, nothing, nothing, nothing, [False] * len(nothing), nothing)
            self._desk.take(self._venue.meet(minute, {}, begins + OPEN * NS))

    def _broker(self, minute: Minute, begins: int) -> None:
        """Past its own time the broker closes what is still open."""
        desk = self._desk.desk
        for token in list(desk.holdings):
            row = self._row_of[token]
            if begins >= self._terms.broker_at[row] and minute.tradable[row]:
                held = desk.position(token).quantity
                symbol = self._bars.symbols[row]
                self._desk.take(self._venue.square_off(minute, token, symbol, held, begins + OPEN * NS))

    def _retry(
        self, minute: Minute, begins: int, seconds: tuple[int, ...], references: dict[int, int]
    ) -> None:
        """Exits that did not fill come again, a rung up."""
        for second in seconds:
            again = {
                token: references.get(token, minute.open[self._row_of[token]])
                for token in self._desk.leaving()
                if minute.tradable[self._row_of[token]]
            }
            if not again:
                return
            self._mark_at(again, begins + second * NS)
            self._desk.take(self._venue.meet(minute, again, begins + second * NS))

    def _trigger(self, i: int, minute: Minute, at: int, *, profit: bool) -> dict[int, int]:
        """Positions whose stop (or profit) the bar reaches leave there. Token -> the price it was met at."""
        triggers = self._desk.triggers
        met: dict[int, int] = {}
        for row in triggers.rows(profit, self._bars.high[i], self._bars.low[i]):
            if not minute.tradable[row]:
                continue
            price, opened = triggers.price(row, profit), minute.open[row]
            rising = triggers.above[int(profit), row] == price
            past = opened >= price if rising else opened <= price
            met[self._tokens[row]] = opened if past else price
        if met:
            self._mark_at(met, at)
            self._desk.take(self._venue.meet(minute, met, at))
        return met

    def _mark_at(self, prices: dict[int, int], at: int) -> None:
        """Some instruments are shown to trade at these prices inside the minute."""
        quotes = [self._touch(token, price) for token, price in prices.items()]
        self._desk.take(
            [
                Marked(
                    **self._head(MARKET, at),
                    received_at=0,
                    tokens=list(prices),
                    last_paise=list(prices.values()),
                    bid_paise=[bid for bid, _ in quotes],
                    ask_paise=[ask for _, ask in quotes],
                    quoted_at=[at] * len(prices),
                )
            ]
        )

    def _touch(self, token: int, price: int) -> tuple[int, int]:
        return touch(price, self._plan.fills.half_spread_bps, self._ticks[self._row_of[token]])

    def _close(self, i: int) -> None:
        present = slice(None) if self._whole[i] else self._bars.present[i]
        at = int(self._bars.close_at[i])
        tokens: list[int] = self._bars.tokens[present].tolist()
        mark = Marked(
            **self._head(MARKET, at),
            received_at=0,
            tokens=tokens,
            last_paise=self._last[i][present].tolist(),
            bid_paise=self._bid[i][present].tolist(),
            ask_paise=self._ask[i][present].tolist(),
            quoted_at=[at] * len(tokens),
        )
        self._desk.take([mark])
        state = self._desk.desk
        value = valued(state)
        gross = state.realised_paise + value.unrealised_paise
        point = (at, gross, gross - charges_paise(state), value.exposure_paise, len(state.holdings))
        self._points.rows.append(point)

    # --- strategies -----------------------------------------------------------------------------------

    def _ask_strategies(self, i: int) -> None:
        if not self._strategies:
            return
        view = MarketView(
            interval_s=MINUTE_S,
            close_at=int(self._bars.close_at[i]),
            tokens=self._bars.tokens,
            tradingsymbols=self._bars.symbols,
            names=self._plan.features.names,
            features=self._features[i],
            scores={name: said[i] for name, said in self._scores.items()},
            last_paise=self._last[i],
            bid_paise=self._bid[i],
            ask_paise=self._ask[i],
        )
        for name, strategy in list(self._strategies.items()):
            try:
                wishes = self._limit.ask(strategy.on_close, view)
                signals = [self._signal(name, strategy, wish, view) for wish in wishes]
            except Exception as err:  # a user's code: the others and the day go on
                del self._strategies[name]
                self._complaints.append(self._failure(name, view, err))
                continue
            self._signals += len(signals)
            self._desk.take(signals)

    def _failure(self, name: str, view: MarketView, err: Exception) -> str:
        when = to_ist(view.close_at)
        return (
            f"strategy {name} is off from {when:%Y-%m-%d %H:%M} to that session's end, at the close of "
            f"{len(view.tokens)} instruments from {view.tradingsymbols[0]} on: {type(err).__name__}: {err}"
        )

    def _signal(self, name: str, strategy: Strategy, wish: Wish, view: MarketView) -> SignalRaised:
        row = wish.row
        token = self._tokens[row]
        return SignalRaised(
            **self._head(MARKET, view.close_at),
            signal_id=signal_id(name, token, MINUTE_S, view.close_at),
            strategy=name,
            token=token,
            tradingsymbol=view.tradingsymbols[row],
            side=wish.side,
            strength=wish.strength,
            interval_s=MINUTE_S,
            bar_close_at=view.close_at,
            horizon_s=wish.horizon_s,
            stop_bps=wish.stop_bps,
            take_profit_bps=wish.take_profit_bps,
            last_paise=int(view.last_paise[row]),
            bid_paise=int(view.bid_paise[row]),
            ask_paise=int(view.ask_paise[row]),
            features=dict(zip(view.names, view.features[row].tolist(), strict=True)),
            scores={model: float(said[row]) for model, said in view.scores.items()},
            received_at=0,
            rests_on=getattr(strategy, "rests_on", ()),
        )

    def _close_books(self) -> None:
        """What nothing could close is valued at its last price, and said so."""
        state = self._desk.desk
        for token in self._desk.books.open_tokens:
            held = state.position(token).quantity
            symbol = self._bars.symbols[self._row_of[token]]
            self._complaints.append(
                f"{self._bars.session} {symbol}: {held} shares could not be closed: valued at the "
                "last price, what delivery or the exchange's auction costs is not in the result"
            )
            self._desk.books.carried(token, state.mark(token), int(self._bars.close_at[self._terms.rows[-1]]))

    def _head(self, source: str, at: int) -> dict[str, Any]:
        seq = self._seq[source]
        self._seq[source] = seq + 1
        return {"source": source, "seq": seq, "event_at": at}


def _features(plan: BarPlan, bars: SessionBars, bid: Ints, ask: Ints) -> Floats:
    """float64[m, n, F]."""
    names = plan.features.names
    if plan.features.of is None:
        return np.full((len(bars.close_at), len(bars.symbols), len(names)), np.nan)
    return with_modelled_spread(plan.features.of(bars), names, bid, ask)
