"""What a market looks like, in numbers: from minute bars and from full-mode packets.

Each function returns {name: value}; medians are over instrument-days.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MINUTES = 375
HALF_HOURS = 13


def minute_statistics(closes: list[Floats], volumes: list[Floats]) -> dict[str, float]:
    """From days of minute bars: each float64[instruments, 375]; closes in any unit, NaN where absent.

    Volatility is the standard deviation of 1-minute log returns in basis points.
    """
    days = [_day_moments(np.diff(np.log(close), axis=1)) for close in closes]
    told = {name: float(np.median([day[name] for day in days])) for name in days[0]}
    shares = np.nanmedian(np.concatenate([_half_hours(volume) for volume in volumes]), axis=0)
    shares = shares / shares.sum()
    for name, k in (("09:15", 0), ("09:45", 1), ("12:15", 6), ("14:15", 10), ("14:45", 11), ("15:15", 12)):
        told[f"volume share of the half hour from {name}"] = float(shares[k])
    silent = np.concatenate([(volume == 0).mean(axis=1) for volume in volumes])
    told["silent minutes, mean share"] = float(silent.mean())
    return told


def packet_statistics(columns: dict[str, list[npt.NDArray[np.int64]]]) -> dict[str, float]:
    """From continuous trading: for each column one int64 array per instrument-day, prices in paise.

    Columns: at_s, last, volume, bid, ask, bid_quantity, ask_quantity, duplicate (0 or 1).
    """
    per_day = []
    for k in range(len(columns["at_s"])):
        day = {name: values[k] for name, values in columns.items()}
        if len(day["at_s"]) >= 300:
            per_day.append(_packet_day(day))
    return {name: float(np.median([day[name] for day in per_day])) for name in per_day[0]}


def _day_moments(returns: Floats) -> dict[str, float]:
    deviation = np.nanstd(returns, axis=1)
    usual = deviation > 0
    returns, deviation = returns[usual], deviation[usual]
    size = np.abs(returns)
    middle = np.nanstd(returns[:, 120:240], axis=1)
    pairs = np.ma.corrcoef(np.ma.masked_invalid(returns)).filled(np.nan)  # type: ignore[no-untyped-call]
    np.fill_diagonal(pairs, np.nan)
    return {
        "1 m return, standard deviation (bps)": float(np.median(deviation)) * 1e4,
        "1 m return, kurtosis": float(
            np.median(np.nanmean(((returns - np.nanmean(returns)) / deviation[:, None]) ** 4, axis=1))
        ),
        "1 m return, autocorrelation lag 1": _autocorrelation(returns, 1),
        "1 m absolute return, autocorrelation lag 1": _autocorrelation(size, 1),
        "1 m absolute return, autocorrelation lag 10": _autocorrelation(size, 10),
        "1 m return, mean pairwise correlation": float(np.nanmean(pairs)),
        "volatility of the first half hour over 11:15-13:15": float(
            np.nanmedian(np.nanstd(returns[:, :30], axis=1) / middle)
        ),
    }


def _autocorrelation(values: Floats, lag: int) -> float:
    found = [_correlation(row[:-lag], row[lag:]) for row in values]
    return float(np.nanmedian(found))


def _correlation(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> float:
    left, right = np.asarray(a, float), np.asarray(b, float)
    known = np.isfinite(left) & np.isfinite(right)
    if known.sum() < 30 or left[known].std() == 0 or right[known].std() == 0:
        return float("nan")
    return float(np.corrcoef(left[known], right[known])[0, 1])


def _half_hours(volume: Floats) -> Floats:
    """Share of each half hour (the last is a quarter) in the day's volume: float64[instruments, 13]."""
    total = np.nansum(volume, axis=1)
    volume = volume[total > 0]
    padded = np.zeros((len(volume), HALF_HOURS * 30))
    padded[:, :MINUTES] = np.nan_to_num(volume)
    shares: Floats = padded.reshape(len(volume), HALF_HOURS, 30).sum(axis=2) / padded.sum(axis=1)[:, None]
    return shares


def _packet_day(day: dict[str, npt.NDArray[np.int64]]) -> dict[str, float]:
    middle = (day["bid"] + day["ask"]) / 2.0
    spread = (day["ask"] - day["bid"]) / middle * 1e4
    touch = np.r_[day["bid_quantity"], day["ask_quantity"]] * np.median(middle) / 100.0
    lean = (day["bid_quantity"] - day["ask_quantity"]) / np.maximum(
        day["bid_quantity"] + day["ask_quantity"], 1
    )
    ahead = np.log(middle[10:] / middle[:-10])
    traded = np.flatnonzero(np.diff(day["volume"]) > 0) + 1
    side = np.sign(day["last"][traded] - middle[traded - 1])
    gaps = np.diff(np.unique(day["at_s"]))
    return {
        "updates a second": len(day["at_s"]) / max(int(day["at_s"][-1] - day["at_s"][0]), 1),
        "exact duplicates, share": float(day["duplicate"].mean()),
        "updates with a trade, share": len(traded) / len(day["at_s"]),
        "longest silence (s), median of days": float(gaps.max()),
        "spread (bps), median": float(np.median(spread)),
        "spread (bps), 90th percentile": float(np.quantile(spread, 0.9)),
        "value at the touch (rupees), median": float(np.median(touch)),
        "touch imbalance to mid change 10 updates on, correlation": _correlation(lean[:-10], ahead),
        "touch imbalance, autocorrelation lag 10": _correlation(lean[:-10], lean[10:]),
        "trade side, autocorrelation lag 1": _correlation(side[:-1], side[1:]),
    }
