"""Labels: what would have come of the trade, and until when nobody could know."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from bars_of import DAY, session_of
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot.models.labels import COST_BPS, HORIZON_S, LabelQueue
from research.bars import MINUTE_NS, SessionBars
from research.generated_bars import GeneratedBars
from research.labels import ChargedCost, FixedHorizon, FlatCost, Label, MetaLabel, TripleBarrier
from research.labels.port import carried_close
from research.labels.rows import examples_of_rows
from research.labels.triple_barrier import one_minute_volatility_bps
from research.uniqueness import average_uniqueness

LABELS: list[Label] = [
    FixedHorizon(5, FlatCost(11)),
    FixedHorizon(3, long=False),
    TripleBarrier(20, 10, 15),
    TripleBarrier(1.0, 0.5, 10, volatility_minutes=8, square_off=time(9, 40), long=False),
    MetaLabel("trend", lambda bars: np.sign(bars.close - carried_close(bars)[:1]).astype(np.int64)),
]


def market(seed: int, minutes: int = 45, missing: float = 0.15) -> SessionBars:
    return GeneratedBars(4, (DAY,), seed=seed, minutes=minutes, missing=missing).read(DAY)


# --- costs ----------------------------------------------------------------------------------------------


def test_the_cost_of_the_live_label_is_what_a_round_trip_of_its_size_is_charged() -> None:
    assert ChargedCost().bps_on(date(2026, 11, 20)) == pytest.approx(COST_BPS, abs=0.5)


def test_a_large_order_pays_less_per_rupee_because_brokerage_is_capped() -> None:
    assert ChargedCost(50_000_000).bps_on(DAY) < ChargedCost(6_000_000).bps_on(DAY) - 2


def test_a_day_before_the_table_of_charges_pays_todays_rates() -> None:
    assert ChargedCost().bps_on(date(2016, 8, 1)) == ChargedCost().bps_on(DAY)
    assert ChargedCost(rates_of=date(2024, 5, 2)).bps_on(DAY) == ChargedCost().bps_on(date(2024, 5, 2))


# --- the live label -------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), missing=st.floats(0, 0.6))
def test_the_label_over_bars_is_the_one_the_live_flow_matures(seed: int, missing: float) -> None:
    bars = market(seed, 25, missing)
    last = carried_close(bars)
    found = FixedHorizon(HORIZON_S // 60, FlatCost(COST_BPS)).of(bars)
    live = np.full(bars.close.shape, np.nan)
    queue = LabelQueue()
    for row, at in enumerate(bars.close_at.tolist()):
        matured = queue.on_close(at, np.ones((4, 1)), last[row])
        if matured is not None:
            seen = int((matured.close_at - bars.close_at[0]) // MINUTE_NS)
            live[seen, matured.rows] = matured.y
    np.testing.assert_array_equal(found.y, live)


def test_a_minute_that_never_closed_leaves_its_decision_without_a_label() -> None:
    bars = session_of([[100], [101], [102], [103], [104]])
    kept = np.array([0, 1, 2, 4])
    gap = replace(
        bars,
        close_at=bars.close_at[kept],
        **{name: getattr(bars, name)[kept] for name in ("open", "high", "low", "close", "volume", "present")},
    )
    assert FixedHorizon(2).of(gap).end.ravel().tolist() == [2, -1, 3, -1]


# --- barriers -------------------------------------------------------------------------------------------


def test_the_first_barrier_touched_ends_the_trade() -> None:
    bars = session_of(
        [[10_000], [10_000], [10_000], [10_000]],
        high=[[10_000], [10_010], [10_040], [10_000]],
        low=[[10_000], [9_990], [10_000], [9_000]],
    )
    found = TripleBarrier(take_profit=30, stop=20, minutes=3).of(bars)
    assert (found.y[0, 0], found.end[0, 0]) == (1, 2)
    assert found.outcome_bps[0, 0] == pytest.approx(30)


def test_a_bar_that_touches_both_barriers_is_the_stop() -> None:
    bars = session_of([[10_000], [10_000]], high=[[10_000], [10_100]], low=[[10_000], [9_900]])
    found = TripleBarrier(take_profit=30, stop=20, minutes=1).of(bars)
    assert (found.y[0, 0], found.outcome_bps[0, 0]) == (0, pytest.approx(-20))


def test_a_bar_that_opens_beyond_the_stop_is_left_at_its_open() -> None:
    bars = session_of([[10_000], [9_905]], opened=[[10_000], [9_900]])
    assert TripleBarrier(30, 20, 1).of(bars).outcome_bps[0, 0] == pytest.approx(-100)


def test_barriers_lie_on_the_tick_grid_away_from_the_entry() -> None:
    bars = session_of([[10_010], [10_010]], high=[[10_010], [10_015]], low=[[10_010], [10_010]])
    assert TripleBarrier(1, 1, 1).of(bars).outcome_bps[0, 0] == pytest.approx(5 / 10_010 * 10_000)


def test_touching_the_take_profit_below_the_cost_was_not_worth_it() -> None:
    bars = session_of([[10_000], [10_050]])
    assert TripleBarrier(10, 10, 1, cost=FlatCost(11)).of(bars).y[0, 0] == 0


def test_without_a_square_off_a_horizon_beyond_the_close_has_no_label() -> None:
    flat = session_of([[10_000]] * 6)
    assert np.isfinite(TripleBarrier(50, 50, 3).of(flat).y).ravel().tolist() == [True] * 3 + [False] * 3
    ended = TripleBarrier(50, 50, 3, square_off=time(9, 19)).of(flat)
    assert ended.end.ravel().tolist() == [3, 3, 3, -1, -1, -1]


def slow_barrier(bars: SessionBars, of: TripleBarrier, row: int, j: int) -> tuple[int, int] | None:
    """(end row, exit price) of one purchase, told bar by bar."""
    horizon_end = bars.close_at[row] + of.minutes * MINUTE_NS
    entry = int(carried_close(bars)[row, j])
    if horizon_end > bars.close_at[-1] or not entry:
        return None
    tick = int(bars.tick_size_paise[j])
    take = ceil(entry * (1 + Fraction(of.take_profit) / 10_000) / tick) * tick
    stop = floor(entry * (1 - Fraction(of.stop) / 10_000) / tick) * tick
    for at in range(row + 1, len(bars.close_at)):
        if bars.close_at[at] > horizon_end:
            break
        if not bars.present[at, j]:
            continue
        if bars.low[at, j] <= stop:
            return at, min(stop, int(bars.open[at, j]))
        if bars.high[at, j] >= take:
            return at, take
    at = int(np.flatnonzero(bars.close_at <= horizon_end)[-1])
    return at, int(carried_close(bars)[at, j])


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10_000),
    take=st.integers(3, 60),
    stop=st.integers(3, 60),
    minutes=st.integers(1, 20),
    missing=st.floats(0, 0.5),
)
def test_the_compiled_barriers_are_the_slow_ones(
    seed: int, take: int, stop: int, minutes: int, missing: float
) -> None:
    bars = market(seed, 30, missing)
    label = TripleBarrier(take, stop, minutes)
    found = label.of(bars)
    closes = carried_close(bars)
    for row in range(30):
        for j in range(4):
            slow = slow_barrier(bars, label, row, j)
            if slow is None:
                assert found.end[row, j] == -1
                continue
            earned = (slow[1] - closes[row, j]) / closes[row, j] * 1e4
            assert (found.end[row, j], found.outcome_bps[row, j]) == (slow[0], pytest.approx(earned))


@given(seed=st.integers(0, 10_000))
def test_a_short_sale_is_a_purchase_in_the_mirror(seed: int) -> None:
    bars = market(seed, 20, 0.0)
    top = 2 * int(bars.high.max()) // 5 * 5
    mirrored = replace(
        bars, open=top - bars.open, close=top - bars.close, high=top - bars.low, low=top - bars.high
    )
    # distances of equal paise: bps of prices that differ are not; far barriers leave the horizon alone
    short = TripleBarrier(9_000, 9_000, 5, long=False).of(bars)
    bought = TripleBarrier(9_000, 9_000, 5).of(mirrored)
    np.testing.assert_allclose(short.outcome_bps * bars.close, bought.outcome_bps * mirrored.close)


@given(seed=st.integers(0, 10_000), minutes=st.integers(1, 12))
def test_volatility_is_that_of_the_returns_before_the_decision(seed: int, minutes: int) -> None:
    bars = market(seed, 20, 0.3)
    closes = carried_close(bars)
    found = one_minute_volatility_bps(closes, minutes)
    for row in range(20):
        for j in range(4):
            path = closes[max(0, row - minutes) : row + 1, j].astype(float)
            if len(path) <= minutes or not path.all():
                assert np.isnan(found[row, j])
            else:
                slow = np.sqrt(np.mean((np.diff(path) / path[:-1] * 1e4) ** 2))
                assert found[row, j] == pytest.approx(slow, abs=1e-6)


def test_what_the_primary_leaves_alone_has_no_label() -> None:
    bars = session_of([[10_000, 10_000], [10_050, 9_950], [10_050, 9_950]])
    sides = np.array([[1, -1], [0, 0], [0, 0]])
    found = MetaLabel("given", lambda _: sides, TripleBarrier(40, 40, 1)).of(bars)
    assert found.y[0].tolist() == [1, 1]
    assert np.isnan(found.y[1:]).all()


def test_a_primary_that_gives_something_else_than_sides_is_refused() -> None:
    with pytest.raises(ValueError, match="halves: a primary gives"):
        MetaLabel("halves", lambda bars: np.full(bars.close.shape, 0.5)).of(market(1))


# --- what every label promises --------------------------------------------------------------------------


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.words)
@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 44))
def test_bars_after_the_end_it_names_never_change_a_label(label: Label, seed: int, cut: int) -> None:
    bars = market(seed)
    other = market(seed + 1)
    later = (np.arange(45) > cut)[:, None]
    spliced = replace(
        bars,
        **{
            name: np.where(later, getattr(other, name), getattr(bars, name))
            for name in ("open", "high", "low", "close", "volume", "present")
        },
    )
    before, after = label.of(bars), label.of(spliced)
    settled = (before.end >= 0) & (before.end <= cut)
    np.testing.assert_array_equal(before.y[settled], after.y[settled])
    np.testing.assert_array_equal(before.end[settled], after.end[settled])


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.words)
def test_a_session_too_short_for_a_label_has_none(label: Label) -> None:
    for minutes in (0, 1):
        found = label.of(market(3, minutes, 0.0))
        assert np.isnan(found.y).all() and (found.end == -1).all()


# --- rows -----------------------------------------------------------------------------------------------


def test_no_row_without_a_trade_a_label_or_a_feature_and_no_label_leaves_its_session() -> None:
    days = (date(2026, 11, 19), DAY)
    source = GeneratedBars(4, days, seed=5, minutes=30, missing=0.2)
    sessions = [source.read(day) for day in days]
    x = [np.where(np.arange(30)[:, None, None] < 3, np.nan, bars.close[..., None] / 1.0) for bars in sessions]
    found = examples_of_rows(zip(sessions, x, strict=True), ("close",), FixedHorizon(5))
    assert len(found) == sum(int(bars.present[3:25].sum()) for bars in sessions)
    assert (np.diff(found.decided_at) >= 0).all()
    assert ((found.matured_at - found.decided_at) == 5 * MINUTE_NS).all()
    assert found.weight.mean() == pytest.approx(1)
    for bars in sessions:
        mine = found.session == (bars.session - date(1970, 1, 1)).days
        assert found.matured_at[mine].max() <= bars.close_at[-1]


def test_nothing_labelled_is_no_rows() -> None:
    bars = market(1, 3)
    found = examples_of_rows([(bars, np.ones((3, 4, 2)))], ("a", "b"), FixedHorizon(5))
    assert len(found) == 0 and found.x.shape == (0, 2)


# --- uniqueness -----------------------------------------------------------------------------------------


@given(spans=st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_uniqueness_is_the_mean_of_one_over_the_labels_alive(spans: list[int]) -> None:
    m = len(spans)
    end = np.array([row + span if span and row + span < m else -1 for row, span in enumerate(spans)])
    found = average_uniqueness(end[:, None])[:, 0]
    for row in range(m):
        if end[row] < 0:
            assert np.isnan(found[row])
            continue
        alive = [
            sum(1 for other in range(m) if end[other] >= 0 and other < at <= end[other])
            for at in range(row + 1, end[row] + 1)
        ]
        assert found[row] == pytest.approx(np.mean([1 / count for count in alive]))
