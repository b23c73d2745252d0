"""Drift that was planted is found in time, days without drift stay quiet, and a restart changes no word."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest
from drift_streams import AT, FEATURES, KINDS, MINUTES, ROWS, day, features, told
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kitepilot.models.card import FeatureReference
from kitepilot.models.drift_watch import BLEND, DriftWatch, Watched
from kitepilot.models.error_drift import KEPT_CLOSES, MAX_CLOSES, SETTLE_CLOSES, ErrorDrift
from kitepilot.models.feature_drift import BLOCKS, CLOSES, FeatureDrift, counted, stability
from kitepilot.models.matured_scores import MaturedScores
from kitepilot.models.reference import LEAST_LIMIT, references_of

SEEDS = range(5)
EVERYBODY = np.ones(ROWS, dtype=bool)
#: Minutes within which each kind is found on these seeds; rates over many seeds: `benchmarks/drift.py`.
WITHIN = {"sudden": 90, "gradual": 90, "flip": 60}


# --- the error of a score -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(WITHIN))
@pytest.mark.parametrize("seed", SEEDS)
def test_a_score_that_becomes_worse_is_found_in_time(kind: str, seed: int) -> None:
    found = [minute for minute in told(ErrorDrift(), day(seed, kind)) if minute >= AT]
    assert found, "never"
    assert found[0] - AT <= WITHIN[kind]


@pytest.mark.parametrize("shape", [False, True])
@pytest.mark.parametrize("skill", [0.0, 1.0])
def test_days_without_drift_stay_quiet_though_all_share_the_markets_move(shape: bool, skill: float) -> None:
    alarms = [told(ErrorDrift(), day(seed, skill=skill, shape=shape)) for seed in SEEDS]
    assert alarms == [[]] * len(SEEDS)


def test_a_score_that_becomes_better_is_no_alarm() -> None:
    worse_first = [*itertools.islice(day(1, "flip"), AT, None), *itertools.islice(day(2), AT)]
    assert told(ErrorDrift(), iter(worse_first)) == []


@settings(max_examples=20, deadline=None)
@given(cut=st.integers(0, MINUTES), seed=st.integers(0, 4), kind=st.sampled_from(KINDS))
def test_a_restored_detector_says_the_same_at_the_same_minutes(cut: int, seed: int, kind: str) -> None:
    stream = list(day(seed, kind))
    first, second = ErrorDrift(), ErrorDrift()
    before = told(first, iter(stream[:cut]))
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot())))
    assert second.snapshot() == first.snapshot()
    after = [cut + minute for minute in told(second, iter(stream[cut:]))]
    assert before + after == told(ErrorDrift(), iter(stream))


def test_what_a_detector_keeps_does_not_grow_with_the_days() -> None:
    detector, rng = ErrorDrift(), np.random.default_rng(5)
    for _ in range(3 * MAX_CLOSES):
        detector.on_matured(np.full(ROWS, 0.3), rng.random(ROWS) < 0.3)
        assert len(detector.snapshot()) <= MAX_CLOSES
    assert len(detector.snapshot()) > max(SETTLE_CLOSES, KEPT_CLOSES)


# --- features -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reference() -> dict[str, FeatureReference]:
    days = [features(seed).reshape(-1, len(FEATURES)) for seed in range(100, 108)]
    return references_of(FEATURES, np.concatenate(days), days)


def watch(detector: FeatureDrift, x: np.ndarray, first: int = 0) -> list[tuple[int, str]]:
    found = [(first + n, detector.on_close(rows, EVERYBODY)) for n, rows in enumerate(x)]
    return [(minute, each.feature) for minute, said in found for each in said]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["own", "steps"])
def test_a_feature_that_moves_by_its_own_deviation_is_found_within_the_hour(
    reference: dict[str, FeatureReference], name: str, seed: int
) -> None:
    by = 1.0 if name == "own" else 2.0
    found = watch(FeatureDrift(reference, FEATURES), features(seed, shifted=FEATURES.index(name), by=by))
    ((minute, feature),) = found
    assert feature == name
    assert 0 <= minute - AT <= 60


@pytest.mark.parametrize("seed", SEEDS)
def test_features_that_wander_by_nature_are_left_alone(
    reference: dict[str, FeatureReference], seed: int
) -> None:
    """The clock is another each hour, the market's move is one for all: their limits were learned."""
    assert reference["own"].limit == LEAST_LIMIT
    assert reference["clock"].limit > 10 * LEAST_LIMIT
    assert watch(FeatureDrift(reference, FEATURES), features(seed)) == []


def test_a_feature_that_stays_shifted_is_told_once(reference: dict[str, FeatureReference]) -> None:
    found = watch(FeatureDrift(reference, FEATURES), features(1, shifted=0, by=3.0))
    assert [feature for _, feature in found] == ["own"]


def test_a_feature_that_goes_missing_has_drifted(reference: dict[str, FeatureReference]) -> None:
    x = features(1)
    x[AT:, :, FEATURES.index("own")] = np.nan
    detector = FeatureDrift(reference, FEATURES)
    said = [each for rows in x for each in detector.on_close(rows, EVERYBODY)]
    assert [(each.feature, each.detector) for each in said] == [("own", "missing")]
    assert said[0].observed > said[0].limit == pytest.approx(0.1)


def test_values_that_are_missing_each_morning_by_nature_do_not_hide_a_shift_of_those_that_are_there() -> None:
    """A window of 50 minutes: its limit must not come from the hour in which it fills."""
    days = [features(seed)[:, :, :1] for seed in range(100, 109)]
    for day_ in days:
        day_[:50] = np.nan
    past = [day_.reshape(-1, 1) for day_ in days[:8]]
    reference = references_of(("own",), np.concatenate(past), past)
    quiet, shifted = days[8], days[8].copy()
    shifted[AT:] += 1.0
    assert watch(FeatureDrift(reference, ("own",)), quiet) == []
    assert [name for _, name in watch(FeatureDrift(reference, ("own",)), shifted)] == ["own"]


@settings(max_examples=20, deadline=None)
@given(cut=st.integers(0, MINUTES), seed=st.integers(0, 4))
def test_a_restored_watch_on_features_goes_on_as_if_nothing_had_happened(
    reference: dict[str, FeatureReference], cut: int, seed: int
) -> None:
    x = features(seed, shifted=0)
    first, second = FeatureDrift(reference, FEATURES), FeatureDrift(reference, FEATURES)
    before = watch(first, x[:cut])
    blob = msgspec.msgpack.encode(first.snapshot())
    second.restore(msgspec.msgpack.decode(blob))
    assert msgspec.msgpack.encode(second.snapshot()) == blob
    assert before + watch(second, x[cut:], cut) == watch(FeatureDrift(reference, FEATURES), x)


def test_what_is_kept_of_features_is_counts_of_an_hour_however_many_rows_came(
    reference: dict[str, FeatureReference],
) -> None:
    detector = FeatureDrift(reference, FEATURES)
    watch(detector, features(1)[: CLOSES * BLOCKS])
    size = len(msgspec.msgpack.encode(detector.snapshot()))
    watch(detector, np.concatenate([features(seed) for seed in SEEDS]))
    assert len(msgspec.msgpack.encode(detector.snapshot())) <= size + 10 * len(FEATURES)


values = arrays.arrays(
    np.float64, (40, 3), elements=st.floats(-5, 5) | st.sampled_from([np.nan, np.inf, 0.0])
)


@given(x=values)
def test_every_row_is_counted_once_in_each_feature(x: np.ndarray) -> None:
    edges = np.array([[-1.0, 0.0, 1.0], [0.0, np.inf, np.inf], [np.inf] * 3])
    counts = counted(x, edges)
    assert counts.sum(axis=1).tolist() == [len(x)] * 3
    assert counts[:, -1].tolist() == np.isnan(x).sum(axis=0).tolist()
    assert counts[0, 1] == ((x[:, 0] >= -1.0) & (x[:, 0] < 0.0)).sum()


@given(counts=arrays.arrays(np.int64, (4, 11), elements=st.integers(0, 500)))
def test_the_index_is_never_negative_and_zero_for_the_same_shares(counts: np.ndarray) -> None:
    counts[:, 0] += 200
    shares = counts[:, :-1] / counts[:, :-1].sum(axis=1, keepdims=True)
    assert stability(shares, 7 * counts).tolist() == pytest.approx([0.0] * 4, abs=1e-9)
    assert (stability(np.full((4, 10), 1 / 10), counts) >= 0).all()


# --- what follows -------------------------------------------------------------------------------------------


def test_only_the_blended_scores_drift_makes_more_than_a_word() -> None:
    drifts = DriftWatch("reduce", "reduce", None)
    said = []
    for minute, (scores, y) in enumerate(day(0, "flip")):
        said += drifts.on_matured(MaturedScores(minute, y, {"offline": scores, BLEND: scores}))
    assert {(each.model, each.act, each.scores) for each in said} == {
        ("offline", "tell", ("offline",)),
        (BLEND, "reduce", (BLEND,)),
    }
    assert all(each.observed > each.limit for each in said)


@pytest.mark.parametrize(("shifted", "acts"), [((0,), ["tell"]), ((0, 4), ["tell", "reduce"])])
def test_one_shifted_feature_is_a_word_and_a_tenth_of_them_is_more(
    reference: dict[str, FeatureReference], shifted: tuple[int, ...], acts: list[str]
) -> None:
    drifts = DriftWatch("tell", "reduce", Watched("offline", reference, FEATURES))
    x = features(1)
    for order, column in enumerate(shifted):
        x[AT + order * CLOSES :, :, column] += 9.0  # one after the other
    scores = {"offline": np.full(ROWS, 0.5)}
    said = [each for rows in x for each in drifts.on_rows(rows, scores)]
    assert [each.act for each in said] == acts
    assert {each.scores for each in said} == {("offline", BLEND)}


def test_a_value_on_the_edge_of_a_bin_stays_in_its_bin_when_training_rounded_it() -> None:
    """One share in ten, and 0.1 is not the same number in single precision."""
    tenths = np.random.default_rng(1).integers(0, 11, (MINUTES, ROWS, 1)) / 10
    rounded = tenths.astype(np.float32).astype(np.float64).reshape(-1, 1)
    reference = references_of(("share",), rounded, [rounded] * 8)
    scores = {"m": np.full(ROWS, 0.5)}
    for single, drifts in ((True, 0), (False, 1)):
        watching = DriftWatch("tell", "tell", Watched("m", reference, ("share",), single))
        assert len([each for x in tenths for each in watching.on_rows(x, scores)]) == drifts
