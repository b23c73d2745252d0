"""`kitepilot sweep` from a dataset to a verdict."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kitepilot.cli import bar_backtest
from kitepilot.cli.main import app
from research.generated_bars import GeneratedBars, weekdays

BARS = GeneratedBars(instruments=3, sessions=weekdays(date(2026, 3, 9), 8), seed=2)
GRID = ("--grid", "fast=3:9:3", "--grid", "slow=9,30")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Generated bars stand where a dataset would: reading one has tests of its own."""
    monkeypatch.setenv("KITEPILOT_HOME", str(tmp_path))
    monkeypatch.setattr(bar_backtest, "opened", lambda home, asked: BARS)
    return tmp_path


def test_a_sweep_tells_every_set_the_best_and_what_it_is_worth(tmp_path: Path) -> None:
    page = tmp_path / "sweep.html"
    ran = CliRunner().invoke(
        app,
        [
            "sweep",
            "--data",
            "any",
            "--strategy",
            "ma_cross",
            *GRID,
            "--jobs",
            "1",
            "--json",
            "--out",
            str(page),
        ],
    )
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    failed = [each["parameters"] for each in found["trials"] if each["failed"]]
    assert failed == [{"fast": 9.0, "slow": 9.0}]
    best = next(each for each in found["trials"] if each["parameters"] == found["best"])
    assert best["sharpe"] == max(each["sharpe"] for each in found["trials"] if not each["failed"])
    assert found["exact"] == {"net_paise": best["net_paise"], "trades": best["trades"]}
    assert found["sentences"][0] == "The best of 5 is not a result."
    assert "The best of 5 is not a result." in page.read_text()


def test_a_person_sees_the_map_the_best_and_the_set_that_failed() -> None:
    ran = CliRunner().invoke(app, ["sweep", "--data", "any", "--strategy", "ma_cross", *GRID, "--jobs", "1"])
    assert ran.exit_code == 0, ran.output
    for words in ("fast \\ slow", "The best of 5 is not a result.", "the compiled desk found the same"):
        assert words in ran.stdout
    assert "failed: fast 9, slow 9" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--strategy", "ma_cross", "--grid", "fast=1:5"], "NAME=LOW:HIGH:STEP"),
        (["--strategy", "ma_crosss", "--grid", "fast=5"], "did you mean `ma_cross`?"),
        (["--strategy", "vwap_reversion", "--grid", "stop_bps=20,30"], "has no twin"),
    ],
)
def test_what_cannot_be_swept_is_one_line(arguments: list[str], told: str) -> None:
    ran = CliRunner().invoke(app, ["sweep", "--data", "any", "--jobs", "1", *arguments])
    assert ran.exit_code == 2
    assert told in ran.stderr
    assert "Traceback" not in ran.output
