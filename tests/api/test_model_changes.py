"""Models moved over HTTP: through the same gates as at the machine, once, by the owner with a fresh code."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from litestar import Litestar
from litestar.testing import TestClient

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "postgres"))

from known_models import registered, walked

from infra.audit.acts import acts_log
from infra.postgres import model_moves, model_registry
from infra.postgres.embedded import Server
from kitepilot import events as e
from kitepilot.audit.acts import MODEL_MOVED, decode_act
from kitepilot.config import Config
from kitepilot.market.ticks import KIND_MODEL, read_own_record
from kitepilot.models.gates import LeakWord, ScoredSession
from kitepilot.models.plan import ModelPlan, write_plan
from kitepilot.models.stages import Stage
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import ACTS, TICKS, TOPICS

SignedIn = Callable[..., TestClient[Litestar]]
pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def served_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A home with a registry that answers, and its URL."""
    home = tmp_path_factory.mktemp("models-home")
    with Server(home) as server:
        yield home, server.url


@pytest.fixture
def registry(served_home: tuple[Path, str]) -> Iterator[sa.Engine]:
    """Empty. (Triggers refuse deletion, so they are off while the tables are emptied.)"""
    engine = sa.create_engine(served_home[1], poolclass=sa.NullPool)
    with engine.begin() as db:
        db.execute(sa.text("SET session_replication_role = replica"))
        db.execute(sa.text("TRUNCATE model_evidence, model_stages, models CASCADE"))
    yield engine
    engine.dispose()


@pytest.fixture
def run(served_home: tuple[Path, str]) -> Run:
    folder = served_home[0] / "runs" / "paper-20261120-0001"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "start_offsets.json").write_text(json.dumps({t.name: 0 for t in TOPICS}))
    return Run(folder.name, folder, Config())


def proven(registry: sa.Engine, folder: Path, text: str) -> str:
    """A candidate whose gates before shadow pass."""
    with registry.begin() as db:
        name = registered(db, folder, text, **walked())
        word = LeakWord(True, "f1", "d1")
        model_registry.add_evidence(db, name, model_registry.LEAK_CHECK, "f1/d1/passed", word, "asha")
    return name


def two_lives(registry: sa.Engine, folder: Path) -> tuple[str, str]:
    """(who was live, who is)."""
    with registry.begin() as db:
        first, second = (registered(db, folder, text) for text in ("up", "down"))
        for name in (first, second):
            model_moves.promote(db, Config(), name, Stage.LIVE, "", "paper only")
    return first, second


def moved(client: TestClient[Litestar], model: str, act: str, key: str = "", **body: Any) -> Any:
    headers = {"idempotency-key": key} if key else {}
    return client.post(f"/api/v1/models/{model}/{act}", json=body, headers=headers)


def stages(registry: sa.Engine) -> dict[str, Stage]:
    with registry.begin() as db:
        return model_moves.standing(db).stages


def test_a_model_is_promoted_through_its_gates_once_and_the_command_says_so(
    registry: sa.Engine, signed_in: SignedIn, tmp_path: Path, run: Run
) -> None:
    name = proven(registry, tmp_path, "up")
    owner = signed_in("owner", fresh=True)
    first = moved(owner, name, "promote", "k1", to="shadow", reason="five good weeks")
    again = moved(owner, name, "promote", "k1", to="shadow", reason="five good weeks")
    assert (first.status_code, again.json()) == (202, first.json())
    assert stages(registry) == {name: Stage.SHADOW}
    told = owner.get(f"/api/v1/commands/{first.json()['command_id']}").json()
    assert (told["command"], told["argument"], told["state"]) == ("model_promote", name, "decided")
    assert told["words"] == [
        f"{name} is shadow now, promoted: scores from the next day that opens, without orders"
    ]
    (last, _) = owner.get(f"/api/v1/models/{name}").json()["history"]
    assert (last["made_by"], last["reason"]) == ("owner@example.test", "five good weeks")
    (act,) = [each for each in acts_of(run.home) if each.subject == name]
    assert (act.by, act.facts["to"]) == ("owner@example.test", "shadow")


def test_what_the_gates_refuse_changes_nothing_and_names_every_gate_that_does(
    registry: sa.Engine, signed_in: SignedIn, tmp_path: Path
) -> None:
    with registry.begin() as db:
        name = registered(db, tmp_path, "up", **walked(net_bps=-1.0))
    owner = signed_in("owner", fresh=True)
    reply = moved(owner, name, "promote", to="shadow")
    assert (reply.status_code, reply.json()["code"]) == (409, "gates_refuse")
    refused = [each["where"] for each in reply.json()["errors"]]
    shown = signed_in("reader").get(f"/api/v1/models/{name}/gates").json()
    assert (shown["to"], shown["passed"]) == ("shadow", False)
    assert refused == [each["gate"] for each in shown["gates"] if not each["passed"]]
    assert {"leak_check"} < set(refused)
    assert stages(registry) == {name: Stage.CANDIDATE}


def test_a_stage_that_is_not_next_and_a_model_that_is_none_are_refused(
    registry: sa.Engine, signed_in: SignedIn, tmp_path: Path
) -> None:
    name = proven(registry, tmp_path, "up")
    owner = signed_in("owner", fresh=True)
    past = moved(owner, name, "promote", to="live")
    assert (past.status_code, past.json()["code"]) == (409, "conflict")
    assert moved(owner, "nobody-12345678", "promote", to="shadow").json()["code"] == "not_found"
    assert moved(owner, name, "rollback").json()["code"] == "conflict"
    assert stages(registry) == {name: Stage.CANDIDATE}


@pytest.mark.parametrize("act", ["promote", "rollback"])
def test_only_the_owner_with_a_fresh_code_moves_a_model(
    registry: sa.Engine, signed_in: SignedIn, tmp_path: Path, act: str
) -> None:
    name = proven(registry, tmp_path, "up")
    body = {"to": "shadow"} if act == "promote" else {}
    for client, code in (
        (signed_in("operator", fresh=True), "not_permitted"),
        (signed_in("service"), "not_permitted"),
        (signed_in("owner"), "step_up_required"),
    ):
        reply = moved(client, name, act, **body)
        assert (reply.status_code, reply.json()["code"]) == (403, code)
    assert stages(registry) == {name: Stage.CANDIDATE}


def test_a_rollback_reaches_the_run_that_is_up_and_is_done_when_the_market_flow_says_so(
    registry: sa.Engine, signed_in: SignedIn, tmp_path: Path, run: Run, log: EventLog
) -> None:
    before, live = two_lives(registry, tmp_path)
    write_plan(run.folder / "models", ModelPlan(live=live, standby=(before,)))
    owner = signed_in("owner", fresh=True)
    given = moved(owner, live, "rollback", reason="losing since noon")
    assert given.status_code == 202, given.text
    assert stages(registry) == {before: Stage.LIVE, live: Stage.RETIRED}
    assert words_in_ticks(log) == [f"{before} losing since noon"]
    path = f"/api/v1/commands/{given.json()['command_id']}"
    assert owner.get(path).json()["state"] == "said"
    word = f"model {before} is followed in place of {live}: losing since noon"
    noted = e.StateChanged(
        source="decisions", seq=1, event_at=5, run_id=run.run_id, previous="active", state="active",
        reason=word,
    )  # fmt: skip
    log.append("decisions", [e.encode(noted)])
    deadline = time.monotonic() + 60
    while (told := owner.get(path).json())["state"] == "said" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (told["state"], told["words"][-1]) == ("decided", word)
    twice = moved(owner, live, "rollback")
    assert (twice.status_code, twice.json()["code"]) == (409, "conflict")


def test_a_run_that_does_not_hold_the_model_goes_on_and_says_so(
    registry: sa.Engine, signed_in: SignedIn, tmp_path: Path, run: Run
) -> None:
    _, live = two_lives(registry, tmp_path)
    write_plan(run.folder / "models", ModelPlan(live=live))
    owner = signed_in("owner", fresh=True)
    command = moved(owner, live, "rollback").json()["command_id"]
    told = owner.get(f"/api/v1/commands/{command}").json()
    assert told["state"] == "decided"
    assert told["words"][-1] == "the run does not hold it and goes on as it is: the next run opens with it"


def test_two_models_stand_side_by_side_with_the_days_both_scored(
    registry: sa.Engine, signed_in: SignedIn, tmp_path: Path
) -> None:
    with registry.begin() as db:
        left = registered(db, tmp_path, "up", metrics={"auc": 0.54, "fold": {"trades": 3}})
        right = registered(db, tmp_path, "down", metrics={"auc": 0.51})
        for name, role, days in ((left, "shadow", (1, 2)), (right, "live", (2, 3))):
            for day in days:
                seen = ScoredSession(f"run-{day}", f"2026-12-0{day}", role, 100, 0.2, 0.25, False)
                model_registry.add_evidence(db, name, model_registry.SESSION, f"run-{day}", seen, "asha")
    reader = signed_in("reader")
    told = reader.get("/api/v1/models/compare", params={"left": left, "right": right}).json()
    assert told["measures"] == [
        {"name": "auc", "left": 0.54, "right": 0.51},
        {"name": "fold.trades", "left": 3.0, "right": None},
    ]
    (both,) = told["sessions"]
    assert (both["session"], both["left_role"], both["right_role"]) == ("2026-12-02", "shadow", "live")
    gone = reader.get("/api/v1/models/compare", params={"left": left, "right": "nobody"})
    assert gone.json()["code"] == "not_found"


def acts_of(home: Path) -> list[Any]:
    log = acts_log(home)
    reader = log.reader({(ACTS.name, 0): 0})
    found = [decode_act(record.value) for record in reader.poll(10_000)]
    reader.close()
    log.close()
    return [each for each in found if each.act == MODEL_MOVED]


def words_in_ticks(log: EventLog) -> list[str]:
    reader = log.reader({(TICKS.name, 0): 0})
    found = [read_own_record(record.value) for record in reader.poll(10_000)]
    reader.close()
    return [text for kind, _, _, text in found if kind == KIND_MODEL]
