"""A backtest's trades summed up by what they have in common: hour, instrument, session, way out, fold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from kitepilot.market.calendar import IST
from research.outcome import Outcome, Trade

Key = TypeVar("Key", bound=Hashable)
NS = 1_000_000_000
HALF_HOUR_S = 1_800
FIRST_S = 9 * 3_600 + 15 * 60  # half hours are counted from the open


@dataclass(slots=True)
class Tally:
    """Trades of one kind; amounts in paise."""

    trades: int = 0
    wins: int = 0
    gross_paise: int = 0
    charges_paise: int = 0
    slippage_paise: int = 0
    entered_paise: int = 0

    @property
    def net_paise(self) -> int:
        return self.gross_paise - self.charges_paise

    @property
    def win_rate(self) -> float:
        return self.wins / self.trades

    def add(self, trade: Trade) -> None:
        self.trades += 1
        self.wins += trade.net_paise > 0
        self.gross_paise += trade.gross_paise
        self.charges_paise += trade.charges_paise
        self.slippage_paise += trade.slippage_paise
        self.entered_paise += trade.entry_paise

    def as_json(self) -> dict[str, int]:
        return {
            "trades": self.trades,
            "wins": self.wins,
            "gross_paise": self.gross_paise,
            "charges_paise": self.charges_paise,
            "slippage_paise": self.slippage_paise,
            "net_paise": self.net_paise,
        }


def tally(trades: Iterable[Trade], by: Callable[[Trade], Key]) -> dict[Key, Tally]:
    """Sums by key, in order of first appearance. Every trade is in exactly one."""
    found: defaultdict[Key, Tally] = defaultdict(Tally)
    for trade in trades:
        found[by(trade)].add(trade)
    return dict(found)


def half_hour(trade: Trade) -> str:
    """The half hour since 09:15 IST the trade was opened in, by its beginning: `09:45`."""
    at = datetime.fromtimestamp(trade.opened_at // NS, UTC).astimezone(IST)
    second = at.hour * 3_600 + at.minute * 60 + at.second
    begin = second - (second - FIRST_S) % HALF_HOUR_S
    return f"{begin // 3_600:02d}:{begin % 3_600 // 60:02d}"


def by_half_hour(outcome: Outcome) -> dict[str, Tally]:
    return dict(sorted(tally(outcome.trades, half_hour).items()))


def by_instrument(outcome: Outcome) -> dict[str, Tally]:
    """Best first."""
    found = tally(outcome.trades, lambda trade: trade.tradingsymbol)
    return dict(sorted(found.items(), key=lambda item: (-item[1].net_paise, item[0])))


def by_exit(outcome: Outcome) -> dict[str, Tally]:
    return dict(sorted(tally(outcome.trades, lambda trade: trade.exit_reason).items()))


def by_side(outcome: Outcome) -> dict[str, Tally]:
    return dict(sorted(tally(outcome.trades, lambda trade: "long" if trade.long else "short").items()))


def by_strategy(outcome: Outcome) -> dict[str, Tally]:
    return dict(sorted(tally(outcome.trades, lambda trade: trade.strategy).items()))


def by_fold(outcome: Outcome) -> dict[int, Tally]:
    """Empty where the result has no folds."""
    if not outcome.folds:
        return {}
    return dict(sorted(tally(outcome.trades, lambda trade: outcome.folds.get(trade.session, -1)).items()))
