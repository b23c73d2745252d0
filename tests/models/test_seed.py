"""`make seed`: earlier synthetic sessions in, the same model out, every time."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from kitepilot.cli.seed import seed, sessions_before
from kitepilot.config import Config, build
from kitepilot.models.port import ModelError
from kitepilot.run import Run


def quiet(_what: str, _share: float) -> None:
    pass


@pytest.mark.slow
def test_the_same_seed_trains_the_same_artifact_and_trains_it_once(tmp_path: Path) -> None:
    first = seed(tmp_path / "a", 2, 5, quiet)
    again = seed(tmp_path / "a", 2, 5, quiet)
    elsewhere = seed(tmp_path / "b", 2, 5, quiet)
    assert (first["trained"], again["trained"], elsewhere["trained"]) == (True, False, True)
    artifact = Path(first["artifact"]).read_bytes()
    assert artifact == Path(elsewhere["artifact"]).read_bytes()
    Path(first["artifact"]).write_bytes(artifact[:-1])
    assert seed(tmp_path / "a", 2, 5, quiet)["trained"]
    assert Path(first["artifact"]).read_bytes() == artifact


def test_training_sessions_end_before_the_run_and_skip_the_weekend() -> None:
    monday = date(2026, 11, 23)
    assert sessions_before(monday, 3) == [date(2026, 11, 18), date(2026, 11, 19), date(2026, 11, 20)]


def test_it_says_why_it_cannot_train(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="give 2 to 60"):
        seed(tmp_path, 1, 5, quiet)
    early = build({"session": {"date": "2016-01-04"}})
    with pytest.raises(ModelError, match="no 3 sessions before 2016-01-04"):
        seed(tmp_path, 3, 5, quiet, config=early)


def test_a_flow_without_its_model_says_what_to_do(tmp_path: Path) -> None:
    from flows.run_models import read_offline

    run = Run("paper-20261120-0001", tmp_path / "runs" / "paper-20261120-0001", Config())
    with pytest.raises(ModelError, match="run `kitepilot seed`"):
        read_offline(run.models_folder, "lightgbm")
