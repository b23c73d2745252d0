"""`kitepilot backtest --data`: a dataset through a user's strategy, and what is said when it cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bar_files import generated_rows, imported, write_parquet
from typer.testing import CliRunner, Result

from kitepilot.cli.main import app

STRATEGY = '''
from kitepilot.events import Side
from kitepilot.strategies.port import Wish

class Hourly:
    """Buys the first instrument each hour and leaves it half an hour later."""

    requires = ()
    interval_s = {interval}

    def __init__(self, parameters):
        self.hold = int(parameters.get("hold_s", 1800))
        self.closes = 0

    def on_close(self, view):
        self.closes += 1
        if self.closes % 60 != 10:
            return []
        plan = dict(horizon_s=self.hold, stop_bps=500, take_profit_bps=500)
        return [Wish(row=0, side=Side.BUY, strength=1.0, **plan)]

    def snapshot(self):
        return b""

    def restore(self, blob):
        pass
'''


def install(folder: Path, name: str, interval: int) -> None:
    """As `pip install` would: a module, and its entry point beside it."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}_module.py").write_text(STRATEGY.format(interval=interval))
    card = folder / f"{name}-1.dist-info"
    card.mkdir(parents=True)
    (card / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (card / "entry_points.txt").write_text(f"[kitepilot.strategies]\n{name} = {name}_module:Hourly\n")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a dataset of three sessions, and two strategies."""
    monkeypatch.setenv("KITEPILOT_HOME", str(tmp_path))
    install(tmp_path / "site", "hourly", 60)
    install(tmp_path / "site", "secondly", 1)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", generated_rows(3)))
    return tmp_path


def said(*words: str) -> Result:
    return CliRunner().invoke(app, ["backtest", *words, "--jobs", "1"])


def test_a_dataset_is_traded_and_the_report_says_the_same_as_the_json(house: Path) -> None:
    page = house / "out.html"
    told = said("--data", "d", "--strategy", "hourly", "--report", str(page), "--json")
    assert told.exit_code == 0, told.output
    found = json.loads(told.output)
    assert len(found["trades"]) == 18, "six an afternoon, three sessions"
    assert found["metrics"]["net_paise"] == sum(each["net_paise"] for each in found["trades"])
    assert json.loads(page.with_suffix(".json").read_text()) == found
    assert "hourly" in page.read_text()
    plain = said("--data", "d", "--strategy", "hourly")
    assert plain.exit_code == 0
    assert "no depth in bars" in plain.output


def test_settings_symbols_and_dates_are_those_of_the_command(house: Path) -> None:
    told = said(
        *("--data", "d", "--strategy", "hourly", "--set", "hourly.hold_s=600", "--symbols", "SYN001"),
        *("--from", "2021-05-11", "--to", "2021-05-11", "--json"),
    )
    found = json.loads(told.output)
    assert found["parameters"] == {"hourly": {"hold_s": 600.0}}
    assert found["sessions"] == ["2021-05-11"]
    assert {each["tradingsymbol"] for each in found["trades"]} == {"SYN001"}
    held = {(each["closed_at"] - each["opened_at"]) // 60_000_000_000 for each in found["trades"]}
    assert held == {10}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--data NAME"),
        (("--data", "nowhere", "--strategy", "hourly"), "nowhere"),
        (("--data", "d", "--strategy", "hourli"), "did you mean `hourly`"),
        (("--data", "d", "--strategy", "secondly"), "1 s bars"),
        (("--data", "d", "--strategy", "hourly", "--set", "hold_s=5"), "STRATEGY.PARAMETER=NUMBER"),
        (("--data", "d", "--strategy", "hourly", "--set", "hourly.hold_s=long"), "not a number"),
        (("--data", "d", "--strategy", "hourly", "--fill", "spread=5"), "half_spread_bps"),
        (("--data", "d", "--strategy", "hourly", "--fill", "impact_bps=-5"), "outside"),
        (("--data", "d", "--strategy", "hourly", "--fill", "there.json"), "there.json"),
        (("--data", "d", "--strategy", "hourly", "--from", "May"), "--from 'May'"),
        (("--data", "d", "--strategy", "hourly", "--rates", "2016-01-01"), "2016-01-01"),
    ],
)
def test_what_cannot_be_is_one_clear_line(house: Path, words: tuple[str, ...], says: str) -> None:
    told = said(*words)
    assert told.exit_code == 2
    assert says in told.output
    assert "Traceback" not in told.output
