"""Promotion gates: what passes stays passed with better evidence, and each refuses for its own reason."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.models.gates import (
    GATES,
    Bounds,
    Evidence,
    LeakWord,
    OutOfSample,
    ScoredSession,
    judge,
)
from kitepilot.models.stages import Stage

BOUNDS = Bounds(folds=3, trades=50, shadow_sessions=2, canary_sessions=2)
numbers = st.floats(-50, 50) | st.just(math.nan)
results = st.builds(
    OutOfSample,
    fold_net_bps=st.lists(numbers, max_size=6).map(tuple),
    trades=st.integers(0, 100),
    net_bps=numbers,
    brier=st.floats(0, 1) | st.just(math.nan),
    base_brier=st.floats(0, 0.25),
    calibration_error=st.floats(0, 1) | st.just(math.nan),
)
sessions = st.builds(
    ScoredSession,
    run_id=st.sampled_from(["r1", "r2", "r3"]),
    session=st.sampled_from(["2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19"]),
    role=st.sampled_from(["shadow", "canary", "live"]),
    rows=st.integers(0, 5),
    brier=st.just(0.2),
    base_brier=st.just(0.2),
    drifted=st.booleans(),
    failed=st.booleans(),
)
evidences = st.builds(
    Evidence,
    features_hash=st.sampled_from(["", "f1", "f2"]),
    data_hash=st.sampled_from(["", "d1", "d2"]),
    leak=st.none()
    | st.builds(
        LeakWord, passed=st.booleans(), features_hash=st.sampled_from(["f1", "f2"]), data_hash=st.just("d1")
    ),
    out_of_sample=st.none() | results,
    sessions=st.lists(sessions, max_size=8).map(tuple),
    canary_share=st.floats(0, 1),
)


def session(day: int, role: str, **said: Any) -> ScoredSession:
    plain = {"rows": 100, "brier": 0.19, "base_brier": 0.2, "drifted": False}
    return ScoredSession(run_id=f"r{day}", session=f"2026-11-{day}", role=role, **(plain | said))


DAY_ONE = session(16, "shadow")
GOOD = Evidence(
    features_hash="f1",
    data_hash="d1",
    leak=LeakWord(True, "f1", "d1"),
    out_of_sample=OutOfSample((1.0, 2.0, -0.5), 60, 0.8, 0.19, 0.2, 0.02),
    sessions=(session(16, "shadow"), session(17, "shadow"), session(18, "canary"), session(19, "canary")),
    canary_share=0.1,
)


@given(evidences, st.sampled_from([Stage.SHADOW, Stage.CANARY, Stage.LIVE]))
def test_every_gate_says_its_numbers_and_a_reason_when_it_refuses(seen: Evidence, to: Stage) -> None:
    found = judge(seen, BOUNDS, to)
    assert len(found) == len(GATES[to])
    for each in found:
        assert each.observed and each.required
        assert bool(each.reason) is not each.passed


@given(evidences)
def test_what_is_asked_for_a_stage_is_asked_for_the_next(seen: Evidence) -> None:
    """Who would pass to live would have passed to shadow; the canary's own gate is about its share."""
    if all(each.passed for each in judge(seen, BOUNDS, Stage.LIVE)):
        assert all(each.passed for each in judge(seen, BOUNDS, Stage.SHADOW))


@given(evidences)
def test_without_a_leak_check_of_the_same_features_and_data_nothing_passes(seen: Evidence) -> None:
    word = seen.leak
    same = word is not None and (word.features_hash, word.data_hash) == (seen.features_hash, seen.data_hash)
    for to in (Stage.SHADOW, Stage.CANARY, Stage.LIVE):
        passed = {each.gate: each.passed for each in judge(seen, BOUNDS, to)}["leak_check"]
        assert passed is (same and word is not None and word.passed)


@given(evidences, st.sampled_from([Stage.CANARY, Stage.LIVE]))
def test_a_drifted_session_closes_the_gate_until_enough_sessions_lie_after_it(
    seen: Evidence, to: Stage
) -> None:
    drifted = msgspec.structs.replace(seen, sessions=(*seen.sessions, session(20, "shadow", drifted=True)))
    assert not {each.gate: each.passed for each in judge(drifted, BOUNDS, to)}["no_drift"]
    clean = tuple(session(day, "shadow") for day in range(21, 21 + BOUNDS.shadow_sessions))
    later = msgspec.structs.replace(drifted, sessions=(*drifted.sessions, *clean))
    assert {each.gate: each.passed for each in judge(later, BOUNDS, to)}["no_drift"]


def test_good_evidence_passes_every_gate() -> None:
    for to in (Stage.SHADOW, Stage.CANARY, Stage.LIVE):
        assert [each.gate for each in judge(GOOD, BOUNDS, to) if not each.passed] == []


@pytest.mark.parametrize(
    ("gate", "to", "change"),
    [
        ("leak_check", Stage.SHADOW, {"leak": LeakWord(False, "f1", "d1")}),
        ("leak_check", Stage.SHADOW, {"leak": LeakWord(True, "f2", "d1")}),
        ("leak_check", Stage.SHADOW, {"features_hash": "", "leak": LeakWord(True, "", "d1")}),
        ("enough_folds", Stage.SHADOW, {"fold_net_bps": (1.0, 2.0)}),
        ("enough_trades", Stage.SHADOW, {"trades": 49}),
        ("net_of_costs", Stage.SHADOW, {"net_bps": 0.0}),
        ("net_of_costs", Stage.SHADOW, {"net_bps": math.nan}),
        ("winning_folds", Stage.SHADOW, {"fold_net_bps": (5.0, -1.0, math.nan)}),
        ("calibrated", Stage.SHADOW, {"calibration_error": 0.051}),
        ("better_than_base_rate", Stage.SHADOW, {"brier": 0.201}),
        ("shadow_sessions", Stage.CANARY, {"sessions": (session(16, "shadow"),)}),
        ("shadow_sessions", Stage.CANARY, {"sessions": (DAY_ONE, session(17, "shadow", failed=True))}),
        ("shadow_sessions", Stage.CANARY, {"sessions": (DAY_ONE, DAY_ONE)}),
        ("canary_sessions", Stage.LIVE, {"sessions": GOOD.sessions[:3]}),
        ("canary_share", Stage.CANARY, {"canary_share": 0.0}),
        ("canary_share", Stage.CANARY, {"canary_share": 0.26}),
    ],
)  # fmt: skip
def test_one_thing_wrong_is_refused_by_its_own_gate(gate: str, to: Stage, change: dict[str, Any]) -> None:
    assert GOOD.out_of_sample is not None
    results = {k: v for k, v in change.items() if k in OutOfSample.__struct_fields__}
    others = {k: v for k, v in change.items() if k not in results}
    out_of_sample = msgspec.structs.replace(GOOD.out_of_sample, **results)
    seen = msgspec.structs.replace(GOOD, out_of_sample=out_of_sample, **others)
    assert [each.gate for each in judge(seen, BOUNDS, to) if not each.passed] == [gate]
