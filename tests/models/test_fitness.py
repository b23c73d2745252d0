"""When a score stops being worth following: told once, in tick order, and taken back when it recovers."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot.models.fitness import CLOSES, MIN_ROWS, Fitness
from kitepilot.models.labels import HORIZON_S, NS
from kitepilot.models.loading import staleness
from kitepilot.models.matured_scores import ScoreQueue
from kitepilot.models.port import ModelCard

ROWS = 50
MINUTES = HORIZON_S // 60
BASE = np.full(ROWS, 100_000)


class Judge(Fitness):
    """A judge and the scores that wait for their labels, as the market flow keeps them."""

    def __init__(self, stale: str = "") -> None:
        super().__init__(stale)
        self.queue = ScoreQueue()

    def snapshot(self) -> list[Any]:
        return [super().snapshot(), self.queue.snapshot()]

    def restore(self, saved: list[Any]) -> None:
        super().restore(saved[0])
        self.queue.restore(saved[1])


def play(fitness: Judge, first: int, scores: list[float]) -> list[tuple[str, str]]:
    """Each minute every second share rises well past its costs; each score is said of the risers, its
    complement of the others."""
    told = []
    for minute, score in enumerate(scores, first):
        last = BASE.copy()
        last[::2] += 10_000 * minute  # so that every label of an even row is true
        said = np.full(ROWS, 1.0 - score)
        said[::2] = score
        matured = fitness.queue.mature(minute * 60 * NS, last)
        fitness.queue.wait(minute * 60 * NS, {"blend": said}, last)
        found = fitness.on_close(*((matured.scores["blend"], matured.y) if matured else (None, None)))
        if found:
            told.append(found)
    return told


def states(told: list[tuple[str, str]]) -> list[str]:
    return [state for state, _ in told]


def test_a_good_score_says_nothing_a_bad_one_is_told_once_and_its_recovery_too() -> None:
    fitness = Judge()
    assert play(fitness, 0, [0.8] * 100) == []
    assert states(play(fitness, 100, [0.1] * (MINUTES + CLOSES))) == ["drifted"]
    assert states(play(fitness, 100 + MINUTES + CLOSES, [0.8] * (MINUTES + CLOSES))) == ["fresh"]


def test_nothing_is_said_before_enough_labels() -> None:
    closes = -(-MIN_ROWS // ROWS)
    early, late = Judge(), Judge()
    assert play(early, 0, [0.1] * (MINUTES + closes - 1)) == []
    assert states(play(late, 0, [0.1] * (MINUTES + closes))) == ["drifted"]


@pytest.mark.parametrize(("score", "drifted"), [(0.4760, False), (0.4750, True)])
def test_ten_percent_worse_than_the_base_rate_is_the_limit(score: float, drifted: bool) -> None:
    """Half the labels are true: the base rate scores 0.25, and the limit is 0.275."""
    assert states(play(Judge(), 0, [score] * 60)) == (["drifted"] if drifted else [])
    assert ((1 - score) ** 2 > 0.275) == drifted


def test_a_model_that_is_too_old_is_told_at_the_first_close_and_stays_so() -> None:
    fitness = Judge("old")
    assert play(fitness, 0, [0.9] * 100) == [("stale", "old")]


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(1, 150), bad=st.integers(20, 140))
def test_a_restored_judge_goes_on_as_if_nothing_had_happened(cut: int, bad: int) -> None:
    scores = [0.8] * bad + [0.1] * (160 - bad)
    whole = play(Judge(), 0, scores)
    first, second = Judge(), Judge()
    told = play(first, 0, scores[:cut])
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot())))
    assert told + play(second, cut, scores[cut:]) == whole


@pytest.mark.parametrize(("session", "stale"), [("2026-12-11", False), ("2026-12-14", True)])
def test_a_model_ages_by_weekdays(session: str, stale: bool) -> None:
    card = ModelCard(
        model_id="m", kind="lightgbm", artifact_sha256="", spec_hash="", features=(), label="", horizon_s=300,
        cost_bps=1.0, train_dates=("2026-11-12",), validation_dates=("2026-11-13",), data="", seed=1,
        rows_train=1, rows_validation=1, parameters={}, metrics={}, libraries={},
    )  # fmt: skip
    assert bool(staleness(card, date.fromisoformat(session), 20)) is stale
