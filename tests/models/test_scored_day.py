"""Models held against what became of the day: rows whose horizon has passed, the same for all."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.cli.model_days import minutes, sessions_of
from kitepilot.events import BarsClosed, DeadLetter, DriftFound, FeaturesComputed, encode
from kitepilot.models.labels import COST_BPS, HORIZON_S, NS
from kitepilot.models.plan import ModelPlan
from kitepilot.models.scored_day import Minute, measures, outcomes
from kitepilot.topics import BARS, DEAD_LETTER, FEATURES, SESSION

M = 60 * NS
STEPS = HORIZON_S // 60


def a_day(seed: int, closes: int = 20, n: int = 6) -> list[Minute]:
    """One model knows what comes, one knows nothing; the latter is silent on a third of the rows."""
    drawn = np.random.default_rng(seed)
    prices = (10_000 * np.exp(np.cumsum(drawn.normal(0, 0.002, (closes, n)), axis=0))).astype(np.int64)
    later = np.vstack([prices[STEPS:], np.repeat(prices[-1:], STEPS, axis=0)])
    knows = np.clip(0.5 + (later - prices) / prices * 20, 0, 1)
    blind = np.where(drawn.random((closes, n)) < 0.33, np.nan, drawn.random((closes, n)))
    return [Minute(at * M, {"knows": knows[at], "blind": blind[at]}, prices[at]) for at in range(closes)]


@given(st.integers(0, 10_000))
def test_both_are_measured_on_the_very_same_rows_and_who_knows_more_shows(seed: int) -> None:
    found = measures(list(outcomes(a_day(seed))), ["knows", "blind"], 0.5)
    assert found["knows"].rows == found["blind"].rows <= 15 * 6
    assert found["knows"].base_brier == found["blind"].base_brier
    if found["knows"].base_brier > 0:
        assert found["knows"].auc >= 0.99
    alone = measures(list(outcomes(a_day(seed))), ["knows"], 0.5)["knows"]
    assert alone.rows >= found["knows"].rows


@given(st.integers(0, 10_000), st.integers(STEPS, 19))
def test_nothing_after_the_horizon_changes_what_a_close_came_to(seed: int, cut: int) -> None:
    day = a_day(seed)
    early = list(outcomes(day[: cut + 1]))
    assert len(early) == cut + 1 - STEPS
    for one, other in zip(early, outcomes(day), strict=False):
        np.testing.assert_array_equal(one.moved_bps, other.moved_bps)


def test_a_would_be_trade_pays_its_costs() -> None:
    flat = [Minute(at * M, {"m": np.array([0.9, 0.1])}, np.array([10_000, 10_000])) for at in range(8)]
    found = measures(list(outcomes(flat)), ["m"], 0.5)["m"]
    assert (found.trades, found.net_bps) == (8 - STEPS, -COST_BPS)
    assert measures(list(outcomes(flat)), ["m"], 0.95)["m"].trades == 0


def test_a_gap_in_the_minutes_leaves_its_rows_without_an_outcome() -> None:
    day = a_day(3)
    assert len(list(outcomes([*day[:4], *day[10:]]))) == len(day) - 10 - STEPS


def head(seq: int, at: int) -> dict[str, object]:
    return {"source": "market-0", "seq": seq, "event_at": at}


def test_a_runs_record_gives_each_models_session_with_its_part_and_its_troubles() -> None:
    """Prices are carried forward from the bars; a minute told twice after a restart counts once."""
    tokens, scored = [1, 2], []
    bars = [
        BarsClosed(
            **head(at, at * M), interval_s=60, close_at=at * M, tokens=[1], open_paise=[1], high_paise=[1],
            low_paise=[1], close_paise=[10_000 + 100 * at], volume=[1], tick_count=[1],
        )
        for at in range(10)
    ]  # fmt: skip
    bars[0] = BarsClosed(
        **head(0, 0), interval_s=60, close_at=0, tokens=[1, 2], open_paise=[1, 1], high_paise=[1, 1],
        low_paise=[1, 1], close_paise=[10_000, 5_000], volume=[1, 1], tick_count=[1, 1],
    )  # fmt: skip
    for at in (*range(10), 9):
        scores = {"live-1": [0.9, 0.1], "shadow-1": [0.2, float("nan")]}
        scored.append(
            FeaturesComputed(
                **head(at, at * M), interval_s=60, close_at=at * M, names=[], tokens=tokens, values=b"",
                scores=scores,
            )
        )  # fmt: skip
    drift = DriftFound(
        **head(0, 0), model="shadow-1", detector="adwin", observed=1.0, limit=0.5, act="tell", feature="",
        scores=("shadow-1",),
    )  # fmt: skip
    letter = DeadLetter(
        **head(0, 0), reason="model_failed", topic="ticks", partition=0, offset=0, count=1,
        detail="model live-1 is off for the day: x", payload=b"",
    )  # fmt: skip
    told = {
        BARS.name: bars,
        FEATURES.name: scored,
        SESSION.name: [drift],
        DEAD_LETTER.name: [letter],
    }

    def values(topic: str) -> list[bytes]:
        return [encode(event, emitted_at=0) for event in told[topic]]

    assert [each.last_paise.tolist() for each in minutes(values)][9] == [10_900, 5_000]
    plan = ModelPlan(live="live-1", shadows=("shadow-1",), standby=("before-1",))
    found = sessions_of("run-1", "2026-11-20", plan, values)
    assert set(found) == {"live-1", "shadow-1"}
    live, shadow = found["live-1"], found["shadow-1"]
    assert (live.role, live.rows, live.failed, live.drifted) == ("live", 2 * (10 - STEPS), True, False)
    assert (shadow.role, shadow.rows, shadow.failed, shadow.drifted) == ("shadow", 10 - STEPS, False, True)
    assert live.brier < live.base_brier < 1.0 and round(shadow.brier, 6) == 0.64
