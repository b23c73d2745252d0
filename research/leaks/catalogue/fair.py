"""Honest things, some of which look like leaks: every check must pass on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import time

import numpy as np
import numpy.typing as npt

from research.bars import SessionBars
from research.examples import Examples
from research.labels import ChargedCost, FixedHorizon, MetaLabel, TripleBarrier
from research.labels.port import Label
from research.leaks.catalogue.data_leaks import split_market
from research.leaks.catalogue.entry import HORIZON_MIN, Entry, back, feature, filled, price, rolling
from research.leaks.catalogue.pipeline_leaks import fitted, scaled_by, trial_of
from research.leaks.catalogue.row_leaks import EMBARGO_NS, by_session, honest_rows
from research.leaks.gate import Trial
from research.leaks.proving_ground import proving_sessions
from research.leaks.subjects import over_sessions

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def past_return(bars: SessionBars) -> Floats:
    return price(bars) / back(price(bars), 5) - 1


past_return.warmup = 6  # type: ignore[attr-defined]
past_return.reach = 6  # type: ignore[attr-defined]


def rolling_z_score(bars: SessionBars) -> Floats:
    window = rolling(price(bars), 15)
    found = (price(bars) - np.nanmean(window, axis=2)) / np.nanstd(window, axis=2)
    found[:14] = np.nan
    return np.asarray(found)


rolling_z_score.warmup = 15  # type: ignore[attr-defined]
rolling_z_score.reach = 15  # type: ignore[attr-defined]


def rank_of_the_past_return(bars: SessionBars) -> Floats:
    """Rank among all instruments in the same minute."""
    values = past_return(bars)
    order = np.where(np.isnan(values), np.inf, values).argsort(axis=1, kind="stable").argsort(axis=1)
    return np.where(np.isnan(values), np.nan, order / np.maximum(np.isfinite(values).sum(axis=1), 1)[:, None])


def exponential_mean(bars: SessionBars) -> Floats:
    values = filled(price(bars))
    found = values.copy()
    for row in range(1, len(found)):
        fresh = np.isnan(found[row - 1])
        found[row] = np.where(fresh, values[row], 0.8 * found[row - 1] + 0.2 * values[row])
    return values / found - 1


def distance_from_vwap(bars: SessionBars) -> Floats:
    traded = np.cumsum(price_or_nothing(bars) * bars.volume, axis=0)
    return price(bars) / (traded / np.cumsum(bars.volume, axis=0)) - 1


def price_or_nothing(bars: SessionBars) -> Floats:
    return np.nan_to_num(price(bars))


def carried_forward(bars: SessionBars) -> Floats:
    return np.log(filled(price(bars)))


def minute_of_the_day(bars: SessionBars) -> Floats:
    return np.broadcast_to(np.arange(len(bars.close_at), dtype=np.float64)[:, None], bars.close.shape)


def tick_size(bars: SessionBars) -> Floats:
    return np.broadcast_to(bars.tick_size_paise.astype(np.float64), bars.close.shape)


def range_so_far(bars: SessionBars) -> Floats:
    high = np.maximum.accumulate(bars.high, axis=0)
    low = np.minimum.accumulate(np.where(bars.present, bars.low, 2**40), axis=0)
    return (price(bars) - low) / np.where(high > low, high - low, np.nan)


def gap_of_the_open(bars: SessionBars) -> Floats:
    """Known from the first trade on."""
    opened = filled(np.where(bars.present, bars.open, np.nan))
    first = np.where(np.isfinite(opened).cumsum(axis=0) == 1, opened, np.nan)
    return filled(first) / bars.previous_close_paise - 1


def opening_range_broken(bars: SessionBars) -> Floats:
    high = np.full(bars.close.shape, np.nan)
    if len(high) > 15:
        high[15:] = bars.high[:15].max(axis=0)
    return price(bars) / np.where(high > 0, high, np.nan) - 1


def relative_to_the_market(bars: SessionBars) -> Floats:
    values = past_return(bars)
    return np.asarray(values - np.nanmean(values, axis=1, keepdims=True))


def volume_against_its_past(bars: SessionBars) -> Floats:
    mean = np.cumsum(bars.volume, axis=0) / np.arange(1, len(bars.close_at) + 1)[:, None]
    found: Floats = np.where(bars.present, bars.volume / mean, np.nan)
    return found


def always_one(bars: SessionBars) -> Floats:
    return np.ones(bars.close.shape)


def _yesterdays_range(sessions: Sequence[SessionBars]) -> list[Floats]:
    """Carries the day before over, and says so."""
    found, before = [], np.full(len(sessions[0].symbols), np.nan)
    for bars in sessions:
        found.append(np.broadcast_to(before, bars.close.shape) * price(bars) / price(bars))
        high, low = bars.high.max(axis=0), np.where(bars.present, bars.low, 2**40).min(axis=0)
        before = np.where(high > 0, (high - low) / np.maximum(high, 1), np.nan)
    return found


def scaled_inside_the_fold(rows: Examples, train: Ints, test: Ints) -> Floats:
    x, of = rows.x, rows.x[train]
    return scaled_by(x[test], of) @ fitted(scaled_by(x[train], of), rows.y[train])


def learns_what_has_matured(rows: Examples, train: Ints, test: Ints) -> Floats:
    """An online model: each row is scored by the answers that were known when it was decided."""
    known = np.sort(rows.matured_at[np.r_[train, test]])
    order = np.argsort(rows.matured_at[np.r_[train, test]], kind="stable")
    right = np.r_[0.0, np.cumsum(rows.y[np.r_[train, test]][order])]
    count = np.searchsorted(known, rows.decided_at[test], side="right")
    return np.asarray(right[count] / np.maximum(count, 1))


def _cross_section_table(seed: int) -> Trial:
    """Each minute scaled over the instruments of that minute."""
    rows = honest_rows(seed)
    _, minute = np.unique(rows.decided_at, return_inverse=True)
    count = np.bincount(minute)
    x = rows.x.copy()
    for column in x.T:
        mean = np.bincount(minute, column) / count
        spread = np.sqrt(np.bincount(minute, (column - mean[minute]) ** 2) / count)
        column[:] = (column - mean[minute]) / np.where(spread[minute] > 0, spread[minute], 1.0)
    return Trial(examples=replace(rows, x=x), folds=by_session(rows), embargo_ns=EMBARGO_NS)


def _moves(bars: SessionBars) -> Ints:
    return np.sign(np.nan_to_num(past_return(bars))).astype(np.int64)


def _label(name: str, says: str, label: Label) -> Entry:
    return Entry(name, says, lambda seed: Trial(proving_sessions(seed, 2), label=label))


def _split_seen_on_its_day(seed: int) -> Trial:
    bars, actions = split_market(seed)
    return Trial(bars, actions=actions, listed=lambda day: frozenset(bars[0].symbols))


def _range_trial(seed: int) -> Trial:
    features = over_sessions(_yesterdays_range, "yesterdays_range", carries=True)
    return Trial(proving_sessions(seed, 3), features, FixedHorizon(HORIZON_MIN))


def _liquid_before(seed: int) -> Trial:
    """The three with most volume in the session before."""

    def choose(sessions: Sequence[SessionBars]) -> list[frozenset[str]]:
        volumes = [bars.volume.sum(axis=0) for bars in sessions[:-1]]
        best = [np.argsort(-volume)[:3] for volume in volumes]
        names = sessions[0].symbols
        return [frozenset(names), *(frozenset(names[j] for j in chosen) for chosen in best)]

    return Trial(proving_sessions(seed), choose=choose)


FAIR_BARS: tuple[Entry, ...] = (
    feature(past_return, "return of the last five minutes"),
    feature(rolling_z_score, "z-score over the last 15 minutes"),
    feature(rank_of_the_past_return, "rank of the past return among the instruments of the minute"),
    feature(exponential_mean, "distance from an exponential mean that began with the session"),
    feature(distance_from_vwap, "distance from the session's VWAP so far"),
    feature(carried_forward, "a missing bar filled with the last one: ffill"),
    feature(minute_of_the_day, "minutes since the open"),
    feature(tick_size, "a fact of the instrument"),
    feature(range_so_far, "place in the range of the session so far"),
    feature(gap_of_the_open, "first price against yesterday's close"),
    feature(opening_range_broken, "price against the high of the first 15 minutes"),
    feature(relative_to_the_market, "past return less the mean of the minute"),
    feature(volume_against_its_past, "volume against its mean so far"),
    feature(always_one, "a constant"),
    Entry("yesterdays_range", "the range of the day before, carried over and said so", _range_trial),
    _label("horizon_net_of_charges", "ten minutes, net of charges", FixedHorizon(10, ChargedCost())),
    _label("short_horizon", "selling first", FixedHorizon(5, long=False)),
    _label("barriers", "take profit, stop, time", TripleBarrier(25, 15, 20)),
    _label(
        "barriers_by_volatility",
        "barriers in volatilities, ended at a square-off",
        TripleBarrier(1.5, 1.0, 15, volatility_minutes=15, square_off=time(10, 55)),
    ),
    _label(
        "meta_label", "acting on the past move", MetaLabel("past move", _moves, TripleBarrier(20, 20, 10))
    ),
    Entry(
        "scaled_inside_the_fold", "scaler and fit on training rows alone", trial_of(scaled_inside_the_fold)
    ),
    Entry(
        "learns_what_has_matured",
        "online, told answers when they are known",
        trial_of(learns_what_has_matured),
    ),
    Entry("scaled_over_the_minute", "a table scaled across instruments in each minute", _cross_section_table),
    Entry("split_seen_on_its_day", "raw prices that jump with the split", _split_seen_on_its_day),
    Entry("liquid_before", "instruments chosen by the volume of the day before", _liquid_before),
)
