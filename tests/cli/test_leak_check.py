"""`kitepilot leak-check`: exit codes, the place of a leak, a report that promotion reads, clear refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kitepilot.cli.main import app
from kitepilot.cli.model_book import leak_word
from research.leaks.report import LeakReport

SMALL = ("--data", "generated:3x4", "--folds", "rolling:2/1")
OWN = """
import numpy as np

def honest(bars):
    before = np.full(bars.close.shape, np.nan)
    before[5:] = bars.close[:-5]
    return bars.close / before - 1

def peeks(bars):
    after = np.full(bars.close.shape, np.nan)
    after[:-1] = bars.close[1:]
    return after / bars.close - 1

def whole(rows):
    return [(np.arange(len(rows)), np.arange(len(rows) // 2, len(rows)))]

def mean_of_all(rows, train, test):
    return np.full(len(test), rows.y.mean())
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KITEPILOT_HOME", str(tmp_path))
    (tmp_path / "own.py").write_text(OWN)

    def invoke(*arguments: str) -> Result:
        named = [each.replace("OWN", str(tmp_path / "own.py")) for each in arguments]
        return CliRunner().invoke(app, ["leak-check", *named])

    return invoke


def test_an_honest_function_passes_and_its_report_is_what_promotion_reads(run, tmp_path: Path) -> None:
    found = run("--mine", "OWN:honest", *SMALL, "--out", str(tmp_path / "leaks.json"), "--json")
    assert found.exit_code == 0, found.output
    report = LeakReport.from_json(found.stdout)
    assert report.to_json() == (tmp_path / "leaks.json").read_text()
    word = leak_word((tmp_path / "leaks.json").read_bytes(), "leaks.json")
    assert word.passed and word.features_hash == report.features_hash and word.data_hash == report.data_hash


def test_a_function_that_peeks_is_named_with_its_place(run) -> None:
    found = run("--mine", "OWN:peeks", *SMALL, "--json")
    assert found.exit_code == 1
    (cut,) = [each for each in json.loads(found.stdout)["findings"] if each["check"] == "truncation"]
    assert (
        cut["status"] == "FAIL" and cut["where"]["symbol"] == "SYN000" and cut["where"]["minute"] == "09:16"
    )


def test_folds_and_a_pipeline_of_ones_own_are_judged(run) -> None:
    found = run(
        *("--mine", "OWN:honest", "--data", "generated:3x4", "--json"),
        *("--folds", "OWN:whole", "--pipeline", "OWN:mean_of_all"),
    )
    assert found.exit_code == 1
    leaks = {each["check"] for each in json.loads(found.stdout)["findings"] if each["status"] == "FAIL"}
    assert leaks == {"purge", "fold_order", "duplicate_rows", "pipeline"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--mine", "OWN:none"), "has no function 'none'; there are: honest, mean_of_all, peeks, whole"),
        (("--mine", "OWN:honest", "--label", "horizon"), "no label 'horizon'"),
        (("--mine", "OWN:honest", "--embargo", "soon"), "is no span of time"),
        (("--mine", "OWN:honest", "--folds", "rolling:9/3"), "too few for rolling:9/3"),
        (("--features", "ret_5m,luck"), "there is no feature 'luck'"),
        (("--data", "never-imported"), "no dataset 'never-imported'"),
    ],
)
def test_what_cannot_be_judged_is_one_line_and_exit_code_2(
    run, arguments: tuple[str, ...], says: str
) -> None:
    small = SMALL if "--data" not in arguments and "--folds" not in arguments else SMALL[:2]
    found = run(*(small if "--data" not in arguments else ()), *arguments)
    assert found.exit_code == 2
    assert says in " ".join(found.stderr.split())
    assert "Traceback" not in found.stderr
