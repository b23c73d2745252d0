"""Features that know too much, as they are met in notebooks and on forums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from research.bars import SessionBars
from research.labels import FixedHorizon
from research.leaks.catalogue.entry import HORIZON_MIN, Entry, back, feature, filled, price, rolling
from research.leaks.gate import Trial
from research.leaks.proving_ground import proving_sessions
from research.leaks.subjects import of_function, over_sessions

Floats = npt.NDArray[np.float64]


def next_return(bars: SessionBars) -> Floats:
    return np.asarray(back(price(bars), -1) / price(bars) - 1)


def next_high(bars: SessionBars) -> Floats:
    return np.asarray(back(np.where(bars.present, bars.high, np.nan), -1) - price(bars))


def centred_mean(bars: SessionBars) -> Floats:
    window = rolling(price(bars), 5)
    return np.asarray(price(bars) / back(np.nanmean(window, axis=2), -2) - 1)


def session_z_score(bars: SessionBars) -> Floats:
    values = price(bars)
    return np.asarray((values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0))


def place_in_the_whole_range(bars: SessionBars) -> Floats:
    high, low = bars.high.max(axis=0), np.where(bars.present, bars.low, 2**40).min(axis=0)
    return np.asarray((price(bars) - low) / (high - low))


def gaps_filled_backwards(bars: SessionBars) -> Floats:
    return np.log(filled(price(bars)[::-1])[::-1])


def gaps_interpolated(bars: SessionBars) -> Floats:
    values, rows = price(bars), np.arange(len(bars.close_at))
    for j in range(values.shape[1]):
        known = np.isfinite(values[:, j])
        values[:, j] = np.interp(rows, rows[known], values[known, j], left=np.nan)
    return values / back(values, 3) - 1


def five_minute_bar_at_its_start(bars: SessionBars) -> Floats:
    values, rows = filled(price(bars)), np.arange(len(bars.close_at))
    last = np.minimum(rows // 5 * 5 + 4, len(rows) - 1)
    return values[last] / back(values, 5) - 1


def share_of_the_days_volume(bars: SessionBars) -> Floats:
    return np.asarray(np.cumsum(bars.volume, axis=0) / bars.volume.sum(axis=0))


def rank_over_the_session(bars: SessionBars) -> Floats:
    values = np.nan_to_num(price(bars) / back(price(bars), 1) - 1)
    return np.asarray(values.argsort(axis=0).argsort(axis=0) / len(values))


def rolled_around(bars: SessionBars) -> Floats:
    values = filled(price(bars))
    return values / np.roll(values, 1, axis=0) - 1


def shifted_across_instruments(bars: SessionBars) -> Floats:
    """`df.close.shift(1)` on a table of several instruments, one under the other, without a groupby."""
    stacked = bars.close.T.ravel().astype(np.float64)
    before = np.r_[np.nan, stacked[:-1]].reshape(bars.close.T.shape).T
    return np.asarray(price(bars) - before)


def smoothed_both_ways(bars: SessionBars) -> Floats:
    def ema(values: Floats) -> Floats:
        found = values.copy()
        for row in range(1, len(found)):
            found[row] = 0.8 * found[row - 1] + 0.2 * values[row]
        return found

    values = np.log(np.where(bars.close > 0, bars.close, bars.previous_close_paise))
    return np.asarray(ema(ema(values)[::-1])[::-1] - values)


def minutes_to_the_last_bar(bars: SessionBars) -> Floats:
    return np.asarray(
        np.broadcast_to(len(bars.close_at) - np.arange(len(bars.close_at))[:, None], bars.close.shape)
    )


def beta_of_the_whole_session(bars: SessionBars) -> Floats:
    returns = np.nan_to_num(np.diff(np.log(filled(price(bars))), axis=0, prepend=np.nan))
    market = returns.mean(axis=1)
    beta = returns.T @ market / (market @ market)
    return np.asarray(returns - market[:, None] * beta)


def breadth_of_the_next_minute(bars: SessionBars) -> Floats:
    up = np.nanmean(back(price(bars), -1) > price(bars), axis=1, keepdims=True)
    return np.asarray(np.broadcast_to(up, bars.close.shape))


def only_at_eleven(bars: SessionBars) -> Floats:
    """Honest in every minute but one."""
    values = filled(price(bars))
    found = values / back(values, 1) - 1
    if len(values) > 106:
        found[105] = values[106] / values[105] - 1
    return found


def principal_component(bars: SessionBars) -> Floats:
    values = np.nan_to_num(np.log(filled(price(bars))))
    centred = values - values.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(centred - np.outer(centred @ axes[0], axes[0]))


def early_mean(bars: SessionBars) -> Floats:
    """`min_periods=1`: values long before its window is full."""
    return np.asarray(price(bars) / np.nanmean(rolling(price(bars), 20), axis=2) - 1)


early_mean.warmup = 20  # type: ignore[attr-defined]


def long_memory(bars: SessionBars) -> Floats:
    """An exponential mean that says ten minutes, and never forgets."""
    values = filled(price(bars))
    found = values.copy()
    for row in range(1, len(found)):
        fresh = np.isnan(found[row - 1])
        found[row] = np.where(fresh, values[row], 0.9 * found[row - 1] + 0.1 * values[row])
    return values / found - 1


long_memory.reach = 10  # type: ignore[attr-defined]


def writes_into_its_bars(bars: SessionBars) -> Floats:
    bars.close[1:] = np.where(bars.close[1:] > 0, bars.close[1:], bars.close[:-1])
    return np.asarray(bars.close / np.maximum(bars.open, 1) - 1.0)


def _scaled_over_all_sessions(sessions: Sequence[SessionBars]) -> list[Floats]:
    returns = [price(bars) / back(price(bars), 1) - 1 for bars in sessions]
    spread = np.nanstd(np.concatenate(returns))
    return [each / spread for each in returns]


def _overnight_gap_as_a_minute(sessions: Sequence[SessionBars]) -> list[Floats]:
    joined = np.concatenate([price(bars) for bars in sessions])
    moves = joined / back(joined, 1) - 1
    ends = np.cumsum([len(bars.close_at) for bars in sessions])
    return np.split(moves, ends[:-1])


def _remembering(seed: int) -> Trial:
    """Keeps the mean of everything it was ever asked about."""
    seen: list[float] = []

    def remembers_earlier_calls(bars: SessionBars) -> Floats:
        seen.append(float(np.nanmean(price(bars))))
        return price(bars) / np.mean(seen) - 1

    return Trial(proving_sessions(seed, 3), of_function(remembers_earlier_calls), FixedHorizon(HORIZON_MIN))


def _looked_up(seed: int, *, shown: float = 1.0, only_last: bool = False) -> Trial:
    """A table made before, of the whole history, read by session and minute; `shown` is its share."""
    sessions = proving_sessions(seed, 4)
    table = {}
    for bars in sessions:
        values = filled(price(bars))
        ahead = back(values, -HORIZON_MIN) / values - 1
        if only_last:
            ahead[:, :-1] = np.nan
        table[bars.session] = np.nan_to_num(ahead) * shown

    def read_from_a_table(bars: SessionBars) -> Floats:
        now = filled(price(bars)) / back(filled(price(bars)), 1) - 1
        known = table[bars.session][: len(bars.close_at), : len(bars.symbols)]
        # a table is keyed by symbol: another order of the list finds the same rows
        order = [int(symbol[-2:]) for symbol in bars.symbols]
        known = table[bars.session][: len(bars.close_at)][:, order]
        return known if shown == 1.0 and not only_last else now * 0.3 + known

    return Trial(sessions, of_function(read_from_a_table), FixedHorizon(HORIZON_MIN))


def _over(name: str, function: object, says: str, *caught_by: str) -> Entry:
    def trial(seed: int) -> Trial:
        features = over_sessions(function, name)  # type: ignore[arg-type]
        return Trial(proving_sessions(seed, 3), features, FixedHorizon(HORIZON_MIN))

    return Entry(name, says, trial, frozenset(caught_by))


FEATURE_LEAKS: tuple[Entry, ...] = (
    feature(next_return, "the return of the next minute: shift(-1)", "truncation"),
    feature(next_high, "the high of the next bar", "truncation"),
    feature(centred_mean, "a moving average with its window centred on the minute", "truncation"),
    feature(session_z_score, "mean and deviation of the whole session", "truncation"),
    feature(place_in_the_whole_range, "place between the day's final high and low", "truncation"),
    feature(gaps_filled_backwards, "a missing bar filled with the next one: bfill", "truncation"),
    feature(gaps_interpolated, "a missing bar drawn as a line to the next one", "truncation"),
    feature(five_minute_bar_at_its_start, "a five-minute bar shown in its first minute", "truncation"),
    feature(share_of_the_days_volume, "volume so far over the whole day's", "truncation"),
    feature(rank_over_the_session, "rank of a minute among all of its session", "truncation"),
    feature(rolled_around, "np.roll: the first minute sees the last one", "truncation"),
    feature(shifted_across_instruments, "shift without a groupby", "cross_section"),
    feature(smoothed_both_ways, "smoothed forwards and backwards: filtfilt", "truncation"),
    feature(minutes_to_the_last_bar, "counts down to the last bar of the data", "truncation"),
    feature(beta_of_the_whole_session, "beta to the market over the whole session", "truncation"),
    feature(breadth_of_the_next_minute, "share of instruments that rise in the next minute", "truncation"),
    feature(only_at_eleven, "honest but for one minute of the day", "truncation"),
    feature(principal_component, "residual of a component fitted on the whole session", "truncation"),
    feature(early_mean, "says a warm-up of 20 minutes and speaks in the first", "warm_up"),
    feature(long_memory, "says 10 minutes of history and uses all of it", "warm_up"),
    feature(writes_into_its_bars, "changes the bars it is given", "repeatable"),
    _over(
        "scaled_over_all_sessions",
        _scaled_over_all_sessions,
        "divided by the deviation over all sessions, later ones too",
        "later_sessions",
    ),
    _over(
        "overnight_gap_as_a_minute",
        _overnight_gap_as_a_minute,
        "the night between two sessions as a one-minute return",
        "session_boundary",
    ),
    Entry(
        "remembers_earlier_calls",
        "keeps a mean over everything it was asked about",
        _remembering,
        frozenset({"repeatable"}),
    ),
    Entry(
        "read_from_a_table",
        "reads a table made from the whole history",
        _looked_up,
        frozenset({"hidden_input"}),
    ),
    Entry(
        "table_mixed_with_bars",
        "an honest return, and a part of what comes after from a table",
        lambda seed: _looked_up(seed, shown=0.999),
        frozenset({"target_in_feature"}),
    ),
    Entry(
        "table_for_one_instrument",
        "a table that knows the future of one instrument alone",
        lambda seed: _looked_up(seed, only_last=True),
        frozenset({"target_in_feature"}),
    ),
)
