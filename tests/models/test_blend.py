"""The weights of the blend: whoever has been right lately is heard more, and nobody is silenced."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.models.blend import FLOOR, OFFLINE_WEIGHT, BlendWeight
from kitepilot.models.matured_scores import ScoreQueue
from kitepilot.models.panel import Panel
from kitepilot.models.port import Booleans, Floats
from kitepilot.models.score_stream import ScoreStream, Settings

ROWS = 20
MINUTE = 60 * 1_000_000_000
seeds = st.integers(0, 2**32 - 1)


def closes(seed: int, count: int, offline_noise: float, online_noise: float) -> list[tuple[Floats, ...]]:
    """Closes of two models that see the truth through noise of their own."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        y = rng.random(ROWS) < 0.4
        near = [np.clip(y + rng.normal(0, noise, ROWS), 0, 1) for noise in (offline_noise, online_noise)]
        found.append((*near, y))
    return found


def told(weight: BlendWeight, history: list[tuple[Floats, ...]]) -> list[float]:
    shares = []
    for offline, online, y in history:
        weight.on_matured(offline, online, y.astype(bool))
        shares.append(weight.offline)
    return shares


@given(seed=seeds, prior=st.floats(FLOOR, 1 - FLOOR), noise=st.floats(0, 3), other=st.floats(0, 3))
def test_a_share_stays_between_the_floor_and_what_leaves_the_other_its_floor(
    seed: int, prior: float, noise: float, other: float
) -> None:
    shares = told(BlendWeight(prior), closes(seed, 100, noise, other))
    assert min(shares) >= FLOOR
    assert max(shares) <= 1 - FLOOR


@given(seed=seeds, prior=st.floats(FLOOR, 1 - FLOOR))
def test_two_models_that_say_the_same_keep_the_prior(seed: int, prior: float) -> None:
    history = [(online, online, y) for _, online, y in closes(seed, 30, 1, 1)]
    assert told(BlendWeight(prior), history) == pytest.approx([prior] * 30, abs=1e-12)


@given(seed=seeds, gap=st.floats(0.01, 0.5))
def test_the_model_whose_errors_are_smaller_gains_weight_at_every_close(seed: int, gap: float) -> None:
    """The online model says what the offline one says, nearer to the truth."""
    history = [(far, far + gap * (y - far), y) for far, _, y in closes(seed, 60, 0.8, 1)]
    shares = told(BlendWeight(), history)
    assert all(share < OFFLINE_WEIGHT for share in shares)
    assert shares[-1] < shares[0]
    mirrored = told(BlendWeight(1 - OFFLINE_WEIGHT), [(near, far, y) for far, near, y in history])
    assert mirrored == pytest.approx([1 - share for share in shares])


def test_a_model_that_was_wrong_all_morning_is_believed_again_within_two_hours_of_being_right() -> None:
    weight = BlendWeight()
    told(weight, closes(1, 180, 0.2, 1.5))
    assert weight.offline == pytest.approx(1 - FLOOR)
    shares = told(weight, closes(2, 120, 1.5, 0.2))
    assert shares[-1] < 0.5


def test_with_a_half_life_of_zero_the_share_never_moves() -> None:
    assert set(told(BlendWeight(0.6, 0), closes(3, 50, 0.1, 2))) == {0.6}


@given(seed=seeds, cut=st.integers(0, 40))
def test_a_restored_share_goes_on_with_the_same_bits(seed: int, cut: int) -> None:
    history = closes(seed, 40, 0.5, 0.6)
    first, second = BlendWeight(), BlendWeight()
    shares = told(first, history[:cut])
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot())))
    assert shares + told(second, history[cut:]) == told(BlendWeight(), history)


def test_a_close_that_only_one_model_scored_is_no_comparison() -> None:
    weight, nothing = BlendWeight(), np.full(ROWS, np.nan)
    _, online, y = closes(4, 1, 1, 1)[0]
    weight.on_matured(nothing, online, y.astype(bool))
    assert weight.snapshot() == BlendWeight().snapshot()


@given(seed=seeds)
def test_what_was_said_meets_only_the_prices_of_one_horizon_later(seed: int) -> None:
    rng = np.random.default_rng(seed)
    queue, said, paid = ScoreQueue(), {}, {}
    for minute in range(12):
        if rng.random() < 0.2:
            continue  # a close that never came
        last = rng.integers(0, 3, ROWS) * 10_000  # 0: no price
        matured = queue.mature(minute * MINUTE, last)
        assert (matured is not None) == (minute - 5 in said)
        if matured:
            priced = (paid[minute - 5] > 0) & (last > 0)
            np.testing.assert_array_equal(matured.scores["m"], said[minute - 5][priced])
            np.testing.assert_array_equal(matured.y, (last > paid[minute - 5])[priced])
        said[minute], paid[minute] = rng.random(ROWS), last
        queue.wait(minute * MINUTE, {"m": said[minute]}, last)


class Feature:
    """A model whose score is one feature."""

    def __init__(self, column: int) -> None:
        self.model_id = f"feature-{column}"
        self._column = column

    def score(self, x: Floats) -> Floats:
        return x[:, self._column]


class Unlearning(Feature):
    def learn(self, x: Floats, y: Booleans) -> None:
        pass

    def snapshot(self) -> bytes:
        return b""

    def restore(self, blob: bytes) -> None:
        assert blob == b""


@given(seed=seeds)
def test_the_scores_of_a_close_know_nothing_of_the_closes_after_it(seed: int) -> None:
    """The same morning before two different afternoons."""
    rng = np.random.default_rng(seed)
    minutes = [(rng.random((ROWS, 2)), rng.integers(9_900, 10_100, ROWS)) for _ in range(30)]
    other = [*minutes[:20], *((rng.random((ROWS, 2)), rng.integers(1, 99, ROWS)) for _ in range(10))]
    runs = []
    for history in (minutes, other):
        scoring = ScoreStream(Panel(Feature(0)), Unlearning(1), Settings())
        runs.append([scoring.on_minute(n * MINUTE, x, last) for n, (x, last) in enumerate(history)])
    for one, same in zip(runs[0][:20], runs[1][:20], strict=True):
        assert one.weights == same.weights
        np.testing.assert_array_equal(one.scores["blend"], same.scores["blend"])
    assert runs[0][19].weights != {"feature-0": OFFLINE_WEIGHT, "feature-1": 1 - OFFLINE_WEIGHT}
