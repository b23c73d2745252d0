"""Ranks of a shard's instruments among each other: the same bits whichever way they are found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot.kernels.minute_ranks import SORTED_FROM, rank, room_for


def ranked(values: np.ndarray) -> np.ndarray:
    n = len(values)
    out = np.full(n, -7.0)
    rank(values, np.zeros(n), np.zeros(room_for(n), dtype=np.int64), out)
    return out


def by_definition(values: np.ndarray) -> np.ndarray:
    known = values[~np.isnan(values)]
    if len(known) == 1:
        return np.where(np.isnan(values), np.nan, 0.5)
    below = (known[None, :] < values[:, None]).sum(axis=1)
    upto = (known[None, :] <= values[:, None]).sum(axis=1)
    return np.where(np.isnan(values), np.nan, 0.5 * (below + upto - 1) / max(len(known) - 1, 1))


MARKETS = ["calm", "ties", "at rest", "one far off", "one at infinity", "hair apart", "nobody", "one"]


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.sampled_from([1, 3, SORTED_FROM - 1, SORTED_FROM, 300, 301]),
    unknown=st.sampled_from([0.0, 0.1, 0.9]),
    market=st.sampled_from(MARKETS),
)
def test_a_rank_is_the_share_of_the_others_that_are_below(
    seed: int, n: int, unknown: float, market: str
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_t(3, n) * 30.0
    if market == "ties":
        values = np.round(values / 20.0)
    elif market == "at rest":
        values[rng.random(n) < 0.9] = 0.0
    elif market == "one far off":
        values[0] = rng.choice([-1e12, 1e12])
    elif market == "one at infinity":
        values[0] = rng.choice([-np.inf, np.inf])
    elif market == "hair apart":
        values = 1.0 + np.spacing(1.0) * rng.integers(0, 9, n)
    values[rng.random(n) < unknown] = np.nan
    if market in ("nobody", "one"):
        values[int(market == "one") :] = np.nan
    assert ranked(values).tobytes() == by_definition(values).tobytes()


@pytest.mark.parametrize("distance", [1e3, 1e9, 1e14])
def test_a_value_far_from_all_others_only_changes_its_own_place(distance: float) -> None:
    values = np.random.default_rng(5).permutation(300) * 1.0
    far = np.where(values == 299.0, distance, values)
    assert ranked(far).tobytes() == ranked(values).tobytes() == (values / 299.0).tobytes()
