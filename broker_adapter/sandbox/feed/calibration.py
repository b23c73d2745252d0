"""Compare the synthetic market with recorded data: `python -m broker_adapter.sandbox.feed.calibration`.

Only statistics leave this module, never a row of the recordings.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from broker_adapter.sandbox.feed.port import FeedError
from broker_adapter.sandbox.feed.recorded import open_recording
from broker_adapter.sandbox.feed.statistics import MINUTES, Floats, minute_statistics, packet_statistics
from broker_adapter.sandbox.feed.synthetic import SyntheticMarket
from kitepilot.market.calendar import ist_ns

SECOND: Final = 1_000_000_000
_FULL_DAYS: Final = (date(2025, 7, 10), date(2025, 7, 11), date(2025, 7, 21))
_COLUMNS: Final = ("at_s", "last", "volume", "bid", "ask", "bid_quantity", "ask_quantity", "duplicate")
Table = npt.NDArray[np.int64]


class Comparison(NamedTuple):
    """One statistic of the recordings and of the synthetic market; `source` names the recording."""

    name: str
    real: float
    synthetic: float
    source: str


def compare(market: SyntheticMarket, shared: Path) -> list[Comparison]:
    """Statistics of `market` beside those of the recordings in `shared` (the folder that holds `nse_1m`).

    Raises:
        FeedError: the recordings are not there.
    """
    bars, full = shared / "nse_1m" / "2021-05.parquet", shared / "ticks" / "kite_full_2025"
    for needed in (bars, full):
        if not needed.exists():
            raise FeedError(f"{needed}: not found; name the folder of recordings with --shared")
    with warnings.catch_warnings():  # instruments with gaps have empty slices
        warnings.simplefilter("ignore", RuntimeWarning)
        real_bars = minute_statistics(*_recorded_minutes(bars))
        day = _synthetic_day(market)
        usual = {t: rows for t, rows in day.items() if len(rows) > 5_000}
        synthetic_bars = minute_statistics(*_minutes_of(list(day.values()), market.session.date))
        real_packets = packet_statistics(_by_column(_recorded_packets(full)))
        synthetic_packets = packet_statistics(_by_column(list(usual.values())))
    table = [Comparison(n, real_bars[n], synthetic_bars[n], "nse_1m/2021-05") for n in real_bars]
    table += [Comparison(n, real_packets[n], synthetic_packets[n], full.name) for n in real_packets]
    return table


def render(table: Sequence[Comparison]) -> str:
    """The comparison as a Markdown table."""
    lines = ["| statistic | recorded | synthetic | recording |", "|---|---:|---:|---|"]
    lines += [f"| {one.name} | {one.real:,.3g} | {one.synthetic:,.3g} | {one.source} |" for one in table]
    return "\n".join(lines)


def _recorded_minutes(file: Path) -> tuple[list[Floats], list[Floats]]:
    table = pq.read_table(file, columns=["symbol", "ts_ist_minute", "close", "volume"])
    at = table["ts_ist_minute"].to_numpy()
    days = at.astype("datetime64[D]")
    minute = (at - days).astype("timedelta64[m]").astype(np.int64) - (9 * 60 + 15)
    _, symbol = np.unique(np.asarray(table["symbol"].to_pylist(), np.str_), return_inverse=True)
    closes, volumes = [], []
    for day in np.unique(days):
        mine = (days == day) & (minute >= 0) & (minute < MINUTES)
        close, volume = (np.full((symbol.max() + 1, MINUTES), np.nan) for _ in range(2))
        close[symbol[mine], minute[mine]] = table["close"].to_numpy()[mine]
        volume[symbol[mine], minute[mine]] = table["volume"].to_numpy()[mine]
        whole = np.isfinite(close).sum(axis=1) > 340  # days with a recorder outage say little
        if whole.sum() >= 10:
            closes.append(close[whole])
            volumes.append(volume[whole])
    return closes, volumes


def _recorded_packets(folder: Path) -> list[Table]:
    found = []
    for day in _FULL_DAYS:
        market = open_recording(folder, day)
        packets = np.concatenate([one.packets for one in market.slices()])
        found += list(_trading(packets, day).values())
    return found


def _synthetic_day(market: SyntheticMarket) -> dict[int, Table]:
    parts: dict[int, list[Table]] = {}
    for _, packets, _ in market.chunks(600):
        for token, rows in _trading(packets, market.session.date).items():
            parts.setdefault(token, []).append(rows)
    return {token: np.concatenate(rows) for token, rows in parts.items()}


def _trading(packets: npt.NDArray[np.void], day: date) -> dict[int, Table]:
    """By token, the rows of continuous trading: int64[k, 8], columns as `_COLUMNS`."""
    at_s = packets["exchange_time"].astype(np.int64)
    keep = (at_s >= ist_ns(day, "09:15") // SECOND) & (at_s < ist_ns(day, "15:30") // SECOND)
    keep &= packets["bids"]["price"][:, 0] > 0
    packets = packets[keep]
    found = {}
    for token in np.unique(packets["token"]):
        mine = packets[packets["token"] == token]
        raw = np.ascontiguousarray(mine).view(np.uint8).reshape(len(mine), -1)
        same = np.r_[False, (raw[1:] == raw[:-1]).all(axis=1)]
        bid, ask = mine["bids"][:, 0], mine["asks"][:, 0]
        columns = (mine["exchange_time"], mine["last_price"], mine["volume"], bid["price"], ask["price"])
        rows = np.stack(
            [column.astype(np.int64) for column in (*columns, bid["quantity"], ask["quantity"], same)], 1
        )
        found[int(token)] = rows
    return found


def _by_column(days: list[Table]) -> dict[str, list[Table]]:
    return {name: [day[:, k] for day in days] for k, name in enumerate(_COLUMNS)}


def _minutes_of(days: list[Table], session: date) -> tuple[list[Floats], list[Floats]]:
    """One session's minute closes and volumes; after an early close there are none (NaN)."""
    closes, volumes = (np.full((len(days), MINUTES), np.nan) for _ in range(2))
    first = ist_ns(session, "09:15") // SECOND
    for k, rows in enumerate(days):
        ends = np.searchsorted(rows[:, 0], first + 60 * np.arange(1, MINUTES + 1))
        live = int(np.searchsorted(ends, len(rows))) + 1 if ends[-1] == len(rows) else MINUTES
        known = ends[:live] > 0
        at = np.maximum(ends[:live] - 1, 0)
        closes[k, :live] = np.where(known, rows[at, 1], np.nan)
        total = np.where(known, rows[at, 2], 0)
        volumes[k, :live] = np.diff(total, prepend=0)
    return [closes], [volumes]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; 2 when the recordings are missing."""
    parser = argparse.ArgumentParser(description="Synthetic market against recorded data, as statistics.")
    beside = Path(__file__).resolve().parents[4] / "shared"
    root = Path(os.environ.get("KITEPILOT_SHARED", beside))
    parser.add_argument("--shared", type=Path, default=root / "data", help="folder with nse_1m and ticks")
    parser.add_argument(
        "--date", type=date.fromisoformat, default=date(2026, 7, 17), help="synthetic session"
    )
    parser.add_argument("--seed", type=int, default=20261120)
    chosen = parser.parse_args(arguments)
    try:
        table = compare(SyntheticMarket(chosen.date, chosen.seed), chosen.shared)
    except FeedError as err:
        print(err, file=sys.stderr)
        return 2
    print(render(table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
