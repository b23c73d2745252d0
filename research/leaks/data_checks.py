"""Bars before any feature: do they say only what was known at their time?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kitepilot.market import calendar
from kitepilot.market.calendar import CalendarError, ist_ns
from research.bars import SessionBars
from research.labels.port import carried_close
from research.leaks.altered import PRICES, another_market
from research.leaks.comparing import clock, failed, passed, skipped, where
from research.leaks.report import Finding, Where

Floats = npt.NDArray[np.float64]
#: Which symbols were listed (or on the watchlist) when a session began.
Listed = Callable[[date], frozenset[str]]
#: Consecutive sessions -> the symbols chosen for each of them.
Choose = Callable[[Sequence[SessionBars]], list[frozenset[str]]]

REGULAR = ("09:15", "15:30")
MOVES_TOGETHER = 0.25  # correlation with the others, a minute off, from which it is no chance
MORE_THAN_NOW = 0.15  # and so much above the correlation in the same minute
FEW_RETURNS = 60
REPEATED = 0.2  # share of minutes that repeat the one before, volume and all
HALF_THE_JUMP = 0.5


class Action(NamedTuple):
    """A split or bonus: before `ex_date` the price was `factor` times what it is from then on."""

    symbol: str
    ex_date: date
    factor: float


def bar_label(sessions: Sequence[SessionBars]) -> Iterator[Finding]:
    """Every minute ends inside its session; no instrument runs a minute before or behind the others."""
    for bars in sessions:
        opens, closes = _hours(bars.session)
        shown = np.flatnonzero(bars.present.any(axis=1))
        outside = shown[(bars.close_at[shown] <= opens) | (bars.close_at[shown] > closes)]
        if len(outside):
            row = int(outside[0])
            side = "at or before the open" if bars.close_at[row] <= opens else "after the close"
            what = f"a bar ends at {clock(bars, row)}, {side}: bars are labelled by their end"
            j = int(bars.present[row].argmax())
            line = f"bars.close_at[{row}] of {bars.session}"
            yield failed("bar_label", "bars", what, where(bars, row, j), line)
            return
    off = _minute_off(sessions)
    if off is not None:
        yield off
        return
    yield passed(
        "bar_label", "bars", f"{len(sessions)} sessions: every bar ends in its session, none runs ahead"
    )


def _hours(day: date) -> tuple[int, int]:
    """Open and close, ns UTC; the regular ones for a day that the calendar does not cover."""
    try:
        found = calendar.session(day, allow_special=True)
    except CalendarError:
        return ist_ns(day, REGULAR[0]), ist_ns(day, REGULAR[1])
    return found.open_at, found.close_at


def _minute_off(sessions: Sequence[SessionBars]) -> Finding | None:
    """An instrument whose returns follow or lead those of the others by a minute."""
    together: dict[str, list[Floats]] = {}
    for bars in sessions:
        if len(bars.symbols) < 3 or len(bars.close_at) < 4:
            continue
        returns = _returns(bars)
        with np.errstate(invalid="ignore"):
            total, count = np.nansum(returns, axis=1), np.isfinite(returns).sum(axis=1)
        for j, symbol in enumerate(bars.symbols):
            own = returns[:, j]
            others = (total - np.nan_to_num(own)) / np.maximum(count - np.isfinite(own), 1)
            lagged = np.stack([own[1:-1], others[:-2], others[1:-1], others[2:]])
            together.setdefault(symbol, []).append(lagged[:, np.isfinite(lagged).all(axis=0)])
    for symbol, parts in together.items():
        own, before, now, after = np.concatenate(parts, axis=1)
        if len(own) < FEW_RETURNS or not np.ptp(own):
            continue
        with np.errstate(invalid="ignore"):
            lag, same, lead = (float(np.corrcoef(own, each)[0, 1]) for each in (before, now, after))
        for words, found in (("a minute behind", lag), ("a minute ahead of", lead)):
            if found > MOVES_TOGETHER and found > same + MORE_THAN_NOW:
                what = (
                    f"runs {words} the others: correlation {found:.2f} there, {same:.2f} in the same minute"
                )
                line = f"returns of {symbol} against the mean of the others, a minute apart"
                return failed("bar_label", "bars", what, Where(symbol), line)
    return None


def _returns(bars: SessionBars) -> Floats:
    price = np.where(bars.present, bars.close, np.nan).astype(np.float64)
    found = np.full(price.shape, np.nan)
    found[1:] = np.log(price[1:] / price[:-1])
    return found


def resampled(sessions: Sequence[SessionBars]) -> Iterator[Finding]:
    """Minutes with trades that repeat the minute before are parts of a longer bar."""
    repeated: dict[str, list[int]] = {}
    for bars in sessions:
        same = bars.present[1:] & bars.present[:-1] & (bars.volume[1:] > 0)
        for name in (*PRICES, "volume"):
            column = getattr(bars, name)
            same &= column[1:] == column[:-1]
        for symbol, repeats, pairs in zip(
            bars.symbols, same.sum(axis=0), (bars.volume[1:] > 0).sum(axis=0), strict=True
        ):
            counts = repeated.setdefault(symbol, [0, 0])
            counts[0] += int(repeats)
            counts[1] += int(pairs)
    for symbol, (repeats, pairs) in repeated.items():
        if pairs >= FEW_RETURNS and repeats > REPEATED * pairs:
            what = f"{repeats} of {pairs} minutes with trades repeat the minute before, price and volume"
            line = f"{symbol}: bars[i] == bars[i - 1]"
            yield failed("resampled", "bars", what, Where(symbol), line)
            return
    yield passed("resampled", "bars", "every minute with trades is its own")


def adjustment(sessions: Sequence[SessionBars], actions: Sequence[Action] | None) -> Iterator[Finding]:
    """A split that lies between two sessions shows in their prices: it was not known the day before."""
    if actions is None:
        yield skipped("adjustment", "bars", "no table of splits and bonuses was given")
        return
    seen = 0
    for before, bars in pairwise(sessions):
        for action in actions:
            inside = before.session < action.ex_date <= bars.session and action.factor != 1.0
            if not inside or action.symbol not in before.symbols or action.symbol not in bars.symbols:
                continue
            earlier, j = before.symbols.index(action.symbol), bars.symbols.index(action.symbol)
            last = int(carried_close(before)[-1, earlier])
            first = int(bars.open[int(bars.present[:, j].argmax()), j])
            if not last or not first:
                continue
            seen += 1
            jump = last / first
            if math.log(jump) / math.log(action.factor) < HALF_THE_JUMP:
                what = (
                    f"the price before {action.ex_date} is {jump:.2f} times the price after, by the split "
                    f"it is {action.factor:g} times: earlier prices were divided by it before it was known"
                )
                line = f"last close {last} of {before.session}, first open {first} of {bars.session}"
                at = Where(action.symbol, before.session.isoformat())
                yield failed("adjustment", "bars", what, at, line)
                return
    yield passed(
        "adjustment", "bars", f"{seen} splits in these sessions, each seen on its day and not before"
    )


def survivorship(
    sessions: Sequence[SessionBars],
    listed: Listed | None,
    choose: Choose | None,
    rng: np.random.Generator,
) -> Iterator[Finding]:
    """The list of a session is what was known before it; a choice does not change with what comes after."""
    if listed is None and choose is None:
        yield skipped("survivorship", "bars", "no list of what was listed on each day was given")
        return
    for number, bars in enumerate(sessions):
        if listed is not None:
            known = listed(bars.session)
            gone = sorted(known - set(bars.symbols))
            if gone:
                what = f"{len(gone)} of {len(known)} that were listed are not in the data, {gone[0]} first"
                at = Where(gone[0], bars.session.isoformat())
                yield failed("survivorship", "bars", what, at, f"listed({bars.session}) - bars.symbols")
                return
        if choose is not None:
            other = [*sessions[:number], *(another_market(later, rng) for later in sessions[number:])]
            was, now = choose(sessions)[number], choose(other)[number]
            if was != now:
                changed = sorted(was ^ now)
                what = f"the choice changes with bars of its session or later ones, {changed[0]} first"
                at = Where(changed[0], bars.session.isoformat())
                yield failed("survivorship", "bars", what, at, f"choose(sessions)[{number}]")
                return
    yield passed("survivorship", "bars", f"{len(sessions)} sessions: the list was known before each")
