"""Bars that say more than was known at their time, before any feature looks at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from research.bars import MINUTE_NS, SessionBars
from research.labels.port import carried_close
from research.leaks.altered import GRIDS
from research.leaks.catalogue.entry import Entry
from research.leaks.data_checks import Action
from research.leaks.gate import Trial
from research.leaks.proving_ground import proving_sessions

FACTOR = 5


def split_market(seed: int, sessions: int = 4) -> tuple[tuple[SessionBars, ...], tuple[Action, ...]]:
    """One instrument is split before the third session: raw prices, and the table that says so."""
    bars = list(proving_sessions(seed, sessions))
    for number in range(2):
        bars[number] = times(bars[number], 1, FACTOR)
    on_the_day = bars[2].previous_close_paise.copy()
    bars[2] = replace(bars[2], previous_close_paise=on_the_day)
    return tuple(bars), (Action(bars[2].symbols[1], bars[2].session, float(FACTOR)),)


def times(bars: SessionBars, j: int, factor: int) -> SessionBars:
    """One instrument's prices multiplied."""
    previous = bars.previous_close_paise.copy()
    previous[j] *= factor
    by = np.ones(len(bars.symbols), dtype=np.int64)
    by[j] = factor
    return replace(
        bars,
        previous_close_paise=previous,
        open=bars.open * by,
        high=bars.high * by,
        low=bars.low * by,
        close=bars.close * by,
    )


def moved(bars: SessionBars, minutes: int) -> SessionBars:
    """Every bar under another label."""
    return replace(bars, close_at=bars.close_at + minutes * MINUTE_NS)


def _one_instrument_early(bars: SessionBars) -> SessionBars:
    """The bar of the next minute under this minute's label, for one instrument."""
    columns = {name: getattr(bars, name).copy() for name in GRIDS}
    for name in GRIDS:
        columns[name][:-1, 1] = columns[name][1:, 1]
    return replace(bars, **columns)


def _five_minutes_repeated(bars: SessionBars) -> SessionBars:
    """Bars of five minutes, each shown in all of its minutes."""
    first = np.arange(len(bars.close_at)) // 5 * 5
    last = np.minimum(first + 4, len(first) - 1)
    present = np.maximum.reduceat(bars.present, np.unique(first), axis=0)[first // 5]
    columns: dict[str, npt.NDArray[Any]] = {
        "open": bars.open[first],
        "close": carried_close(bars)[last],
        "high": np.maximum.reduceat(bars.high, np.unique(first), axis=0)[first // 5],
        "low": np.where(bars.present, bars.low, 2**40),
        "volume": np.add.reduceat(bars.volume, np.unique(first), axis=0)[first // 5],
    }
    columns["low"] = np.minimum.reduceat(columns["low"], np.unique(first), axis=0)[first // 5]
    shown: dict[str, Any] = {name: np.where(present, column, 0) for name, column in columns.items()}
    return replace(bars, present=present, **shown)


def _divided_by_a_later_split(seed: int) -> Trial:
    bars, actions = split_market(seed)
    return Trial(proving_sessions(seed, len(bars)), actions=actions)


def _those_still_there(seed: int) -> Trial:
    """The data hold the instruments of the last day; one that was listed until the second is not there."""
    bars = proving_sessions(seed)
    gone_after = bars[1].session

    def listed(day: date) -> frozenset[str]:
        there = set(bars[0].symbols)
        return frozenset(there | {"DELISTED"} if day <= gone_after else there)

    return Trial(bars, listed=listed)


def _chosen_by_what_came(seed: int) -> Trial:
    """The three that moved most over all sessions are traded in each of them."""

    def choose(sessions: Sequence[SessionBars]) -> list[frozenset[str]]:
        moved_by = np.abs(np.log(carried_close(sessions[-1])[-1] / sessions[0].previous_close_paise))
        best = frozenset(sessions[0].symbols[j] for j in np.argsort(-moved_by)[:3])
        return [best for _ in sessions]

    return Trial(proving_sessions(seed), choose=choose)


def _entry(name: str, says: str, change: Callable[[SessionBars], SessionBars], caught_by: str) -> Entry:
    def trial(seed: int) -> Trial:
        return Trial(tuple(change(bars) for bars in proving_sessions(seed)))

    return Entry(name, says, trial, frozenset({caught_by}))


DATA_LEAKS: tuple[Entry, ...] = (
    _entry(
        "labelled_by_the_start", "bars under the minute they begin", lambda bars: moved(bars, -1), "bar_label"
    ),
    _entry(
        "one_instrument_a_minute_early",
        "one instrument's bars a minute before those of the others",
        _one_instrument_early,
        "bar_label",
    ),
    _entry(
        "five_minutes_repeated",
        "five-minute bars shown in each of their minutes",
        _five_minutes_repeated,
        "resampled",
    ),
    Entry(
        "divided_by_a_later_split",
        "prices adjusted for a split before it was known",
        _divided_by_a_later_split,
        frozenset({"adjustment"}),
    ),
    Entry(
        "those_still_there",
        "only names that are listed today",
        _those_still_there,
        frozenset({"survivorship"}),
    ),
    Entry(
        "chosen_by_what_came",
        "trades those that moved most, as is known afterwards",
        _chosen_by_what_came,
        frozenset({"survivorship"}),
    ),
)
