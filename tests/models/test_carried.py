"""What the online model has learned goes into the next day whole, by its name, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from flows.online_state import keep_online, read_online
from kitepilot import config as configuration
from kitepilot.cli.carrying import resolved
from kitepilot.config import Config, ConfigError
from kitepilot.models import carried
from kitepilot.models.loading import make_online
from kitepilot.models.online_features import ONLINE_FEATURES as FEATURES
from kitepilot.models.port import ModelError, OnlineModel
from kitepilot.run import Run

MONDAY, TUESDAY, WEDNESDAY = "2026-11-16", "2026-11-17", "2026-11-18"


def configured(day: str, carry: str = "latest", mode: str = "paper") -> Config:
    return configuration.override(Config(), **{"session.date": day, "models.carry": carry, "mode": mode})


def learned(seed: int, model: OnlineModel | None = None) -> OnlineModel:
    model = model or make_online("river_logistic", FEATURES)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, len(FEATURES)))
    model.learn(x, x[:, 0] > 0)
    return model


def ended(home: Path, day: str, model: OnlineModel, mode: str = "paper") -> str:
    """The day ends and leaves a file; its SHA-256."""
    before = set(names(home))
    keep_online(Run(f"{mode}-{day}-0001", home / "runs" / "r", configured(day, "", mode)), model.snapshot())
    (name,) = set(names(home)) - before
    found = carried.read_name(name)
    assert found is not None
    return found.sha256


def names(home: Path) -> list[str]:
    return [path.name for path in (home / "models" / carried.FOLDER).glob("*")]


def test_the_next_day_begins_with_the_same_scores_and_says_by_which_file(tmp_path: Path) -> None:
    model = learned(1)
    sha256 = ended(tmp_path, MONDAY, model)
    config = resolved(configured(TUESDAY), tmp_path)
    assert config.models.carry == sha256
    assert configuration.config_hash(config) != configuration.config_hash(configured(TUESDAY))
    begun = read_online(config, [tmp_path / "elsewhere", tmp_path / "models"])
    assert begun.snapshot() == model.snapshot()
    x = np.random.default_rng(9).normal(size=(50, len(FEATURES)))
    np.testing.assert_array_equal(begun.score(x), model.score(x))
    assert learned(2, begun).snapshot() == learned(2, model).snapshot()


def test_without_the_wish_each_day_begins_knowing_nothing(tmp_path: Path) -> None:
    ended(tmp_path, MONDAY, learned(1))
    config = resolved(configured(TUESDAY, ""), tmp_path)
    assert config.models.carry == ""
    assert (
        read_online(config, [tmp_path / "models"]).snapshot()
        == make_online("river_logistic", FEATURES).snapshot()
    )


def test_the_latest_is_of_a_day_before_and_of_the_same_mode(tmp_path: Path) -> None:
    first = ended(tmp_path, MONDAY, learned(1))
    second = ended(tmp_path, TUESDAY, learned(2))
    ended(tmp_path, TUESDAY, learned(3), mode="live")
    assert resolved(configured(MONDAY), tmp_path).models.carry == ""
    assert resolved(configured(TUESDAY), tmp_path).models.carry == first
    assert resolved(configured(WEDNESDAY), tmp_path).models.carry == second


def test_of_two_runs_of_a_day_the_one_that_ended_last_counts(tmp_path: Path) -> None:
    shas = [ended(tmp_path, MONDAY, learned(seed)) for seed in (1, 2)]
    for path in (tmp_path / "models" / carried.FOLDER).glob("*"):
        at = 2_000_000_000 if shas[0] in path.name else 1_000_000_000
        os.utime(path, (at, at))
    assert resolved(configured(TUESDAY), tmp_path).models.carry == shas[0]


def test_a_file_with_another_content_is_refused_and_never_chosen(tmp_path: Path) -> None:
    sha256 = ended(tmp_path, MONDAY, learned(1))
    (path,) = (tmp_path / "models" / carried.FOLDER).glob("*")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelError, match="another content"):
        read_online(configured(TUESDAY, sha256), [tmp_path / "models"])
    assert resolved(configured(TUESDAY), tmp_path).models.carry == ""


def test_a_state_that_is_not_there_or_of_other_features_is_a_clear_word(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no state 0000000000000000 in .*begin anew"):
        read_online(configured(TUESDAY, "0" * 64), [tmp_path / "models"])
    name, raw = carried.pack(
        carried.Carried(mode="paper", kind="k", session_date=MONDAY, features=("a",), state=b"")
    )
    found = carried.read_name(name)
    assert found is not None
    with pytest.raises(ModelError, match="learned from other features"):
        carried.unpack(raw, found.sha256, "k", ("b",))


def test_only_a_name_of_a_state_can_be_configured() -> None:
    with pytest.raises(ConfigError, match=r"models.carry 'yesterday' must be empty, latest, or a SHA-256"):
        configured(TUESDAY, "yesterday")
