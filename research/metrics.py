"""The usual figures of a backtest, from its round trips and its curve. Each says what it divides by.

    measure(outcome) -> Metrics

Returns are daily net P&L over the capital, not compounded: intraday positions start every day anew. Figures
that need more data than there is are NaN, never 0.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from research.outcome import Curve, Outcome, Trade

Floats = npt.NDArray[np.float64]

SESSIONS_A_YEAR = 250  # NSE trades 245 to 250 days a year
BPS = 10_000.0
NS_PER_MINUTE = 60_000_000_000


@dataclass(frozen=True)
class Metrics:
    """Amounts in paise, ratios without unit, `_bps` of the value traded. NaN: cannot be said."""

    sessions: int
    trades: int
    gross_paise: int
    charges_paise: int
    slippage_paise: int
    net_paise: int
    return_on_capital: float
    turnover_paise: int  # bought and sold
    charges_bps: float  # of turnover
    slippage_bps: float
    break_even_bps: float  # what a round trip must earn per rupee entered to pay its charges
    win_rate: float  # of trades, after charges
    profit_factor: float  # sum of wins over sum of losses, after charges
    average_win_paise: float
    average_loss_paise: float
    expectancy_bps: float  # net per trade over its entry value
    holding_minutes: float  # mean
    sharpe: float  # annual, of daily net returns
    sharpe_error: float  # one standard error of it (Lo 2002, independent returns)
    sortino: float
    t_statistic: float  # of the mean daily net P&L against zero
    winning_sessions: float
    worst_session_paise: int
    best_session_paise: int
    drawdown_paise: int  # deepest fall of the net curve from its peak
    drawdown_minutes: int  # session minutes the longest stay below a peak took
    exposure_share: float  # of minutes with a position
    peak_exposure_paise: int

    def as_json(self) -> dict[str, float | int | None]:
        """Plain numbers; what cannot be said is null."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def measure(outcome: Outcome) -> Metrics:
    """All figures of one outcome."""
    trades = outcome.trades
    net = np.array([trade.net_paise for trade in trades], dtype=np.float64)
    wins, losses = net[net > 0], net[net < 0]
    turnover = sum(trade.entry_paise + trade.exit_paise for trade in trades)
    entered = np.array([trade.entry_paise for trade in trades], dtype=np.float64)
    slippage = sum(trade.slippage_paise for trade in trades)
    daily = daily_net(outcome)
    returns = daily / outcome.capital_paise
    deepest, longest = drawdown(outcome.curve)
    sharpe = sharpe_ratio(returns)
    return Metrics(
        sessions=len(outcome.sessions),
        trades=len(trades),
        gross_paise=outcome.gross_paise,
        charges_paise=outcome.charges_paise,
        slippage_paise=slippage,
        net_paise=outcome.net_paise,
        return_on_capital=outcome.net_paise / outcome.capital_paise,
        turnover_paise=turnover,
        charges_bps=ratio(outcome.charges_paise * BPS, turnover),
        slippage_bps=ratio(slippage * BPS, turnover),
        break_even_bps=ratio(outcome.charges_paise * BPS, float(entered.sum())),
        win_rate=ratio(len(wins), len(trades)),
        profit_factor=ratio(float(wins.sum()), float(-losses.sum())),
        average_win_paise=mean(wins),
        average_loss_paise=mean(losses),
        expectancy_bps=mean(net / entered * BPS),
        holding_minutes=mean(np.array([held_minutes(trade) for trade in trades])),
        sharpe=sharpe,
        sharpe_error=sharpe_error(sharpe, len(daily)),
        sortino=sortino_ratio(returns),
        t_statistic=sharpe * math.sqrt(len(daily) / SESSIONS_A_YEAR),
        winning_sessions=ratio(int((daily > 0).sum()), len(daily)),
        worst_session_paise=int(daily.min()) if len(daily) else 0,
        best_session_paise=int(daily.max()) if len(daily) else 0,
        drawdown_paise=deepest,
        drawdown_minutes=longest,
        exposure_share=mean((outcome.curve.positions > 0).astype(np.float64)),
        peak_exposure_paise=int(outcome.curve.exposure_paise.max()) if len(outcome.curve.at) else 0,
    )


def daily_net(outcome: Outcome) -> Floats:
    """float64[sessions]: net paise of each traded session, 0 where nothing was traded."""
    by_day: defaultdict[date, int] = defaultdict(int)
    for trade in outcome.trades:
        by_day[trade.session] += trade.net_paise
    return np.array([by_day[day] for day in outcome.sessions], dtype=np.float64)


def sharpe_ratio(returns: Floats) -> float:
    """Annual Sharpe ratio of daily returns (no risk-free rate: nothing is held overnight)."""
    if len(returns) < 2:
        return math.nan
    return ratio(float(returns.mean()), float(returns.std(ddof=1))) * math.sqrt(SESSIONS_A_YEAR)


def sharpe_error(sharpe: float, count: int) -> float:
    """Standard error of an annual Sharpe ratio from `count` independent days.

    Lo (2002), The Statistics of Sharpe Ratios: sqrt((1 + SR^2 / 2) / T) for the daily ratio.
    """
    if count < 2:
        return math.nan
    daily = sharpe / math.sqrt(SESSIONS_A_YEAR)
    return math.sqrt((1.0 + daily * daily / 2.0) / count) * math.sqrt(SESSIONS_A_YEAR)


def sortino_ratio(returns: Floats) -> float:
    """Annual: mean over the root mean square of the losing days, all days counted."""
    if len(returns) < 2:
        return math.nan
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return ratio(float(returns.mean()), downside) * math.sqrt(SESSIONS_A_YEAR)


def drawdown(curve: Curve) -> tuple[int, int]:
    """(deepest fall of the net curve from its peak in paise, most curve points in a row below a peak).

    The peak before the first point is 0: a curve that only falls has fallen by all of it.
    """
    under = below_peak(curve.net_paise)
    if not len(under):
        return 0, 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (under > 0).astype(np.int8), [0]])))
    longest = int((edges[1::2] - edges[::2]).max()) if len(edges) else 0
    return int(under.max()), longest


def below_peak(net_paise: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """int64[k]: how far each point is below the highest so far, at least 0."""
    under: npt.NDArray[np.int64] = np.maximum(np.maximum.accumulate(net_paise), 0) - net_paise
    return under


def held_minutes(trade: Trade) -> float:
    """From the first fill to the last."""
    return (trade.closed_at - trade.opened_at) / NS_PER_MINUTE


def ratio(above: float, below: float) -> float:
    """`above / below`, NaN where there is nothing to divide by."""
    return above / below if below else math.nan


def mean(values: Floats) -> float:
    """NaN of nothing."""
    return float(values.mean()) if len(values) else math.nan
