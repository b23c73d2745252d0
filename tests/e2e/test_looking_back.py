"""A finished day looked back on through the real commands: an order explained, the day traded again."""

from __future__ import annotations

import json

import pytest
from paper_house import Day, House, values

from kitepilot import events as e
from kitepilot.topics import ORDERS

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(600)]


def filled_entry(house: House, day: Day) -> e.OrderJournaled:
    """The first line that tells of a fill of an entry."""
    log = house.log()
    start = house.run(day.result["run_id"]).start_offsets()[ORDERS.name]
    journal = [e.decode(value) for value in values(log, ORDERS.name, start, day.ends[ORDERS.name])]
    log.close()
    return next(
        line
        for line in journal
        if isinstance(line, e.OrderJournaled) and line.kind == "fill" and line.purpose is e.Purpose.ENTRY
    )


def test_an_order_of_the_day_is_explained_from_its_ticks_to_its_profit(
    finished_day: tuple[House, Day],
) -> None:
    house, day = finished_day
    line = filled_entry(house, day)
    told = house.call("explain", line.order_id, "--run", line.run_id, "--json", within_s=120)
    assert told.code == 0, told.err[-2000:]
    story = told.result
    assert story["missing"] == []
    assert story["intent"]["intent_id"] == line.intent_id
    assert story["ticks"] and story["bar"] and story["signal"] and story["trip"]
    assert all(check["passed"] for check in story["verdict"]["checks"])
    kinds = [each["kind"] for each in story["journal"]]
    assert kinds[0] == "submitting"
    assert {"accepted", "fill"} <= set(kinds)


def test_an_id_that_nobody_knows_is_one_line_with_the_last_orders(finished_day: tuple[House, Day]) -> None:
    house, _ = finished_day
    told = house.call("explain", "0000000000000000001")
    assert told.code == 2
    assert len(told.error_lines) == 1
    assert "the last orders" in told.err


def test_the_day_is_traded_again_from_its_own_ticks(finished_day: tuple[House, Day]) -> None:
    house, day = finished_day
    told = house.call(
        "backtest", day.result["session"], "--run", day.result["run_id"], "--json", within_s=300
    )
    assert told.code == 0, told.err[-2000:]
    result = told.result
    assert result["signals"] == day.result["signals"], "the same ticks say the same"
    assert result["open_positions"] == 0
    assert result["net_pnl_paise"] == result["gross_pnl_paise"] - result["charges_paise"]


def test_what_the_days_orders_paid_is_fitted_into_the_fill_model(finished_day: tuple[House, Day]) -> None:
    house, day = finished_day
    told = house.call("slippage", "fit", "--mode", "paper", "--least", "4", "--json", within_s=300)
    assert told.code == 0, told.err[-2000:]
    fitted = told.result
    assert day.result["run_id"] in fitted["runs"]
    results = [json.loads((house.home / "runs" / run / "result.json").read_text()) for run in fitted["runs"]]
    assert 4 <= fitted["orders"] + fitted["skipped"] <= sum(result["fills"] for result in results)
    assert fitted["half_spread"]["low"] <= fitted["half_spread"]["high"]
    assert 0 < fitted["unseen_orders"] < fitted["orders"]
    better = fitted["error_bps"] < fitted["assumed_error_bps"]
    assert (house.home / "slippage" / "current.json").exists() == better
