"""The second features: against formulas over whole columns, their warm-up, silence where nothing is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_tape import ALPHA, BETA, INDEX, clock, closes, run, spec, tick

from kitepilot.kernels.features import SECOND_DOCS, SECOND_NAMES
from kitepilot.kernels.shard import Shard

SECONDS = 420
COLUMN = {name: place for place, name in enumerate(SECOND_NAMES)}


class Walk:
    """One tick a second with a two-sided book, as columns, and as a tape of two instruments and an index."""

    def __init__(self, seed: int, seconds: int = SECONDS) -> None:
        rng = np.random.default_rng(seed)
        self.price = 50_000 + 5 * np.cumsum(rng.integers(-9, 10, (2, seconds)), axis=1)
        self.grown = rng.integers(0, 4, (2, seconds)) * rng.integers(1, 400, (2, seconds))
        self.grown[:, 0] += 1
        self.volume = np.cumsum(self.grown, axis=1)
        self.bid = self.price - 5 * rng.integers(0, 4, (2, seconds))
        self.ask = self.bid + 5 * rng.integers(1, 6, (2, seconds))
        self.quantity = rng.integers(1, 2_000, (2, 2, seconds))

    def outputs(self) -> np.ndarray:
        """float64[seconds, 3, F]"""
        tape = [clock(-1)]
        for s in range(self.price.shape[1]):
            for row, token in enumerate((ALPHA, BETA)):
                sizes = self.quantity[:, row, s].tolist()
                book = (int(self.bid[row, s]), int(self.ask[row, s]), *sizes)
                price, volume = int(self.price[row, s]), int(self.volume[row, s])
                quantity = volume if s == 0 else 1
                tape.append(
                    tick(s, price, volume, token=token, book=book, quantity=quantity, previous=50_000)
                )
            tape += [tick(s, 2_000_000 + s, token=INDEX, previous=2_000_000), clock(s + 1)]
        tape.append(clock(self.price.shape[1] + 1.5))
        outputs = closes(run(Shard(spec(tokens=(ALPHA, BETA, INDEX))), tape))
        return np.stack([out.features for out in outputs if len(out.rows)])


def weighted(values: np.ndarray, span: int) -> np.ndarray:
    mean = np.array(values, dtype=float)
    for place in range(1, len(mean)):
        mean[place] = mean[place - 1] + 2 / (span + 1) * (values[place] - mean[place - 1])
    return mean


def signs(walk: Walk, row: int) -> np.ndarray:
    """Quote rule against the quote before, else the tick rule, else as before; 0 volume keeps the sign."""
    sign, out = 0, []
    for s in range(walk.price.shape[1]):
        price = walk.price[row, s]
        if walk.grown[row, s] > 0:
            middle = (walk.bid[row, s - 1] + walk.ask[row, s - 1]) / 2 if s else price
            before = walk.price[row, s - 1] if s else price
            sign = int(np.sign(price - middle) or np.sign(price - before) or sign)
        out.append(sign)
    return np.array(out)


def expected(walk: Walk, row: int, s: int) -> dict[str, float]:
    """The definitions, over the columns up to second `s` (at least 301)."""
    price = walk.price[row, : s + 1].astype(float)
    returns = np.diff(price) / price[:-1] * 1e4
    grown = walk.grown[row, : s + 1].astype(float)
    signed = grown * signs(walk, row)[: s + 1]
    vwap = np.cumsum(grown * price)[grown.cumsum() > 0] / np.cumsum(grown)[grown.cumsum() > 0]
    bid, ask = float(walk.bid[row, s]), float(walk.ask[row, s])
    bids, asks = walk.quantity[:, row, s].astype(float)
    middle = (bid + ask) / 2
    others = [(walk.price[r, s] / walk.price[r, s - 60] - 1) * 1e4 for r in range(2)]
    others.append((2_000_000 + s) / (2_000_000 + s - 60) * 1e4 - 1e4)
    return {
        **{f"ret_{n}s": (price[-1] / price[-1 - n] - 1) * 1e4 for n in (1, 10, 60, 300)},
        "vol_60s": math.sqrt((returns[-60:] ** 2).sum()),
        "vol_300s": math.sqrt((returns[-300:] ** 2).sum() / 5),
        "dist_high_300s": (price[-1] / price[-300:].max() - 1) * 1e4,
        "spread": (ask - bid) / middle * 1e4,
        "imbalance_l1": (bids - asks) / (bids + asks),
        "imbalance_l5": (bids - asks) / (bids + asks),
        "microprice_dev": ((bid * asks + ask * bids) / (bids + asks) / middle - 1) * 1e4,
        "vwap_dev": (price[-1] / vwap[-1] - 1) * 1e4,
        "vwap_slope": (1 - weighted(vwap, 60)[-1] / vwap[-1]) * 1e4,
        "trade_imbalance_10s": signed[-10:].sum() / max(grown[-10:].sum(), 1),
        "trade_imbalance_60s": signed[-60:].sum() / max(grown[-60:].sum(), 1),
        "volume_ratio": grown[-60:].sum() / 60 / weighted(grown, 600)[-1],
        "tick_rate": 1.0,
        "range_position": (price[-1] - price.min()) / (price.max() - price.min()),
        "minutes_since_open": (s + 1) / 60,
        "rel_ret_60s": others[row] - sum(others) / 3,
    }


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), s=st.integers(301, SECONDS - 1))
def test_features_are_what_their_definitions_say(seed: int, s: int) -> None:
    walk = Walk(seed)
    found = walk.outputs()
    for row in range(2):
        values = dict(zip(SECOND_NAMES, found[s, row, : len(SECOND_NAMES)], strict=True))
        assert values == pytest.approx(expected(walk, row, s), rel=1e-6, abs=1e-6)


def test_a_feature_speaks_from_its_warm_up_on_and_not_before() -> None:
    found = Walk(11, seconds=320).outputs()[:, 0]
    for doc in SECOND_DOCS:
        known = ~np.isnan(found[:, COLUMN[doc.name]])
        assert int(np.argmax(known)) == doc.warmup_s - 1, doc.name
        assert known[doc.warmup_s - 1 :].all(), doc.name


def test_an_index_has_no_features_of_book_or_volume() -> None:
    found = Walk(12, seconds=320).outputs()[-1, 2]
    silent = {name for name in SECOND_NAMES if np.isnan(found[COLUMN[name]])}
    book = {"spread", "imbalance_l1", "imbalance_l5", "microprice_dev"}
    assert silent == book | {"vwap_dev", "vwap_slope", "volume_ratio"}


def test_a_one_sided_book_says_nothing() -> None:
    tape = [clock(-1), tick(0, 10_000, 5, book=(0, 10_005, 0, 900)), clock(3)]
    found = closes(run(Shard(spec()), tape))[-1].features[0]
    assert np.isnan(found[[COLUMN["spread"], COLUMN["imbalance_l1"], COLUMN["microprice_dev"]]]).all()


def test_a_shock_leaves_the_volatility_window_without_a_trace() -> None:
    widest = [
        tick(0, 3_335, 5),
        tick(1, 30_000, 6),
        tick(2, 3_335, 7),
    ]  # a third of the close, three times it
    tape = [clock(-1), *widest, clock(300), clock(400)]
    found = [out.features[0, COLUMN["vol_60s"]] for out in closes(run(Shard(spec()), tape))]
    assert np.nanmax(found) > 75_000
    assert found[-1] == 0.0
