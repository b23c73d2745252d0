"""The comparison with recorded data, and that the synthetic market stays close to it."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from broker_adapter.sandbox.feed.calibration import compare, main, render
from broker_adapter.sandbox.feed.statistics import minute_statistics, packet_statistics
from broker_adapter.sandbox.feed.synthetic import SyntheticMarket

#: Statistic: how far the synthetic one may be from the recorded one, as a factor either way.
CLOSE = {
    "1 m return, standard deviation (bps)": 1.3,
    "1 m return, kurtosis": 1.6,
    "1 m absolute return, autocorrelation lag 1": 1.8,
    "1 m return, mean pairwise correlation": 2.0,
    "volatility of the first half hour over 11:15-13:15": 1.5,
    "volume share of the half hour from 09:15": 1.3,
    "volume share of the half hour from 12:15": 1.3,
    "volume share of the half hour from 14:45": 1.3,
    "updates a second": 1.7,
    "exact duplicates, share": 2.0,
    "updates with a trade, share": 1.3,
    "spread (bps), median": 1.3,
    "spread (bps), 90th percentile": 1.4,
    "value at the touch (rupees), median": 2.0,
}


def test_minute_statistics_of_a_known_market():
    rng = np.random.default_rng(5)
    common = rng.normal(0, 3e-4, 375)
    returns = common + rng.normal(0, 4e-4, (40, 375))
    volumes = np.ones((40, 375))
    volumes[:, 100] = 0
    told = minute_statistics([100 * np.exp(np.cumsum(returns, axis=1))], [volumes])
    assert told["1 m return, standard deviation (bps)"] == pytest.approx(5.0, rel=0.06)
    assert told["1 m return, kurtosis"] == pytest.approx(3.0, abs=0.5)
    assert told["1 m return, mean pairwise correlation"] == pytest.approx(9 / 25, abs=0.08)
    assert told["silent minutes, mean share"] == pytest.approx(1 / 375)
    assert told["volume share of the half hour from 09:15"] == pytest.approx(30 / 374)


def test_packet_statistics_of_a_known_book():
    k = np.arange(1000)
    bid = 100_000 + 10 * (k % 7)
    columns = {"at_s": k, "last": bid, "volume": 5 * (k // 2), "bid": bid, "ask": bid + 20}
    columns |= {
        "bid_quantity": 10 + k % 3,
        "ask_quantity": 12 + k % 5,
        "duplicate": (k % 20 == 0).astype(int),
    }
    told = packet_statistics({name: [values] for name, values in columns.items()})
    assert told["spread (bps), median"] == pytest.approx(2.0, rel=0.01)
    assert told["updates a second"] == pytest.approx(1000 / 999)
    assert told["exact duplicates, share"] == pytest.approx(0.05)
    assert told["updates with a trade, share"] == pytest.approx(0.499)


def test_without_the_recordings_the_comparison_says_what_to_do(tmp_path, capsys):
    assert main(["--shared", str(tmp_path)]) == 2
    assert "--shared" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.shared_data
def test_the_synthetic_market_stays_close_to_the_recorded_one():
    root = Path(os.environ.get("KITEPILOT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    if not (root / "data" / "nse_1m").is_dir():
        pytest.skip(f"real market data is not at {root}/data (set KITEPILOT_SHARED)")
    table = compare(SyntheticMarket(date(2026, 7, 17), 20261120), root / "data")
    found = {one.name: one for one in table}
    far = {
        name: (found[name].real, found[name].synthetic)
        for name, factor in CLOSE.items()
        if not 1 / factor <= found[name].synthetic / found[name].real <= factor
    }
    assert not far
    assert len(render(table).splitlines()) == len(table) + 2
