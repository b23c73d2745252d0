"""`kitepilot train` as its owner meets it: bars in, figures and a model out; one line when it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kitepilot.cli.main import app
from kitepilot.kernels.features import FEATURE_NAMES
from kitepilot.models.loading import make_offline, read_card

SMALL = ("--data", "generated:4x9", "--folds", "expanding:6/2", "--set", "trees=12", "--cost", "4")


def train(home: Path, *words: str) -> Result:
    return CliRunner().invoke(
        app, ["train", *words], env={"KITEPILOT_HOME": str(home)}, catch_exceptions=False
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_a_random_walk_teaches_nothing_and_the_model_it_leaves_is_read_live(home: Path) -> None:
    done = train(home, *SMALL, "--trials", "1", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [len(fold["test_dates"]) for fold in told["folds"]] == [2, 1]
    assert 0.45 < told["out_of_sample"]["auc"] < 0.55
    assert any("show no edge across regimes" in one for one in told["warnings"])
    assert (Path(told["folder"]) / "walk-forward.html").exists()
    card = read_card(Path(told["card"]).read_bytes(), told["card"])
    assert set(card.features) < set(FEATURE_NAMES)
    assert "spread" not in card.features  # bars have no book
    assert make_offline("lightgbm", Path(told["artifact"]).read_bytes(), card, FEATURE_NAMES)


def test_the_same_command_again_makes_nothing_anew(home: Path) -> None:
    first = train(home, *SMALL)
    folder = next((home / "training").glob("*/result.json")).parent
    stamps = {path: path.stat().st_mtime_ns for path in folder.glob("folds/*/fold.json")}
    again = train(home, *SMALL)
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert first.stdout == again.stdout
    assert "kitepilot models import" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--data", "nowhere"), "no dataset 'nowhere'"),
        (("--label", "up"), "write horizon:MINUTES"),
        (("--folds", "weekly"), "rolling:TRAIN/TEST"),
        (("--folds", "rolling:20/2"), "9 sessions are too few for rolling:20/2: it needs at least 21"),
        (("--embargo", "soon"), "write 30m, 2h, 1d or 0"),
        (("--features", "ret_5m,ret_5n"), "there is no feature 'ret_5n'"),
        (("--model", "lightgbn"), "no trainer 'lightgbn': there are lightgbm, xgboost, onnx with --artifact"),
        (("--model", "onnx"), "give its file with --artifact"),
        (("--artifact", "m.onnx"), "is the file of an onnx model, but the model is lightgbm"),
        (("--model", "onnx", "--artifact", "m.onnx"), "cannot read the model"),
        (("--calibration", "beta"), "is none of platt, isotonic, none"),
        (("--set", "trees=many"), "wants a number like 160"),
        (("--set", "trees"), "write NAME=VALUE"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    home: Path, words: tuple[str, ...], told: str
) -> None:
    done = train(home, *SMALL, *words)
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_an_artifact_that_is_no_model_is_one_line(home: Path, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"not a graph")
    done = train(
        home, *SMALL, "--model", "onnx", "--artifact", str(tmp_path / "m.onnx"), "--features", "ret_5m"
    )
    assert done.exit_code == 2
    assert "is not an ONNX model" in " ".join(done.stderr.split())
