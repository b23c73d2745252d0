"""The leak gate's checks, one by one: what they must see, at the smallest size, and what they say of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research.bars import SessionBars
from research.labels import FixedHorizon
from research.leaks import feature_checks, row_checks
from research.leaks.altered import (
    Given,
    another_market,
    changed_after,
    changed_before,
    cut,
    digest,
    instruments,
    untied,
)
from research.leaks.catalogue.entry import back, filled, price
from research.leaks.catalogue.row_leaks import by_session, honest_rows
from research.leaks.comparing import different
from research.leaks.gate import Trial, judge
from research.leaks.proving_ground import proving_sessions
from research.leaks.report import FAIL, PASS, LeakReport
from research.leaks.row_checks import Split
from research.leaks.subjects import SubjectError, load, of_function
from research.leaks.target_check import FLOOR, shown

ROWS = honest_rows(4)


# --- truncation -----------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(row=st.integers(5, 50), j=st.integers(0, 3), ahead=st.integers(1, 8), seed=st.integers(0, 1_000))
def test_one_value_that_looks_ahead_is_found_and_its_reach_is_told(
    row: int, j: int, ahead: int, seed: int
) -> None:
    (bars,) = proving_sessions(seed, 1, 4, 60)
    bars = replace(bars, present=np.ones_like(bars.present), close=np.maximum(bars.close, 5))

    def peeks_once(seen: SessionBars) -> np.ndarray:
        found = np.log(seen.close.astype(float))
        mine = [k for k, symbol in enumerate(seen.symbols) if symbol == bars.symbols[j]]
        first = int((seen.close_at[0] - bars.close_at[0]) // 60_000_000_000) if len(seen.close_at) else 0
        at = row - first
        if mine and at >= 0 and at + ahead < len(found):
            found[at, mine[0]] = found[at + ahead, mine[0]] + 1.0
        return found

    (finding,) = feature_checks.truncation(of_function(peeks_once), [bars])
    assert finding.status == FAIL
    assert finding.what.startswith(f"looks {ahead} min ahead")
    assert finding.where.symbol == bars.symbols[j]
    assert f"instruments(bars, [{j}])" in finding.reproduction


def test_the_reproduction_shows_it_again_with_one_instrument_and_three_minutes() -> None:
    (bars,) = proving_sessions(1, 1)

    def ahead(seen: SessionBars) -> np.ndarray:
        return back(price(seen), -2)

    (finding,) = feature_checks.truncation(of_function(ahead), [bars])
    begun, shows = finding.reproduction.split("; ")
    known = {"bars": bars, "instruments": instruments, "cut": cut, "ahead": ahead}
    exec(begun, known)
    said = re.findall(r"(ahead\(cut\(b, \d+\)\)\[\d+, \d+\]) is ([\w.]+)", shows)
    (early, nothing), (late, number) = said
    assert nothing == "nothing" and np.isnan(eval(early, known))
    assert eval(late, known) == pytest.approx(float(number))
    assert known["b"].close.shape[1] == 1 and "cut(b, 3)" in late


def test_a_function_that_cannot_be_asked_early_in_the_day_fails() -> None:
    (bars,) = proving_sessions(1, 1)
    (finding,) = feature_checks.truncation(of_function(lambda b: b.close / b.close[30], "thirtieth"), [bars])
    assert finding.status == FAIL and "raises IndexError when the day ends after 1 minutes" in finding.what


# --- altered sessions -----------------------------------------------------------------------------------


@given(seed=st.integers(0, 1_000), row=st.integers(0, 39))
def test_a_changed_session_is_a_session_and_keeps_what_it_must(seed: int, row: int) -> None:
    (bars,) = proving_sessions(seed, 1, 5, 40)
    rng = np.random.default_rng(seed)
    before, after = changed_after(bars, row, rng), changed_before(bars, row, rng)
    for name in ("open", "high", "low", "close", "volume", "present"):
        np.testing.assert_array_equal(getattr(before, name)[: row + 1], getattr(bars, name)[: row + 1])
        np.testing.assert_array_equal(getattr(after, name)[row:], getattr(bars, name)[row:])
    for made in (before, after, another_market(bars, rng), untied(bars, rng)):
        assert (made.low <= made.open).all() and (made.close <= made.high).all()
        assert (made.low <= made.close).all() and (made.open <= made.high).all()
        assert (made.close[~made.present] == 0).all() and (made.close[made.present] > 0).all()


def test_nothing_is_changed_in_place() -> None:
    sessions = proving_sessions(2, 2)
    known = digest(sessions)
    rng = np.random.default_rng(1)
    for bars in sessions:
        changed_after(bars, 3, rng)
        another_market(bars, rng)
        instruments(bars, [1]).close[:] = 0
        cut(bars, 9).close[:] = 0
    assert digest(sessions) == known


def test_given_sessions_are_a_source() -> None:
    sessions = proving_sessions(2, 2)
    source = Given("mine", sessions)
    assert source.read(source.sessions[1]) is sessions[1]
    with pytest.raises(LookupError, match="mine has no session"):
        Given("mine", sessions[:1]).read(sessions[1].session)


def test_equal_but_for_the_order_of_summation_is_equal_unless_bits_are_asked_for() -> None:
    one = np.array([[[0.1 + 0.2]]])
    other = np.array([[[0.3]]])
    assert not different(one, other, exact=False).any()
    assert different(one, other, exact=True).all()
    nan, infinite = np.full((1, 1, 1), np.nan), np.full((1, 1, 1), np.inf)
    assert not different(nan, nan, exact=True).any() and not different(infinite, infinite, exact=False).any()
    assert different(nan, one, exact=False).any() and different(infinite, one, exact=False).any()


# --- splits ---------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(data=st.data(), seed=st.integers(0, 1_000), embargo_min=st.integers(0, 10))
def test_a_split_passes_when_no_training_span_meets_the_test_or_its_embargo(
    data: st.DataObject, seed: int, embargo_min: int
) -> None:
    rng = np.random.default_rng(seed)
    first = data.draw(st.integers(0, len(ROWS) - 50))
    test = np.arange(first, first + 40)
    train = np.setdiff1d(rng.choice(len(ROWS), 30, replace=False), test)
    embargo = embargo_min * 60_000_000_000
    begins, ends = ROWS.decided_at[test].min(), ROWS.matured_at[test].max()
    touches = any(
        ROWS.matured_at[row] > begins and ROWS.decided_at[row] <= ends + embargo for row in train.tolist()
    )
    (finding,) = row_checks.purge(ROWS, [Split(train, test)], embargo)
    assert (finding.status == FAIL) == touches


def test_a_fold_without_rows_is_not_judged_and_the_others_are() -> None:
    empty = Split(np.empty(0, dtype=np.int64), np.arange(5))
    statuses = [found.status for found in row_checks.purge(ROWS, [empty, *by_session(ROWS)], 0)]
    assert statuses == ["SKIP", PASS]


# --- the target -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_random_walk_shows_no_more_of_the_answer_than_the_floor(seed: int) -> None:
    rng = np.random.default_rng(seed)
    walk = rng.normal(size=len(ROWS)).cumsum()
    assert all(value < floor for value, floor in zip(shown(walk, ROWS), FLOOR, strict=True))


def test_the_outcome_itself_shows_all_there_is() -> None:
    found = shown(ROWS.outcome_bps, ROWS)
    assert (found.auc, found.rank) == (0.5, pytest.approx(1.0)) and found.information > 1.5


# --- what is given --------------------------------------------------------------------------------------


def test_a_feature_of_another_shape_is_refused_with_its_name() -> None:
    with pytest.raises(SubjectError, match=r"ends gives an array of shape \(6,\) for bars of \(120, 6\)"):
        judge(Trial(proving_sessions(1, 1), of_function(lambda b: b.close[-1], "ends")), 1)


def test_a_function_is_loaded_from_a_file_or_a_module(tmp_path: Path) -> None:
    place = tmp_path / "mine.py"
    place.write_text("def gap(bars):\n    return bars.open / bars.previous_close_paise - 1\n")
    (bars,) = proving_sessions(1, 1)
    assert load(f"{place}:gap")(bars).shape == bars.close.shape
    assert load("research.leaks.catalogue.fair:past_return")(bars).shape == bars.close.shape
    for wrong, says in (
        (f"{place}:gaps", "has no function 'gaps'; there are: gap"),
        (f"{tmp_path / 'none.py'}:gap", "there is no such file"),
        ("no.such.module:gap", "cannot be imported: ModuleNotFoundError"),
        ("gap", "names no function"),
    ):
        with pytest.raises(SubjectError, match=says):
            load(wrong)


def test_several_features_of_one_function_are_judged_each() -> None:
    def two(bars: SessionBars) -> np.ndarray:
        known = filled(price(bars))
        return np.stack([known / back(known, 1), back(known, -1) / known], axis=2)

    features = of_function(two, "two", ("past", "future"))
    report = judge(Trial(proving_sessions(3, 2), features, FixedHorizon(5)), 3)
    assert {found.subject for found in report.leaks} == {"future"}
    by_name = {found.subject: found.status for found in report.findings if found.check == "truncation"}
    assert by_name == {"past": PASS, "future": FAIL}


# --- the report -----------------------------------------------------------------------------------------


def test_a_report_survives_its_json_and_says_whether_it_passed() -> None:
    report = judge(Trial(proving_sessions(1, 1), of_function(lambda b: back(price(b), -1), "ahead")), 1)
    assert json.loads(report.to_json())["passed"] is False
    assert LeakReport.from_json(report.to_json()) == report
    with pytest.raises(ValueError, match="not a report of the leak gate"):
        LeakReport.from_json('{"passed": true}')


def test_nothing_judged_is_not_passed() -> None:
    assert not judge(Trial(), 1).passed


# --- the guide ------------------------------------------------------------------------------------------


def test_the_code_of_the_guide_passes_and_its_mistake_does_not() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/how-to/leak-check.md").read_text()
    own, from_python = re.findall(r"```python\n(.*?)```", page, re.S)
    known: dict[str, object] = {}
    exec(own, known)
    exec(from_python, known)
    wrong = own.replace(
        "np.where((traded == 1) & bars.present, bars.open, 0).max(axis=0, initial=0)", "bars.high.max(axis=0)"
    )
    assert wrong != own
    exec(wrong, known)
    features = of_function(known["gap"], "gap")  # type: ignore[arg-type]
    leaks = judge(Trial(proving_sessions(1, 2), features), 7).leaks
    assert "truncation" in {found.check for found in leaks}
