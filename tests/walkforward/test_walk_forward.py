"""Walk-forward: nothing later reaches what is learned, the same bytes however it was run, one fold's failure
is not the others'."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from planted_rows import DAY, DAYS, FEATURES, INSTRUMENTS, day_of, kept, run_in, settings_of

from kitepilot.models.loading import make_offline, read_card
from kitepilot.models.port import ModelError
from research.examples import Examples
from research.generated_bars import weekdays
from research.trainers.port import trainer
from research.walkforward.fold_file import RESULT, finished
from research.walkforward.fold_fit import apart, fit_fold
from research.walkforward.folds import (
    Fold,
    Scheme,
    SchemeError,
    clear_of,
    final_fold,
    folds_of,
    held_out,
    scheme_of,
)
from research.walkforward.page import evidence_of
from research.walkforward.rows import RowStore, keep_rows
from research.walkforward.run import Run

PATIENCE_S = 120


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """A run from beginning to end in one process."""
    folder = tmp_path_factory.mktemp("whole")
    kept(folder)
    return folder, run_in(folder)


def store_of(folder: Path) -> RowStore:
    store = RowStore.at(folder / "rows")
    assert store is not None
    return store


# --- folds ------------------------------------------------------------------------------------------------

schemes = st.builds(Scheme, st.sampled_from(["rolling", "expanding"]), st.integers(1, 12), st.integers(1, 6))


@given(scheme=schemes, count=st.integers(1, 60))
def test_every_session_after_the_first_window_is_tested_once_by_a_model_that_knows_only_earlier_ones(
    scheme: Scheme, count: int
) -> None:
    sessions = weekdays(date(2024, 1, 1), count)
    assert scheme_of(str(scheme)) == scheme
    if count <= scheme.train:
        with pytest.raises(SchemeError, match=f"{count} sessions are too few"):
            folds_of(sessions, scheme)
        return
    folds = folds_of(sessions, scheme)
    assert sum((fold.test for fold in folds), ()) == sessions[scheme.train :]
    for fold in folds:
        assert max(fold.train) < min(fold.test)
        assert len(fold.train) == scheme.train or scheme.kind == "expanding"
        assert fold.train == sessions[sessions.index(fold.train[0]) : sessions.index(fold.test[0])]
    assert final_fold(sessions, scheme).train[-1] == sessions[-1]


@pytest.mark.parametrize("text", ["", "rolling", "rolling:3", "rolling:0/3", "sliding:3/1", "rolling:3/-1"])
def test_folds_that_make_no_sense_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(SchemeError, match="rolling:10/3"):
        scheme_of(text)


spans = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 120)).map(lambda one: (one[0], one[0] + one[1])),
    min_size=1,
    max_size=30,
)


@given(train=spans, test=spans, embargo=st.integers(0, 60))
def test_no_training_rows_span_touches_a_test_rows_span_with_its_embargo(
    train: list[tuple[int, int]], test: list[tuple[int, int]], embargo: int
) -> None:
    decided, matured = np.array(train).T
    first, last = min(a for a, _ in test), max(b for _, b in test)
    keep = clear_of(decided, matured, first, last, embargo)
    for (begin, end), stays in zip(train, keep, strict=True):
        if stays:
            assert all(end < a - embargo or begin > b + embargo for a, b in test)
        else:
            assert end >= first - embargo
            assert begin <= last + embargo


@pytest.mark.parametrize("horizon_days", [0, 1])
@pytest.mark.parametrize("embargo", [0, DAY // 4])
def test_in_a_fold_no_part_knows_a_later_one(tmp_path: Path, horizon_days: int, embargo: int) -> None:
    """Labels that look a day ahead, as nobody's intraday labels do, so that something must be purged."""
    keep_rows(tmp_path / "rows", (day_of(day, 300 + horizon_days * DAY) for day in DAYS))
    store = store_of(tmp_path)
    chosen = settings_of(embargo_ns=embargo, trials=0, scheme="rolling:9/2")
    made = fit_fold(store, Fold(1, DAYS[:9], DAYS[9:]), trainer("lightgbm"), chosen, lambda: None)
    assert bool(made.purged) == bool(horizon_days)
    for earlier, later in ((made.fit, made.held), (made.fit, made.test), (made.held, made.test)):
        if len(later) and len(earlier):
            assert earlier.ints("matured_at").max() + embargo < later.ints("decided_at").min()
    assert len(apart(made.fit, made.test, embargo)[0]) == len(made.fit)


# --- what a fold may know -----------------------------------------------------------------------------------


def fold_with(tmp_path: Path, changed: tuple[date, ...], change: Any) -> Any:
    days = [day.toordinal() - date(1970, 1, 1).toordinal() for day in changed]
    store = tmp_path / f"{len(list(tmp_path.iterdir()))}"
    store.mkdir()
    kept(store, lambda day: change(day) if day.session[0] in days else day)
    return fit_fold(
        store_of(store), Fold(1, DAYS[:8], DAYS[8:]), trainer("lightgbm"), settings_of(), lambda: None
    )


def turned(day: Examples) -> Examples:
    """The opposite of everything: labels, outcomes and features."""
    return replace(day, y=1.0 - day.y, outcome_bps=-day.outcome_bps, x=-day.x[:, ::1] * 7.0)


def test_what_happens_in_the_test_never_reaches_model_calibration_or_threshold(tmp_path: Path) -> None:
    one, other = fold_with(tmp_path, (), turned), fold_with(tmp_path, DAYS[8:], turned)
    assert one.fitted == other.fitted
    assert (one.tried, one.calibration, one.threshold) == (other.tried, other.calibration, other.threshold)
    assert one.test_score.tobytes() != other.test_score.tobytes()


def test_what_is_held_out_decides_calibration_and_threshold_and_never_the_fit(tmp_path: Path) -> None:
    _, held = held_out(DAYS[:8])
    one, other = fold_with(tmp_path, (), turned), fold_with(tmp_path, held, turned)
    assert (one.fitted, one.tried) == (other.fitted, other.tried)
    assert one.calibration != other.calibration


def test_the_best_trial_is_the_one_that_is_fitted_and_the_first_is_the_default(tmp_path: Path) -> None:
    made = fold_with(tmp_path, (), turned)
    best = min(made.tried, key=lambda one: one["loss"])
    assert {name: made.parameters[name] for name in best if name != "loss"} == {
        name: value for name, value in best.items() if name != "loss"
    }
    assert made.tried[0]["learning_rate"] == trainer("lightgbm").defaults["learning_rate"]


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_a_row_counts_by_its_weight(tmp_path: Path, kind: str) -> None:
    """Half of the rows say the opposite; whoever has the weight is believed."""

    def split(heavy: float) -> Any:
        def change(day: Examples) -> Examples:
            odd = np.arange(len(day)) % 2 == 1
            return replace(day, y=np.where(odd, 1 - day.y, day.y), weight=np.where(odd, heavy, 1.0))

        return change

    slopes = []
    for heavy in (0.01, 100.0):
        folder = tmp_path / f"{heavy}"
        folder.mkdir()
        kept(folder, split(heavy))
        chosen = settings_of(trials=0, calibration="none", kind=kind, parameters={"trees": 20})
        fold = Fold(1, DAYS[:8], DAYS[8:])
        made = fit_fold(store_of(folder), fold, trainer(kind), chosen, lambda: None)
        lean = np.concatenate(list(made.test.chunks()))[:, 0]
        known = np.isfinite(lean)
        slopes.append(np.corrcoef(lean[known], made.test_raw[known])[0, 1])
    assert slopes[0] > 0.5
    assert slopes[1] < -0.5


# --- the same bytes -----------------------------------------------------------------------------------------


def test_two_jobs_give_the_bytes_of_one_and_another_seed_gives_others(
    whole: tuple[Path, Run], tmp_path: Path
) -> None:
    folder, run = whole
    kept(tmp_path)
    again = run_in(tmp_path, jobs=2)
    assert again.folder.name == run.folder.name
    assert contents(again.folder) == contents(run.folder)
    other = run_in(folder, settings_of(seed=8))
    assert other.folder != run.folder
    assert other.result.model != run.result.model


def test_a_run_that_is_killed_goes_on_with_what_is_missing_and_ends_in_the_same_bytes(
    whole: tuple[Path, Run], tmp_path: Path
) -> None:
    kept(tmp_path)
    script = Path(__file__).parent / "planted_rows.py"
    began = subprocess.Popen([sys.executable, script, tmp_path, "2"], env=dict(os.environ))
    folder = tmp_path / "training" / whole[1].folder.name
    until = time.monotonic() + PATIENCE_S
    while not any(folder.glob(f"folds/*/{RESULT}")):
        assert time.monotonic() < until
        assert began.poll() is None
        time.sleep(0.002)
    workers = psutil.Process(began.pid).children(recursive=True)
    began.send_signal(signal.SIGKILL)
    began.wait()
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE_S)
    assert not alive
    assert not (folder / "result.json").exists()
    stamps = {path: path.stat().st_mtime_ns for path in folder.glob(f"folds/*/{RESULT}")}
    assert contents(run_in(tmp_path).folder) == contents(whole[1].folder)
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_a_damaged_fold_is_made_again(whole: tuple[Path, Run], tmp_path: Path) -> None:
    kept(tmp_path)
    run = run_in(tmp_path)
    scores = run.folder / "folds" / "002" / "scores.parquet"
    scores.write_bytes(scores.read_bytes()[:-1])
    assert finished(scores.parent) is None
    assert contents(run_in(tmp_path).folder) == contents(whole[1].folder)


# --- the model that is kept ---------------------------------------------------------------------------------


def test_live_scores_the_rows_to_the_bit_as_they_were_measured(whole: tuple[Path, Run]) -> None:
    """The kept files, read as the market flow reads them, over kernels that compute more in another order."""
    run = whole[1]
    card = read_card(run.card.read_bytes(), str(run.card))
    names = ("other", *reversed(FEATURES))
    model = make_offline("lightgbm", run.artifact.read_bytes(), card, names)
    held = finished(run.folder / "final")
    assert held is not None
    told = pq.read_table(run.folder / "final" / "scores.parquet")["score"].to_numpy()
    days = [day_of(date.fromisoformat(day)) for day in held.held_dates]
    x = np.concatenate([np.c_[np.zeros(len(day)), day.x[:, ::-1]] for day in days])
    assert model.score(x).tobytes() == told.tobytes()


def test_the_card_says_where_the_model_comes_from(whole: tuple[Path, Run]) -> None:
    run = whole[1]
    card = read_card(run.card.read_bytes(), str(run.card))
    assert card.features == ("lean", "noise", "drift")
    assert (card.nan, card.precision, card.training_run) == ("native", "float32", run.folder.name)
    assert [one.number for one in card.folds] == [1, 2, 3]
    assert all(0.75 < one.metrics["auc"] < 0.9 for one in card.folds)
    assert card.out_of_sample == run.result.out_of_sample
    assert set(card.train_dates).isdisjoint(card.validation_dates)
    assert max(card.validation_dates) == f"{DAYS[-1]}"
    spread = card.reference["lean"]
    assert sum(spread.shares) == pytest.approx(1.0)
    assert 0.005 < spread.missing < 0.05


def test_what_is_planted_is_found_and_measured(whole: tuple[Path, Run]) -> None:
    result = whole[1].result
    assert next(iter(result.importance)) == "lean"
    assert result.importance["lean"]["permutation"] > 10 * abs(result.importance["noise"]["permutation"])
    assert result.out_of_sample["brier"] < 0.8 * result.out_of_sample["brier_base"]
    assert result.out_of_sample["net_bps_low"] > 0
    assert result.out_of_sample["rows"] == 6 * 800
    assert 0 < result.out_of_sample["trades"] < result.out_of_sample["rows"] / 5


def exported() -> bytes:
    """A logistic regression on three features, as another library would export it."""
    told = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 3])
    said = helper.make_tensor_value_info("p", TensorProto.FLOAT, ["rows", 1])
    weights = numpy_helper.from_array(np.array([[3.0], [0.0], [0.0]], dtype=np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Sigmoid", ["z"], ["p"])]
    graph = helper.make_graph(nodes, "g", [told], [said], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    made: bytes = model.SerializeToString()
    return made


def test_a_frozen_model_is_measured_and_calibrated_as_it_is(tmp_path: Path) -> None:
    artifact = exported()
    (tmp_path / "m.onnx").write_bytes(artifact)
    kept(tmp_path)
    chosen = settings_of(
        kind="onnx", artifact=str(tmp_path / "m.onnx"), features=FEATURES[:3], trials=0, parameters={}
    )
    run = run_in(tmp_path, chosen)
    assert run.artifact.read_bytes() == artifact
    assert all(one.rows_unscored for one in run.result.folds)  # a NaN is refused
    assert run.result.out_of_sample["auc"] > 0.75
    assert run.result.out_of_sample["log_loss"] < run.result.raw_out_of_sample["log_loss"]


# --- bad input --------------------------------------------------------------------------------------------


def test_a_fold_that_cannot_be_made_says_why_and_the_others_go_on(tmp_path: Path) -> None:
    """The first five days know one kind of label; the later folds see both."""
    first = [day.toordinal() - date(1970, 1, 1).toordinal() for day in DAYS[:5]]
    kept(tmp_path, lambda day: replace(day, y=day.y * 0) if day.session[0] in first else day)
    result = run_in(tmp_path, settings_of(trials=0)).result
    assert [bool(one.failed) for one in result.folds] == [True, False, False]
    assert "fold 1: all 3200 labels to fit on are false: there is nothing to learn" in result.warnings
    assert result.out_of_sample["rows"] == 4 * 800


def test_features_that_say_nothing_are_named_and_left_out(whole: tuple[Path, Run]) -> None:
    told = whole[1].result.warnings
    assert "everywhere: feature still is 3 in every row it could learn from: left out" in told
    assert "everywhere: feature void is NaN in every row it could learn from: left out" in told


def test_a_fold_in_which_nothing_pays_trades_nothing_and_says_so(tmp_path: Path) -> None:
    kept(tmp_path, lambda day: replace(day, outcome_bps=np.full(len(day), -3.0)))
    result = run_in(tmp_path, settings_of(trials=0)).result
    assert result.out_of_sample["trades"] == 0
    assert result.final.threshold is None
    assert any(
        told.startswith("fold 1, fold 2, fold 3: no threshold earned after costs on the held-out rows")
        for told in result.warnings
    )


def test_too_few_rows_are_one_line(tmp_path: Path) -> None:
    kept(tmp_path, lambda day: day.take(np.arange(INSTRUMENTS)))
    with pytest.raises(ModelError, match=r"no fold could be made; .* 80 labelled rows to fit on"):
        run_in(tmp_path)


def test_a_trainer_that_fails_fails_its_fold_alone_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from research.trainers.lightgbm_trees import LightGbmTrainer

    whole_fit = LightGbmTrainer.fit

    def fit(self: Any, prepared: Any, parameters: Any, seed: int) -> Any:
        if prepared.num_data() == 3200 and not calls.append(1) and len(calls) == 2:
            raise RuntimeError("out of luck")
        return whole_fit(self, prepared, parameters, seed)

    calls: list[int] = []
    kept(tmp_path)
    monkeypatch.setattr(LightGbmTrainer, "fit", fit)
    chosen = settings_of(trials=0)
    first = run_in(tmp_path, chosen)
    assert [one.failed[:12] for one in first.result.folds] == ["", "RuntimeError", ""]
    monkeypatch.setattr(LightGbmTrainer, "fit", whole_fit)
    assert not any(one.failed for one in run_in(tmp_path, chosen).result.folds)


@settings(max_examples=20, deadline=None)
@given(bad=st.sampled_from(["order", "label", "infinite", "none"]))
def test_rows_that_cannot_be_are_not_kept(tmp_path_factory: pytest.TempPathFactory, bad: str) -> None:
    folder = tmp_path_factory.mktemp("rows")
    days = [day_of(day) for day in DAYS[:2]]
    if bad == "order":
        days.reverse()
    elif bad == "label":
        days[1] = replace(days[1], label="another")
    elif bad == "infinite":
        days[1].x[3, 1] = np.inf
    else:
        days = []
    with pytest.raises(ModelError):
        keep_rows(folder / "rows", iter(days))
    assert RowStore.at(folder / "rows") is None


# --- the page ------------------------------------------------------------------------------------------


def test_the_page_stands_alone_and_says_what_the_result_says(whole: tuple[Path, Run]) -> None:
    page = (whole[1].folder / "walk-forward.html").read_text()
    assert not re.search(r"<script|<link|src=|href=\"http", page)
    assert page.count("<svg") == 3
    assert all(escape(one) in page for one in whole[1].result.warnings)
    assert f"{whole[1].result.out_of_sample['auc']:.3f}" in page


def test_a_report_of_the_model_gets_its_folds_and_reliability(whole: tuple[Path, Run]) -> None:
    told = evidence_of(whole[1].result)
    assert [line["fold"] for line in told.folds] == ["1", "2", "3", "all"]
    assert sum(rows for *_, rows in told.reliability) == whole[1].result.out_of_sample["rows"]
    assert sum(share for _, share in told.importance) == pytest.approx(1.0)
