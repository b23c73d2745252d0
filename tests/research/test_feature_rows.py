"""Feature rows over sources of bars, their spread, and the commands that show them."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest
from typer.testing import CliRunner

from kitepilot.cli.main import app
from kitepilot.kernels.features import FEATURE_NAMES, SECOND_NAMES, SECONDS
from research.feature_distribution import MOST_VALUES, path_of, spread_of
from research.feature_rows import features_of, minute_features
from research.generated_bars import GeneratedBars, weekdays

SOURCE = GeneratedBars(5, weekdays(date(2026, 11, 16), 3), seed=4, missing=0.05)


def test_bars_alone_give_the_minute_features_and_the_time_since_the_open() -> None:
    known = set()
    for bars, rows in features_of(SOURCE):
        assert rows.shape == (*bars.present.shape, len(FEATURE_NAMES))
        assert np.isnan(rows[~bars.present]).all()
        known |= {FEATURE_NAMES[column] for column in np.flatnonzero(~np.isnan(rows).all(axis=(0, 1)))}
        since = rows[:, :, FEATURE_NAMES.index("minutes_since_open")]
        assert since[bars.present[:, 0], 0].tolist() == (np.flatnonzero(bars.present[:, 0]) + 1).tolist()
    assert known & set(SECOND_NAMES) == {"minutes_since_open"}
    assert "ret_60m" in known and "signed_5m" not in known


def test_a_session_does_not_know_the_one_before_it() -> None:
    alone = {bars.session: rows for bars, rows in features_of(SOURCE, SOURCE.sessions[1:2])}
    among = {bars.session: rows for bars, rows in features_of(SOURCE)}
    for day, rows in alone.items():
        assert rows.tobytes() == among[day].tobytes()
        assert rows[:, :, SECONDS:].tobytes() == minute_features(SOURCE.read(day)).tobytes()


def test_the_spread_of_a_feature_is_that_of_its_values() -> None:
    values = np.concatenate(
        [rows[:, :, FEATURE_NAMES.index("ret_5m")].ravel() for _, rows in features_of(SOURCE)]
    )
    values = values[~np.isnan(values)]
    found = spread_of(SOURCE, "ret_5m")
    assert found.known == len(values) < found.rows
    assert (found.mean, found.deviation) == pytest.approx((values.mean(), values.std()))
    assert (found.least, found.most) == (values.min(), values.max())
    assert found.quantiles[3] == pytest.approx(np.median(values))


def test_a_long_source_is_sampled_evenly_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("research.feature_distribution.MOST_VALUES", 500)
    assert MOST_VALUES > 500
    found, whole = spread_of(SOURCE, "minutes_to_close"), 374.0
    assert found.counts.sum() <= 500
    assert found.quantiles[3] == pytest.approx(whole / 2, rel=0.1)


def test_a_path_names_what_is_there_when_it_is_asked_for_what_is_not() -> None:
    assert path_of(SOURCE, "ret_1m", SOURCE.sessions[0], None).symbol == "SYN000"
    with pytest.raises(LookupError, match="no NOSUCH; there are SYN000"):
        path_of(SOURCE, "ret_1m", SOURCE.sessions[0], "NOSUCH")


def test_the_list_has_every_feature_and_show_tells_one() -> None:
    listed = json.loads(CliRunner().invoke(app, ["features", "list", "--json"]).stdout)
    assert [doc["name"] for doc in listed] == list(FEATURE_NAMES)
    shown = CliRunner().invoke(app, ["features", "show", "rsi_14"])
    assert shown.exit_code == 0 and "Wilder" in shown.stdout
    assert "volatility" in CliRunner().invoke(app, ["features", "list", "--family", "vol"]).stdout


def test_a_feature_that_does_not_exist_is_told_with_what_was_meant() -> None:
    found = CliRunner().invoke(app, ["features", "show", "rsi_15"])
    assert found.exit_code == 2 and "rsi_14" in found.stderr
    lonely = CliRunner().invoke(app, ["features", "show", "rsi_14", "--symbol", "INFY"])
    assert lonely.exit_code == 2 and "--data" in lonely.stderr
