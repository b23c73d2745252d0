"""A backtest's page and its JSON say the same, and the same outcome gives the same bytes."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outcomes import curve_of, opening, outcome_of, round_trip

from research.generated_bars import weekdays
from research.metrics import measure
from research.outcome import Outcome
from research.report import tallies
from research.report.capacity import best, sizes
from research.report.caveats import caveats, windows
from research.report.evidence import ModelEvidence
from research.report.monte_carlo import bands
from research.report.page import report_html, report_json, write_report

DAYS = weekdays(date(2026, 9, 1), 6)
EVIDENCE = ModelEvidence(
    "lightgbm-0a1b2c3d",
    reliability=((0.1, 0.12, 900), (0.4, 0.35, 100)),
    importance=(("ret_60s", 0.7), ("spread", 0.3)),
    folds=({"fold": 0, "rows": 500, "auc": 0.5312},),
)


def traded(seed: int = 5, **changes: object) -> Outcome:
    rng = np.random.default_rng(seed)
    trades = [
        round_trip(day, int(gross), int(minute), symbol, reason)
        for day in DAYS
        for gross, minute, symbol, reason in zip(
            rng.normal(0, 20_000, 9),
            rng.integers(0, 350, 9),
            rng.choice(["ALPHA", "BRAVO"], 9),
            rng.choice(["stop", "square_off"], 9),
            strict=True,
        )
    ]
    curve = curve_of(list(np.cumsum(rng.normal(0, 9_000, 500)).astype(int)), opening(DAYS[0]))
    return outcome_of(DAYS, trades, **{"curve": curve, **changes})


def test_the_same_outcome_gives_the_same_page_byte_for_byte(tmp_path: Path) -> None:
    once, again = tmp_path / "a" / "report.html", tmp_path / "b" / "report.html"
    for path in (once, again):
        write_report(traded(), path, [EVIDENCE])
    assert once.read_bytes() == again.read_bytes()
    assert once.with_suffix(".json").read_bytes() == again.with_suffix(".json").read_bytes()


def test_the_page_loads_nothing_and_names_what_it_shows() -> None:
    page = report_html(traded(), [EVIDENCE])
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page)
    assert "<script" not in page and "url(http" not in page
    for heading in ("Equity and drawdown", "Costs", "Time of day", "Instruments", "Capacity", "Chance"):
        assert f"<h2>{heading}</h2>" in page
    assert page.count("<svg") == page.count('role="img"') >= 9


def test_a_name_that_is_markup_is_text_on_the_page() -> None:
    assert "<script>" not in report_html(traded(name="<script>alert(1)</script>", data="<script>"))


def test_the_json_holds_every_trade_and_its_sums_are_the_figures() -> None:
    outcome = traded()
    found = json.loads(json.dumps(report_json(outcome, [EVIDENCE]), allow_nan=False))
    assert len(found["trades"]) == len(outcome.trades)
    assert sum(each["net_paise"] for each in found["trades"]) == found["metrics"]["net_paise"]
    assert sum(found["session_net_paise"]) == found["metrics"]["net_paise"]
    for table in ("by_half_hour", "by_instrument", "by_exit", "by_side", "by_strategy"):
        assert sum(each["net_paise"] for each in found[table].values()) == outcome.net_paise
    assert found["models"][0]["folds"] == list(EVIDENCE.folds)


def test_a_backtest_that_traded_nothing_still_has_a_page_that_says_so() -> None:
    page = report_html(outcome_of(DAYS, []))
    assert "Nothing was traded" in page
    assert report_json(outcome_of(DAYS, []))["metrics"]["win_rate"] is None


def test_few_sessions_do_not_show_an_edge_and_the_page_says_so() -> None:
    assert "6 sessions in 1 window do not show an edge" in report_html(traded())
    assert windows((*DAYS, date(2027, 3, 1))) == 2
    outcome = traded(assumptions=("No depth: spread modelled.",))
    assert caveats(outcome, measure(outcome))[-1] == "No depth: spread modelled."


def test_at_its_own_size_the_capacity_is_the_result_and_larger_orders_slip_more() -> None:
    outcome = traded()
    sized = {each.times: each for each in sizes(outcome)}
    assert sized[1.0].net_paise == outcome.net_paise
    slippage = sum(trade.slippage_paise for trade in outcome.trades)
    fivefold = 5 * (outcome.gross_paise + slippage)
    assert sized[5.0].gross_paise == round(fivefold - slippage * 5**1.5) < fivefold - 5 * slippage
    losing = outcome_of(DAYS, [round_trip(DAYS[0], -500)])
    assert best(sizes(losing)) is None


@given(st.lists(st.integers(-(10**7), 10**7), min_size=2, max_size=40), st.integers(0, 2**31))
@settings(max_examples=30)
def test_bands_are_ordered_and_the_same_for_the_same_seed(daily: list[int], seed: int) -> None:
    net = np.array(daily, dtype=np.float64)
    found = bands(net, seed, draws=200)
    again = bands(net, seed, draws=200)
    assert found is not None and again is not None
    assert np.array_equal(found.paths, again.paths)
    assert np.all(np.diff(found.paths, axis=0) >= 0) and np.all(np.diff(found.drawdowns) >= 0)
    assert 0.0 <= found.loss_share <= 1.0
    assert found.paths[:, -1].min() >= min(0.0, net.min() * len(net))


def test_one_session_has_no_bands() -> None:
    assert bands(np.array([5.0]), 1) is None


def test_every_trade_is_in_one_fold() -> None:
    outcome = traded(folds={day: number // 2 for number, day in enumerate(DAYS)})
    assert [each.trades for each in tallies.by_fold(outcome).values()] == [18, 18, 18]
    assert "<h2>Folds</h2>" in report_html(outcome)


@pytest.mark.parametrize(("minute", "named"), [(0, "09:15"), (29, "09:15"), (30, "09:45"), (374, "15:15")])
def test_half_hours_are_counted_from_the_open(minute: int, named: str) -> None:
    assert tallies.half_hour(round_trip(DAYS[0], 0, minute)) == named
