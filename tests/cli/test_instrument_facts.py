"""What a run knows of its instruments besides the broker's file: read, never guessed."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from broker_adapter.kite.candle_files import CandleFiles, Window
from broker_adapter.kite.candle_windows import Days, windows
from broker_adapter.kite.candles import Candle
from kitepilot import config as configuration
from kitepilot.cli import instrument_facts
from kitepilot.cli.instrument_facts import InstrumentFacts, average_volumes, read_sectors
from kitepilot.config import ConfigError
from kitepilot.market import calendar
from kitepilot.market.instruments import Instrument
from kitepilot.run import Run

DAY = date(2026, 11, 20)


def candles(folder: Path, symbol: str, volumes: list[int], last: date) -> None:
    """One daily candle for each of the days up to `last`."""
    files = CandleFiles(folder / "candles", "day")
    (window,) = windows("day", Days(last, last))
    rows = [
        Candle(calendar.ist_ns(last - timedelta(days=back), "00:00") // 10**9, 1, 1, 1, 1, volume)
        for back, volume in enumerate(reversed(volumes))
    ]
    files.write(symbol, 1, Window(window, (), tuple(sorted(rows))))


def test_the_usual_volume_is_the_mean_of_the_last_twenty_sessions_before_the_day(tmp_path: Path) -> None:
    candles(tmp_path, "INFY", [10**9] * 3 + [1_000] * 10 + [2_000] * 10, DAY - timedelta(days=1))
    assert average_volumes(tmp_path, ["INFY"], DAY) == {"INFY": 1_500}


def test_a_few_candles_or_old_ones_or_the_days_own_are_no_mean(tmp_path: Path) -> None:
    candles(tmp_path, "FEW", [1_000] * 4, DAY - timedelta(days=1))
    candles(tmp_path, "OLD", [1_000] * 30, DAY - timedelta(days=60))
    candles(tmp_path, "TODAY", [1_000] * 5, DAY)
    candles(tmp_path, "FIVE", [1_000] * 5, DAY - timedelta(days=1))
    assert average_volumes(tmp_path, ["FEW", "OLD", "TODAY", "NONE", "FIVE"], DAY) == {"FIVE": 1_000}


def test_a_sector_for_every_stock_or_a_word_about_the_first_without(tmp_path: Path) -> None:
    path = tmp_path / "sectors.csv"
    path.write_text("symbol,sector\nINFY,IT\nSBIN, BANKS \n")
    assert read_sectors(path, ["INFY", "SBIN"]) == {"INFY": "IT", "SBIN": "BANKS"}
    with pytest.raises(ConfigError, match="no sector for TCS"):
        read_sectors(path, ["INFY", "TCS"])
    path.write_text("name,sector\nINFY,IT\n")
    with pytest.raises(ConfigError, match="symbol,sector"):
        read_sectors(path, ["INFY"])
    with pytest.raises(ConfigError, match="cannot read"):
        read_sectors(tmp_path / "missing.csv", ["INFY"])


def test_facts_are_kept_with_the_run_and_what_is_not_known_costs_its_whole_value(tmp_path: Path) -> None:
    run = Run("paper-1", tmp_path, configuration.Config())
    assert instrument_facts.kept(run) == InstrumentFacts()
    facts = InstrumentFacts(
        margin_bps={"INFY": 2_000, "ODD": 0},
        average_volume={"INFY": 7},
        sector={"INFY": "IT"},
        freeze_quantity=9,
    )
    instrument_facts.keep(run, facts)
    assert instrument_facts.kept(run) == facts
    session = calendar.session(DAY)

    def terms(symbol: str) -> tuple[str, int, int, int]:
        of = facts.of(calendar.terms(session, Instrument(257, 1, symbol, symbol, 5, 1, "NSE", "EQ")))
        return of.sector, of.average_volume, of.freeze_quantity, of.margin_bps

    assert terms("INFY") == ("IT", 7, 9, 2_000)
    assert terms("ODD") == ("", 0, 9, 0)  # the broker takes no intraday orders of it
    assert terms("TCS") == ("", 0, 9, 10_000)
