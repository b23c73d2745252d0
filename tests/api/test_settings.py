"""The configuration over HTTP: what is in force and from where; a file that changed is never half taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient

from api import settings
from kitepilot import config as configuration
from kitepilot import configured_from
from kitepilot.cli.opening import create_run
from kitepilot.cli.strategy_words import HotReload
from kitepilot.config import Config, FlagsSection
from kitepilot.run import Run
from kitepilot.topics import TOPICS

SignedIn = Callable[..., TestClient[Litestar]]
FILE = """
risk: {daily_loss_rupees: 15000}
storage: {database_url: 'postgresql://kp:hush-hush@db/kp'}
flags: {resume_by_api: false, models_by_api: false}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kitepilot.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def run(tmp_path: Path, file: Path) -> Run:
    """Opened by the command line: the file, and a speed of its own."""
    chosen = configuration.override(configuration.load(file), **{"session.speed": 60.0})
    run = create_run(chosen, tmp_path / "var", file)
    (run.folder / "start_offsets.json").write_text(json.dumps({t.name: 0 for t in TOPICS}))
    return run


def reloaded(client: TestClient[Litestar]) -> Any:
    return client.post("/api/v1/config/reload", json={})


def test_every_key_is_told_with_its_unit_and_where_it_came_from(signed_in: SignedIn, run: Run) -> None:
    told = signed_in("reader").get("/api/v1/config")
    assert "hush-hush" not in told.text
    assert told.json()["config_hash"] == run.config_hash
    rows = {each["key"]: each for section in told.json()["sections"] for each in section["settings"]}
    assert set(rows) == set(configured_from.keys(Config()))
    assert told.json()["in_force"] == run.config_hash
    loss, speed = rows["risk.daily_loss_rupees"], rows["session.speed"]
    assert (loss["value"], loss["default"], loss["unit"], loss["source"]) == (
        15_000,
        25_000,
        "rupees",
        "file",
    )
    assert (speed["value"], speed["source"]) == (60.0, "command")
    assert rows["risk.order_quantity"]["source"] == "default"
    assert (rows["market.updates_per_s"]["unit"], rows["session.max_lead_s"]["unit"]) == ("a second", "s")


def test_a_file_that_says_what_it_said_stays_in_force_and_is_told_so(
    signed_in: SignedIn, run: Run, file: Path
) -> None:
    owner = signed_in("owner", fresh=True)
    file.write_text(f"# a remark\n{FILE}")
    command = reloaded(owner)
    assert command.status_code == 202
    (word,) = owner.get(f"/api/v1/commands/{command.json()['command_id']}").json()["words"]
    assert word.endswith(f"configuration {run.config_hash} stays in force")


def test_what_the_file_says_otherwise_is_refused_key_by_key_and_nothing_is_taken(
    signed_in: SignedIn, run: Run, file: Path
) -> None:
    owner = signed_in("owner", fresh=True)
    file.write_text(FILE.replace("15000", "14000") + "watchdog: {late_s: 30}\n")
    reply = reloaded(owner)
    assert (reply.status_code, reply.json()["code"]) == (409, "conflict")
    told = {each["where"]: each["what"] for each in reply.json()["errors"]}
    assert set(told) == {"risk.daily_loss_rupees", "watchdog.late_s"}
    assert "risk/profile" in told["risk.daily_loss_rupees"] and "kitepilot up" in told["watchdog.late_s"]
    assert owner.get("/api/v1/config").json()["config_hash"] == run.config_hash
    assert configuration.load(run.folder / "config.yaml") == run.config


def test_a_file_that_is_none_is_refused_in_its_own_words(signed_in: SignedIn, file: Path) -> None:
    owner = signed_in("owner", fresh=True)
    file.write_text("risk: {daily_lost_rupees: 1}")
    reply = reloaded(owner)
    assert (reply.status_code, reply.json()["code"]) == (422, "refused")
    assert "did you mean `daily_loss_rupees`?" in reply.json()["detail"]
    assert reloaded(signed_in("operator", fresh=True)).json()["code"] == "not_permitted"


def test_a_run_without_a_file_says_so(signed_in: SignedIn, run: Run) -> None:
    (run.folder / configured_from.FILE).unlink()
    reply = reloaded(signed_in("owner", fresh=True))
    assert (reply.status_code, reply.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("resume", {}),
        ("trading/start", {}),
        ("models/lightgbm-12345678/promote", {"to": "shadow"}),
        ("models/lightgbm-12345678/rollback", {}),
    ],
)
def test_what_a_flag_switches_off_is_refused_and_names_the_flag(
    signed_in: SignedIn, path: str, body: dict[str, str]
) -> None:
    reply = signed_in("owner", fresh=True).post(f"/api/v1/{path}", json=body)
    assert (reply.status_code, reply.json()["code"]) == (409, "conflict")
    assert "flags." in reply.json()["detail"]


def test_halt_and_flatten_have_no_flag(signed_in: SignedIn) -> None:
    operator = signed_in("operator")
    for stop in ("halt", "flatten"):
        assert operator.post(f"/api/v1/{stop}", json={}).status_code == 202


def test_a_text_that_is_saved_is_not_taken_where_its_flag_is_off(tmp_path: Path) -> None:
    sources = {"strategies": {"enabled": ["mine"], "sources": {"mine": "x"}}}
    told: list[str] = []
    for hot, looked_at in ((False, 0), (True, 1)):
        config = configuration.build({**sources, "flags": {"strategy_hot_reload": hot}})
        (tmp_path / "strategies").mkdir(exist_ok=True)
        (tmp_path / "strategies" / "mine.py").write_text("no strategy at all(")
        clock = iter([0.0, 10.0, 10.0])
        reload = HotReload(
            Run("r", tmp_path / "runs" / "r", config), told.append, lambda clock=clock: next(clock)
        )
        reload(None)  # type: ignore[arg-type]  # the log is not asked for a text that is none
        assert len(told) == looked_at


@given(st.sampled_from(sorted(configured_from.keys(Config()))))
def test_every_key_has_a_remedy(key: str) -> None:
    assert settings.remedy(key)


@pytest.mark.parametrize("name", FlagsSection.__struct_fields__)
def test_every_flag_counts_in_the_hash(name: str) -> None:
    off = configuration.override(Config(), **{f"flags.{name}": not getattr(FlagsSection(), name)})
    assert configuration.config_hash(off) != configuration.config_hash(Config())
    assert configured_from.changed(Config(), off) == [f"flags.{name}"]
