"""Where averages cross, the strategy leaves and turns; its twin over a session wishes the very same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot.events import Side
from kitepilot.kernels.shard import FEATURE_NAMES
from kitepilot.strategies.ma_cross import MaCross
from kitepilot.strategies.over_session import SessionView, SessionWishes, unlike

NS = 1_000_000_000
OPEN = 1_795_146_300 * NS


def session(last: np.ndarray) -> SessionView:
    m, n = last.shape
    return SessionView(
        close_at=OPEN + np.arange(1, m + 1, dtype=np.int64) * 60 * NS,
        tokens=np.arange(n, dtype=np.int64) * 256 + 1,
        tradingsymbols=tuple(f"KP{row}" for row in range(n)),
        names=FEATURE_NAMES,
        features=np.full((m, n, len(FEATURE_NAMES)), np.nan),
        last_paise=last,
    )


def wandering(seed: int, minutes: int = 120, instruments: int = 4, late: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    steps = rng.integers(-20, 21, (minutes, instruments))
    last = 50_000 + np.cumsum(steps, axis=0) * 5
    last[:late, 0] = 0
    return last


def wished(strategy: MaCross, view: SessionView) -> list[tuple[int, int, Side | None]]:
    return [
        (minute, wish.row, wish.side)
        for minute in range(len(view.close_at))
        for wish in strategy.on_close(view.at(minute))
    ]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    fast=st.integers(1, 15),
    more=st.integers(1, 30),
    late=st.integers(0, 60),
)
def test_the_twin_wishes_exactly_what_the_strategy_wishes_close_by_close(
    seed: int, fast: int, more: int, late: int
) -> None:
    parameters = {"fast": fast, "slow": fast + more}
    assert unlike(MaCross(parameters), session(wandering(seed, late=late))) == ""


def test_a_twin_that_looks_one_close_ahead_is_found_out() -> None:
    class Ahead(MaCross):
        def over_session(self, view: SessionView) -> SessionWishes:
            found = super().over_session(view)
            return replace(found, side=np.roll(found.side, -1, axis=0))

    assert unlike(Ahead({"fast": 3, "slow": 8}), session(wandering(1))).startswith("close ")


def test_a_price_that_turns_up_is_bought_and_one_that_turns_again_left_and_then_sold() -> None:
    down, up = np.arange(0, -40, -1), np.arange(-40, 20)
    path = 50_000 + 10 * np.concatenate([down, up, up[::-1]])
    found = wished(MaCross({"fast": 3, "slow": 12}), session(path.reshape(-1, 1)))
    assert [side for _, _, side in found] == [Side.BUY, None, Side.SELL]
    (bought, _, _), (left, _, _), (sold, _, _) = found
    assert 40 < bought < 60
    assert left > 100
    assert sold == left + 1


def test_nothing_is_wished_before_the_slow_average_has_seen_its_span() -> None:
    for seed in range(20):
        found = wished(MaCross({"fast": 1, "slow": 60}), session(wandering(seed, late=10)))
        assert all(minute >= 60 + 10 * (row == 0) for minute, row, _ in found)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 119))
def test_a_restart_in_the_middle_of_the_day_changes_no_wish(seed: int, cut: int) -> None:
    view = session(wandering(seed))
    straight = MaCross({"fast": 4, "slow": 9})
    expected = wished(straight, view)
    before, after = MaCross({"fast": 4, "slow": 9}), MaCross({"fast": 4, "slow": 9})
    found = []
    for minute in range(len(view.close_at)):
        if minute == cut:
            after.restore(before.snapshot())
        speaker = before if minute < cut else after
        found += [(minute, wish.row, wish.side) for wish in speaker.on_close(view.at(minute))]
    assert found == expected


def test_fast_must_be_below_slow() -> None:
    with pytest.raises(ValueError, match=r"ma_cross\.fast: 20 is not below slow 20"):
        MaCross({"fast": 20})
