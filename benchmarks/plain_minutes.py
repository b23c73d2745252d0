"""The minute features by their definitions, one instrument and one minute at a time: slow, and easy to read.

    at_minute(bars, t) -> {name: float64[n]} as of the close of row t; looks at rows 0..t alone

What the kernels must agree with. Only the rounding of returns (thousandths of a basis point) is shared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
NAN = math.nan


@dataclass(frozen=True)
class PlainBars:
    """Arrays [m, n] of consecutive minutes from the open on; `flow` [m, 4, n] or None; [n] of the session."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    present: npt.NDArray[np.bool_]
    previous_close: Floats
    tradable: npt.NDArray[np.bool_]
    flow: Floats | None = None
    minutes: int = 375


class Path:
    """One instrument from its first bar to minute t, silent minutes filled flat."""

    def __init__(self, bars: PlainBars, row: int, t: int) -> None:
        self.begins = int(np.argmax(bars.present[:, row]))
        span = slice(self.begins, t + 1)
        self.shown = bars.present[span, row]
        last = np.maximum.accumulate(np.where(self.shown, np.arange(len(self.shown)), 0))
        self.c = bars.close[span, row][last].astype(float)
        self.o, self.h, self.low = (
            np.where(self.shown, column[span, row], self.c).astype(float)
            for column in (bars.open, bars.high, bars.low)
        )
        self.v = np.where(self.shown, bars.volume[span, row], 0).astype(float)
        self.n = len(self.c)
        self.r = np.concatenate(([0.0], milli(self.c[1:], self.c[:-1])))
        self.flow = None if bars.flow is None else bars.flow[span, :, row]


def milli(now: Floats, then: Floats) -> Floats:
    """Returns in bps, rounded to thousandths."""
    return np.round((now - then) / then * 10_000.0 * 1_000.0) / 1_000.0


def weighted(values: Floats, weight: float) -> Floats:
    """Exponentially weighted mean that starts at the first value."""
    mean = values.astype(float).copy()
    for place in range(1, len(mean)):
        mean[place] = mean[place - 1] + weight * (values[place] - mean[place - 1])
    return mean


def over(part: float, whole: float, otherwise: float = NAN) -> float:
    return part / whole if whole > 0 else otherwise


def at_minute(bars: PlainBars, t: int) -> dict[str, Floats]:
    """See the module."""
    n = bars.present.shape[1]
    paths = [Path(bars, row, t) if bars.present[: t + 1, row].any() else None for row in range(n)]
    market = market_returns(bars, t)
    rows = []
    for row, path in enumerate(paths):
        if path is None or not bars.present[t, row]:
            rows.append({})
            continue
        rows.append(
            returns(path, float(bars.previous_close[row]), t)
            | volatility(path)
            | volumes(path)
            | flows(path)
            | regime(path)
            | of_market(path, market)
            | {"minutes_to_close": float(bars.minutes - t - 1)}
            | {"session_sine": math.sin(2 * math.pi * (t + 1) / 375)}
            | {"session_cosine": math.cos(2 * math.pi * (t + 1) / 375)}
        )
    across(rows, bars.tradable)
    names = sorted({name for row in rows for name in row})
    return {name: np.array([row.get(name, NAN) for row in rows]) for name in names}


def returns(p: Path, previous: float, t: int) -> dict[str, float]:
    said = {f"ret_{w}m": (p.c[-1] / p.c[-1 - w] - 1) * 1e4 if p.n > w else NAN for w in (1, 5, 15, 30, 60)}
    said["ret_open"] = (p.c[-1] / p.o[0] - 1) * 1e4
    said["ret_day"] = (p.c[-1] / previous - 1) * 1e4 if previous > 0 else NAN
    said["gap"] = (p.o[0] / previous - 1) * 1e4 if previous > 0 else NAN
    if p.n >= 31:
        said["momentum_30m"] = over(p.r[-30:].sum(), math.sqrt((p.r[-30:] ** 2).sum()), 0.0)
    if p.n >= 15:
        change = np.diff(p.c)
        up, down = (weighted(np.maximum(sign * change, 0), 1 / 14)[-1] for sign in (1, -1))
        said["rsi_14"] = over(100 * up, up + down, 50.0)
    if p.n >= 20:
        gap = weighted(p.c, 2 / 11)[-1] - weighted(p.c, 2 / 21)[-1]
        said["ema_gap_10_20"] = gap / p.c[-1] * 1e4
        place = milli(p.c, np.full(p.n, p.c[0]))[-20:]
        said["bollinger_20"] = over(place[-1] - place.mean(), place.std() if np.ptp(place) > 0 else 0.0, 0.0)
    if p.n >= 34:
        macd = weighted(p.c, 2 / 13) - weighted(p.c, 2 / 27)
        said["macd_12_26_9"] = (macd - weighted(macd, 0.2))[-1] / p.c[-1] * 1e4
    if p.n >= 30:
        high, low = p.h[-30:].max(), p.low[-30:].min()
        said["dist_high_30m"] = (p.c[-1] / high - 1) * 1e4
        said["dist_low_30m"] = (p.c[-1] / low - 1) * 1e4
        said["channel_30m"] = over(p.c[-1] - low, high - low, 0.5)
    for w in (15, 30):
        early = (np.arange(p.begins, p.begins + p.n) < w) & p.shown
        if t + 1 >= w and early.any():
            high, low = p.h[early].max(), p.low[early].min()
            said[f"opening_range_{w}m"] = over(p.c[-1] - low, high - low, 0.5)
    return said


def volatility(p: Path) -> dict[str, float]:
    said = {"range_1m": (p.h[-1] - p.low[-1]) / p.c[-1] * 1e4}
    if p.n >= 16:
        said["vol_15m"] = math.sqrt((p.r[-15:] ** 2).mean())
    if p.n >= 14:
        before = np.concatenate((p.c[:1], p.c[:-1]))
        true = np.maximum(p.h, before) - np.minimum(p.low, before)
        said["atr_14"] = weighted(true, 1 / 14)[-1] / p.c[-1] * 1e4
    if p.n >= 30:
        wide, body = milli(p.c + p.h - p.low, p.c)[-30:], milli(p.c, p.o)[-30:]
        said["parkinson_30m"] = math.sqrt((wide**2).mean() / (4 * math.log(2)))
        inner = (0.5 * wide**2 - (2 * math.log(2) - 1) * body**2).mean()
        said["garman_klass_30m"] = math.sqrt(max(inner, 0.0))
    if p.n >= 61:
        last = p.r[-60:]
        said["vol_60m"] = math.sqrt((last**2).mean())
        said["vol_ratio_15_60"] = over(said["vol_15m"], said["vol_60m"], 1.0)
        said["semivol_up_60m"] = math.sqrt((np.maximum(last, 0) ** 2).mean())
        said["semivol_down_60m"] = math.sqrt((np.minimum(last, 0) ** 2).mean())
    if p.n >= 62:
        smooth = math.pi / 2 * np.abs(p.r[-60:] * p.r[-61:-1]).sum()
        energy = (p.r[-60:] ** 2).sum()
        said["jump_share_60m"] = max(1 - smooth / energy, 0.0) if energy > 0 else 0.0
    return said


def volumes(p: Path) -> dict[str, float]:
    typical = (p.h + p.low + p.c) / 3
    traded = typical * p.v
    width = p.h - p.low
    location = np.divide(2 * p.c - p.h - p.low, width, out=np.zeros(p.n), where=width > 0)
    said = {"close_location": location[-1]}
    if p.v.sum() > 0:
        said["bar_vwap_dev"] = (p.c[-1] / (traded.sum() / p.v.sum()) - 1) * 1e4
        if p.n >= 16 and p.v[:-15].sum() > 0:
            then = traded[:-15].sum() / p.v[:-15].sum()
            said["bar_vwap_slope_15m"] = (traded.sum() / p.v.sum() / then - 1) * 1e4
        if p.n >= 15:
            said["turnover_15m"] = traded[-15:].mean() / 1e7
        if p.n >= 30:
            said["volume_z"] = surprise(p.v)
    if p.n >= 30:
        push = np.round(location * p.v)
        said["accumulation_30m"] = over(push[-30:].sum(), p.v[-30:].sum())
    if p.n >= 31:
        said["amihud_30m"] = over(np.abs(p.r[-30:]).sum(), traded[-30:].sum() / 1e9)
        said["volume_side_30m"] = over((np.sign(p.r) * p.v)[-30:].sum(), p.v[-30:].sum())
    if p.n >= 60:
        said["volume_ratio_5_60"] = over(p.v[-5:].mean(), p.v[-60:].mean())
    return said


def surprise(volume: Floats) -> float:
    mean, variance, weight = volume[0], 0.0, 2 / 31
    for value in volume[1:-1]:
        above = value - mean
        mean += weight * above
        variance = (1 - weight) * (variance + weight * above**2)
    return over(volume[-1] - mean, math.sqrt(variance), 0.0)


def flows(p: Path) -> dict[str, float]:
    said = {}
    if p.n >= 62:
        bounce = -(p.r[-60:] * p.r[-61:-1]).mean()
        said["roll_spread_60m"] = 2 * math.sqrt(max(bounce, 0.0))
    if p.flow is None:
        return said
    signed, ticks, spread, imbalance = np.where(p.shown[:, None], p.flow, 0.0).T
    unknown = p.shown & np.isnan(p.flow[:, 0])
    last_unknown = int(np.flatnonzero(unknown)[-1]) if unknown.any() else -1
    bars_since = np.flatnonzero(p.shown[last_unknown + 1 :])  # the count begins anew with a bar
    known = p.n - 1 - last_unknown - int(bars_since[0]) if bars_since.size else 0
    booked = p.shown & ~np.isnan(spread)
    spread, imbalance = np.round(spread * 1e3) / 1e3, np.round(imbalance * 1e6) / 1e6
    mean = lambda column, w: column[-w:][booked[-w:]].mean() if booked[-w:].any() else NAN  # noqa: E731
    for w in (5, 15, 60):
        if known >= w:
            said[f"signed_{w}m"] = over(signed[-w:].sum(), p.v[-w:].sum())
    if known >= 5:
        said |= {"spread_5m": mean(spread, 5), "imbalance_5m": mean(imbalance, 5)}
    if known >= 30:
        said["imbalance_30m"] = mean(imbalance, 30)
    if known >= 31:
        money = np.round(signed * p.c / 1e5)
        slope = over((money * p.r)[-30:].sum(), (money**2)[-30:].sum(), 0.0)
        said["impact_30m"] = slope * 100
    if known >= 60:
        said["tick_ratio_5_60"] = over(ticks[-5:].mean(), ticks[-60:].mean())
        short, long = over(p.v[-5:].sum(), ticks[-5:].sum()), over(p.v[-60:].sum(), ticks[-60:].sum())
        said["packet_size_5_60"] = over(short, long)
        said["spread_ratio_5_60"] = over(mean(spread, 5), mean(spread, 60))
    return said


def regime(p: Path) -> dict[str, float]:
    said = {}
    if p.n >= 31:
        steps = np.abs(np.diff(p.c))[-30:].sum()
        said["efficiency_30m"] = over(abs(p.c[-1] - p.c[-31]), steps, 0.0)
    energy = (p.r[-60:] ** 2).sum()
    if p.n >= 62:
        lagged = over((p.r[-60:] * p.r[-61:-1]).sum(), energy, 0.0)
        said["autocorrelation_60m"] = min(max(lagged, -1.0), 1.0)
    if p.n >= 65:
        fives = np.convolve(p.r, np.ones(5))[: p.n][-60:]
        said["variance_ratio_5_60"] = over((fives**2).sum(), 5 * energy, 1.0)
    if p.n >= 15:
        up, down = np.diff(p.h), -np.diff(p.low)
        rose = weighted(np.where((up > down) & (up > 0), up, 0.0), 1 / 14)
        fell = weighted(np.where((down > up) & (down > 0), down, 0.0), 1 / 14)
        both = rose + fell
        lean = np.divide(rose - fell, both, out=np.zeros_like(both), where=both > 0)
        said["direction_14"] = lean[-1]
        if p.n >= 28:
            said["adx_14"] = weighted(np.abs(lean) * 100, 1 / 14)[-1]
    return said


def market_returns(bars: PlainBars, t: int) -> Floats:
    """The market's return of each minute from the first that has one; thousandths of a bps, as bps."""
    columns = [
        (row, Path(bars, row, t)) for row in np.flatnonzero(bars.tradable) if bars.present[: t + 1, row].any()
    ]
    found = []
    for minute in range(t + 1):
        moved = [
            round(p.r[minute - p.begins] * 1e3)
            for row, p in columns
            if minute > p.begins and bars.present[minute, row]
        ]
        if moved:
            found.append(round(sum(moved) / len(moved)) / 1e3)
        elif found:
            found.append(0.0)
    return np.array(found)


def of_market(p: Path, market: Floats) -> dict[str, float]:
    said = {}
    for w in (5, 30, 60):
        if p.n > w and len(market) >= w:
            said[f"market_ret_{w}m"] = market[-w:].sum()
    if p.n >= 16 and len(market) >= 15:
        said["rel_ret_15m"] = p.r[-15:].sum() - market[-15:].sum()
    if p.n >= 61 and len(market) >= 60:
        mine, theirs = p.r[-60:], market[-60:]
        said["market_vol_60m"] = math.sqrt((theirs**2).mean())
        if np.ptp(theirs) > 0:
            beta = np.cov(mine, theirs, bias=True)[0, 1] / theirs.var()
            rest = mine - mine.mean() - beta * (theirs - theirs.mean())
            moved = np.ptp(mine) > 0
            said["beta_60m"] = beta
            said["correlation_60m"] = np.corrcoef(mine, theirs)[0, 1] if moved else 0.0
            said["residual_ret_15m"] = mine[-15:].sum() - beta * theirs[-15:].sum()
            said["residual_vol_60m"] = math.sqrt((rest**2).mean())
    return said


def across(rows: list[dict[str, float]], tradable: npt.NDArray[np.bool_]) -> None:
    """Ranks, dispersion and breadth into the rows."""
    for name, source in (
        ("rank_ret_15m", "ret_15m"),
        ("rank_ret_60m", "ret_60m"),
        ("rank_volume_5_60", "volume_ratio_5_60"),
    ):
        values = np.array(
            [row.get(source, NAN) if ok else NAN for row, ok in zip(rows, tradable, strict=True)]
        )
        known = values[~np.isnan(values)]
        for row, value in zip(rows, values.tolist(), strict=True):
            if not math.isnan(value):
                place = (known < value).sum() + ((known == value).sum() - 1) / 2
                row[name] = place / (len(known) - 1) if len(known) > 1 else 0.5
        if source == "ret_15m" and len(known) > 1:
            up = (known > 0).mean() + (known == 0).mean() / 2
            for row in rows:
                if not math.isnan(row.get("ret_15m", NAN)):
                    row |= {"dispersion_15m": known.std(), "breadth_15m": up}
