"""The file read again while a run is up: all that decides nothing is taken whole, everything else refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient
from served import CHEAP, SECRET, TEST_HOST, TOKEN, by_name
from test_commands import answered, said, started, told_when

from api.app import create_app
from api.identity.desk import identity_of
from api.services import Services, made
from infra import reloads
from infra.alerts import state_file
from infra.audit.acts import acts_log
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot import reloading
from kitepilot.audit.acts import RELOAD_ASKED, decode_act
from kitepilot.cli.opening import create_run
from kitepilot.config import Config, ConfigError
from kitepilot.ports import EventLog
from kitepilot.reloading import Reload
from kitepilot.run import Run
from kitepilot.topics import TOPICS

SignedIn = Callable[..., TestClient[Litestar]]
FILE = """
risk: {daily_loss_rupees: 15000}
alerts: {targets: [{name: phone, url_at: 'vault://kp:hush-hush@keys/phone'}]}
"""
NO_RESUME = FILE + "flags: {resume_by_api: false}\n"
QUIET = FILE.replace("targets", "quiet: '11:30-13:00', targets")
#: Another value of a key, of every kind of section.
OTHERS: dict[str, Any] = {
    "alerts.quiet": "22:00-07:00",
    "alerts.repeat_s": 60.0,
    "alerts.targets": [{"name": "desk", "url_at": "env:DESK", "least": "critical", "after_s": 30.0}],
    "flags.resume_by_api": False,
    "flags.models_by_api": False,
    "flags.strategy_hot_reload": False,
    "mode": "live",
    "session.square_off": {"*": "14:30"},
    "models.shadow": ["lightgbm-1"],
    "risk.daily_loss_rupees": 9_000,
    "risk.blocked": ["SBIN"],
    "watchdog.late_s": 30.0,
    "telemetry.logging": "json",
    "api.port": 18_299,
    "strategies.enabled": ["ma_cross"],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kitepilot.yaml"
    path.write_text(FILE)
    return path


@pytest.fixture
def run(tmp_path: Path, file: Path) -> Run:
    run = create_run(configuration.load(file), tmp_path / "var", file)
    (run.folder / "start_offsets.json").write_text(json.dumps({t.name: 0 for t in TOPICS}))
    return run


@pytest.fixture
def living(run: Run, log: EventLog) -> Iterator[Callable[[], Services]]:
    """Lives of the API, one after the other, each as it finds things when it begins."""
    born: list[Services] = []

    def begin() -> Services:
        identity = identity_of(run, TOKEN, cost=CHEAP, names=(TEST_HOST,), ways=(by_name,))
        born.append(made(run, log, api_secret=SECRET, token=TOKEN, identity=identity))
        return born[-1]

    yield begin
    for each in born:
        each.close()


def reload(client: TestClient[Litestar], key: str = "", **body: str) -> Any:
    headers = {"idempotency-key": key} if key else {}
    return client.post("/api/v1/config/reload", json=body, headers=headers)


def settings(client: TestClient[Litestar]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer, and its rows by key."""
    told = client.get("/api/v1/config").json()
    return told, {row["key"]: row for section in told["sections"] for row in section["settings"]}


def kept_and_said(run: Run, log: EventLog, command_id: str, **changes: object) -> str:
    """By an earlier process: its command's id."""
    config = configuration.build(json.loads(configuration.canonical(run.config)))
    config = configuration.override(config, **changes)
    tree = json.loads(configuration.canonical(config))
    reloads.keep(run, command_id, Reload(tree, tree, log.end_offset("session")))
    word = e.Commanded(
        source="before", seq=len(said(log)), event_at=1, command_id=command_id,
        command=reloading.COMMAND, argument=configuration.config_hash(config), by="owner",
    )  # fmt: skip
    log.append("session", [e.encode(word)])
    return command_id


def test_what_is_taken_stands_beside_the_configuration_that_orders_name(
    signed_in: SignedIn, run: Run, log: EventLog, file: Path
) -> None:
    log.append("session", [e.encode(started())])
    owner = signed_in("owner", fresh=True)
    file.write_text(QUIET)
    (difference,) = owner.get("/api/v1/config/file").json()["differences"]
    assert (difference["key"], difference["before"], difference["after"]) == (
        "alerts.quiet",
        "",
        "11:30-13:00",
    )
    command_id = reload(owner, reason="a call").json()["command_id"]
    told, rows = settings(owner)
    assert (rows["alerts.quiet"]["value"], rows["alerts.quiet"]["source"]) == ("11:30-13:00", "reloaded")
    assert told["config_hash"] == run.config_hash != told["in_force"]
    assert configuration.load(run.folder / "config.yaml") == run.config
    (word,) = said(log)
    assert (word.command_id, word.argument) == (command_id, told["in_force"])
    answered(log)
    done = told_when(owner, command_id, "decided")
    assert done["words"][0].startswith(f"configuration {told['in_force']} beside the run's own; ")
    assert owner.get("/api/v1/config/file").json()["differences"] == []
    assert reload(owner).json()["through"] == "here", "the file says what was taken"
    assert "hush-hush" not in json.dumps([told, done])
    file.write_text(FILE)
    assert reload(owner).status_code == 202
    assert settings(owner)[0]["in_force"] == run.config_hash


def test_it_is_decided_once_the_process_that_tells_people_has_taken_it(
    signed_in: SignedIn, run: Run, log: EventLog, file: Path
) -> None:
    log.append("session", [e.encode(started())])
    state_file.write(run.folder, state_file.State(offsets={}), 1)
    owner = signed_in("owner", fresh=True)
    file.write_text(QUIET)
    command_id = reload(owner).json()["command_id"]
    answered(log)
    deadline = time.monotonic() + 30
    while not told_when(owner, command_id, "said")["words"]:
        assert time.monotonic() < deadline
    state_file.write(run.folder, state_file.State(offsets={}, configured=command_id), 2)
    told_when(owner, command_id, "decided")


def test_a_flag_is_switched_off_at_once_and_on_again_with_a_fresh_code(
    signed_in: SignedIn, log: EventLog, file: Path
) -> None:
    owner, fresh = signed_in("owner"), signed_in("owner", fresh=True)
    file.write_text(NO_RESUME)
    assert reload(signed_in("operator", fresh=True)).json()["code"] == "not_permitted"
    assert owner.get("/api/v1/config/file").json()["code"] is False
    assert reload(owner).status_code == 202
    assert "flags.resume_by_api" in fresh.post("/api/v1/resume", json={}).json()["detail"]
    file.write_text(FILE)
    assert owner.get("/api/v1/config/file").json()["code"] is True
    assert reload(owner).json()["code"] == "step_up_required"
    assert fresh.post("/api/v1/resume", json={}).status_code == 409
    assert reload(fresh).status_code == 202
    assert fresh.post("/api/v1/resume", json={}).status_code == 202
    assert [each.command for each in said(log)] == [reloading.COMMAND] * 2 + ["resume"]


def test_a_file_that_can_be_taken_in_part_is_not_taken_at_all(
    signed_in: SignedIn, run: Run, log: EventLog, file: Path
) -> None:
    owner = signed_in("owner", fresh=True)
    before = settings(owner)
    file.write_text(NO_RESUME.replace("15000", "14000"))
    look = owner.get("/api/v1/config/file").json()
    assert (look["whole"], {each["key"]: each["taken"] for each in look["differences"]}) == (
        False,
        {"risk.daily_loss_rupees": "next", "flags.resume_by_api": "now"},
    )
    reply = reload(owner)
    assert (reply.status_code, reply.json()["code"]) == (409, "conflict")
    flaws = {each["where"]: each["what"] for each in reply.json()["errors"]}
    assert "risk/profile" in flaws["risk.daily_loss_rupees"]
    assert flaws["flags.resume_by_api"] == "could be taken now, by itself"
    assert (settings(owner), said(log)) == (before, [])
    assert not (run.folder / reloads.FOLDER).exists()


def test_what_was_looked_at_is_what_is_taken(signed_in: SignedIn, log: EventLog, file: Path) -> None:
    owner = signed_in("owner", fresh=True)
    file.write_text(NO_RESUME)
    seen = owner.get("/api/v1/config/file").json()["file"]
    file.write_text(NO_RESUME + "watchdog: {late_s: 30}\n")
    assert reload(owner, seen=seen).json()["detail"].endswith("look again.")
    file.write_text(NO_RESUME)
    assert reload(owner, seen=seen).status_code == 202


def test_who_had_it_read_again_from_where_and_the_whole_of_it_are_in_the_audit(
    signed_in: SignedIn, run: Run, file: Path
) -> None:
    file.write_text(NO_RESUME)
    command_id = reload(signed_in("owner"), reason="nobody by phone").json()["command_id"]
    log = acts_log(run.home)
    reader = log.reader({("acts", 0): 0})
    (act,) = [
        each for each in map(decode_act, (r.value for r in reader.poll(1_000))) if each.act == RELOAD_ASKED
    ]
    reader.close()
    log.close()
    assert (act.by, act.subject) == ("owner@example.test from testclient", run.config_hash)
    assert (act.facts["command_id"], act.facts["reason"]) == (command_id, "nobody by phone")
    assert json.loads(str(act.facts["config"]))["flags"]["resume_by_api"] is False
    assert "hush-hush" not in str(act.facts)


def test_one_that_was_killed_before_its_word_leaves_nothing_in_force(
    run: Run, log: EventLog, living: Callable[[], Services]
) -> None:
    tree = json.loads(
        configuration.canonical(configuration.override(run.config, **{"flags.resume_by_api": False}))
    )
    reloads.keep(run, "api-1", Reload(tree, tree, log.end_offset("session")))
    assert living().reloading.config == run.config


def test_one_that_was_killed_after_its_word_stands_before_anything_is_served(
    run: Run, log: EventLog, living: Callable[[], Services]
) -> None:
    kept_and_said(run, log, "api-1", **{"flags.resume_by_api": False})
    kept_and_said(run, log, "api-2", **{"flags.models_by_api": False})
    flags = living().reloading.flags
    assert (flags.resume_by_api, flags.models_by_api) == (True, False), "the last word"


def test_the_word_of_a_file_that_is_damaged_permits_nothing(
    run: Run, log: EventLog, living: Callable[[], Services]
) -> None:
    kept_and_said(run, log, "api-1", **{"alerts.quiet": "11:30-13:00"})
    (run.folder / reloads.FOLDER / "api-1.json").write_text("{")
    flags = living().reloading.flags
    assert not (flags.resume_by_api or flags.models_by_api or flags.strategy_hot_reload)


def test_asked_again_under_its_key_after_a_restart_it_is_said_once(
    run: Run, log: EventLog, file: Path, living: Callable[[], Services]
) -> None:
    file.write_text(NO_RESUME)
    for _ in range(2):
        services = living()  # its view is never started: it has heard nothing of the log yet
        with TestClient(create_app(services)) as client:
            client.headers["origin"] = f"http://{TEST_HOST}"
            client.headers["x-test-principal"] = "owner fresh"
            client.headers["x-csrf-token"] = services.identity.sessions.csrf_token("s")
            assert reload(client, "k1").status_code == 202
    assert len(said(log)) == 1


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.sets(st.sampled_from(sorted(OTHERS)), min_size=1))
def test_whatever_differs_all_of_it_is_taken_or_nothing_changes(keys: set[str]) -> None:
    opened = Config()
    says = configuration.override(opened, **{key: OTHERS[key] for key in keys})
    found = reloading.differences(opened, opened, says)
    assert {each.key for each in found} == keys
    if all(reloading.takes(key) for key in keys):
        now = reloading.taken(opened, found)
        assert now == says == reloading.beside(opened, now)
        assert now.risk.profile() == opened.risk.profile()
    else:
        with pytest.raises(ConfigError, match="not while the run is up"):
            reloading.taken(opened, found)
        with pytest.raises(ConfigError, match="decide otherwise"):
            reloading.beside(opened, says)


def test_what_the_command_line_chose_stays_until_the_file_says_otherwise() -> None:
    said_then, opened = Config(), configuration.override(Config(), **{"alerts.repeat_s": 60.0})
    says = configuration.override(said_then, **{"alerts.quiet": "22:00-07:00"})
    now = reloading.taken(opened, reloading.differences(opened, said_then, says))
    assert (now.alerts.repeat_s, now.alerts.quiet) == (60.0, "22:00-07:00")


@pytest.mark.parametrize("name", ["", "../../config", "a/b", ".", "x" * 65])
def test_a_command_names_no_file_of_its_own_choice(run: Run, name: str) -> None:
    with pytest.raises(ConfigError, match="not the name of a command"):
        reloads.keep(run, name, Reload({}, {}, 0))
