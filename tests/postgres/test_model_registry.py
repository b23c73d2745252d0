"""The registry in a real PostgreSQL: one live model whoever asks at once, bytes that are what they were."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from known_models import a_model, registered, walked

from infra.model_artifacts import Artifacts
from infra.postgres import model_moves, model_registry
from infra.postgres.embedded import Server
from infra.postgres.tables import model_stages, models
from kitepilot.cli import model_book
from kitepilot.cli.model_words import page, rows
from kitepilot.config import Config
from kitepilot.models.gates import LeakWord, ScoredSession
from kitepilot.models.loading import write_card
from kitepilot.models.port import ModelError
from kitepilot.models.stages import Move, Stage, Standing, moved

pytestmark = pytest.mark.stack
CONFIG = Config()


@pytest.fixture(scope="module")
def registry_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own: what is committed here stays, and there is one live model in a registry."""
    with Server(tmp_path_factory.mktemp("registry-home")) as server:
        yield server.url


@pytest.fixture
def engine(registry_url: str) -> Iterator[sa.Engine]:
    """An empty registry. (Triggers refuse deletion, so they are off while the tables are emptied.)"""
    engine = sa.create_engine(registry_url, poolclass=sa.NullPool)
    with engine.begin() as db:
        db.execute(sa.text("SET session_replication_role = replica"))
        db.execute(sa.text("TRUNCATE model_evidence, model_stages, models CASCADE"))
    yield engine
    engine.dispose()


def test_a_model_is_registered_once_with_its_lineage_and_read_back_whole(
    engine: sa.Engine, tmp_path: Path
) -> None:
    artifact, card = a_model("up", **walked())
    with engine.begin() as db:
        first = registered(db, tmp_path, "down")
        for new in (True, False):
            done = model_book.register(
                db, Artifacts(tmp_path), artifact, card, reason="trained", parent=first
            )
            assert done is new
        found = model_moves.require(db, card.model_id)
        assert (found.parent, found.card, f"{found.data_from}") == (first, card, "2026-11-16")
        assert [each["stage"] for each in rows(model_registry.registered(db), model_moves.standing(db))] == [
            "candidate",
            "candidate",
        ]
        assert page(db, card.model_id, CONFIG)["card"]["out_of_sample"]["net_bps"] == 1.5
        with pytest.raises(ModelError, match=f"did you mean {card.model_id}"):
            model_moves.require(db, card.model_id[:-1])
    assert Artifacts(tmp_path).read(card.artifact_sha256, card.model_id) == artifact


def test_a_model_walks_through_its_gates_and_is_refused_by_the_first_that_fails(
    engine: sa.Engine, tmp_path: Path
) -> None:
    report = tmp_path / "leaks.json"
    report.write_bytes(msgspec.json.encode(LeakWord(True, "f1", "d1")))
    with engine.begin() as db:
        name = registered(db, tmp_path, "up", **walked())
        refused = model_moves.promote(db, CONFIG, name, None, "", "")
        assert refused.refused and [v.gate for v in refused.verdicts if not v.passed] == ["leak_check"]
        assert len(model_registry.history(db, name)) == 1  # a refusal writes nothing
        model_book.add_leak_report(db, name, report)
        assert not model_moves.promote(db, CONFIG, name, None, "", "").refused
        for role, to, days in (("shadow", Stage.CANARY, 5), ("canary", Stage.LIVE, 3)):
            assert model_moves.promote(db, CONFIG, name, None, "", "").refused
            for day in range(days):
                seen = ScoredSession(f"{role}-{day}", f"2026-12-{day + 1:02}", role, 100, 0.2, 0.25, False)
                model_registry.add_evidence(db, name, model_registry.SESSION, f"{role}-{day}", seen, "asha")
            done = model_moves.promote(db, CONFIG, name, None, "", "")
            assert (done.refused, done.to) == (False, to)
        assert model_moves.standing(db).live == name
        assert len(model_registry.history(db, name)[-1].evidence["gates"]) == 10


def test_the_owners_word_is_recorded_with_the_gates_it_overrode(engine: sa.Engine, tmp_path: Path) -> None:
    with engine.begin() as db:
        name = registered(db, tmp_path, "up")
        model_moves.promote(db, CONFIG, name, Stage.LIVE, "", "paper only, to see it at work")
        (_, last) = model_registry.history(db, name)
    assert (last.move, last.reason) == (Move.OVERRIDDEN, "paper only, to see it at work")
    assert not all(each["passed"] for each in last.evidence["gates"])


def test_of_two_promotions_at_once_one_wins(engine: sa.Engine, tmp_path: Path) -> None:
    """Each looks before the other has written; the database lets one of them through."""
    with engine.begin() as db:
        names = [registered(db, tmp_path, text) for text in ("up", "down")]
        views = [model_moves.standing(db)] * 2
    both_looked = threading.Barrier(2)
    errors: list[ModelError] = []

    def go(name: str, seen: Standing) -> None:
        try:
            with engine.begin() as db:
                steps = moved(seen, name, Stage.LIVE, Move.OVERRIDDEN)
                both_looked.wait(30)
                model_registry.append(db, model_moves.changes_of(steps, "now", {}))
        except ModelError as err:
            errors.append(err)

    threads = [threading.Thread(target=go, args=each) for each in zip(names, views, strict=True)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    with engine.begin() as db:
        stages = list(model_moves.standing(db).stages.values())
    assert stages.count(Stage.LIVE) == 1 and stages.count(Stage.CANDIDATE) == 1
    assert len(errors) == 1 and "is live already: there is one at a time" in str(errors[0])


@pytest.mark.parametrize(
    "wrong",
    [
        [("a", "shadow", "canary")],  # it is not a shadow
        [("a", "candidate", "live"), ("b", "candidate", "live")],
        [("a", "candidate", "canary"), ("b", "candidate", "canary")],
        [("a", "candidate", "live"), ("a", "live", "retired")],  # nobody in its place
    ],
)
def test_the_database_itself_refuses_what_the_commands_would_never_write(
    engine: sa.Engine, tmp_path: Path, wrong: list[tuple[str, str, str]]
) -> None:
    with engine.begin() as db:
        names = {letter: registered(db, tmp_path, letter) for letter in "ab"}
    with pytest.raises((sa.exc.DBAPIError, ModelError)), engine.begin() as db:
        for who, here, there in wrong:
            row = {"seq": 0, "model_id": names[who], "from_stage": here, "to_stage": there}
            row |= {"move": "overridden", "made_by": "x", "reason": "x", "evidence": {}}
            db.execute(sa.insert(model_stages).values(row))
    with engine.begin() as db:
        assert set(model_moves.standing(db).stages.values()) == {Stage.CANDIDATE}


def test_nothing_in_the_registry_is_ever_changed(engine: sa.Engine, tmp_path: Path) -> None:
    with engine.begin() as db:
        registered(db, tmp_path, "up")
    for act in (
        sa.update(models).values(kind="x"),
        sa.delete(model_stages),
        sa.text("TRUNCATE model_evidence"),
    ):
        with pytest.raises(sa.exc.DBAPIError), engine.begin() as db:
            db.execute(act)


def test_a_rollback_brings_back_the_model_before_and_can_be_repeated(
    engine: sa.Engine, tmp_path: Path
) -> None:
    with engine.begin() as db:
        names = [registered(db, tmp_path, text) for text in "abc"]
        for name in names:
            model_moves.promote(db, CONFIG, name, Stage.LIVE, "", "paper")
    for expected in (names[1], names[0]):
        with engine.begin() as db:
            model_moves.roll_back(db, "it loses")
        with engine.begin() as db:
            assert model_moves.standing(db).live == expected
    with pytest.raises(ModelError, match="nothing to roll back to"), engine.begin() as db:
        model_moves.roll_back(db, "again")


def test_a_kill_between_the_artifact_and_its_row_is_made_good_by_the_next_import(
    engine: sa.Engine, tmp_path: Path
) -> None:
    artifact, card = a_model("up")
    Artifacts(tmp_path).keep(artifact)  # and there the process died
    with engine.begin() as db:
        assert model_registry.find(db, card.model_id) is None
        assert model_book.register(db, Artifacts(tmp_path), artifact, card, reason="trained")
    assert [path.name for path in tmp_path.iterdir()] == [card.artifact_sha256]


def test_a_damaged_artifact_is_refused_by_its_hash_and_mended_by_an_import(
    engine: sa.Engine, tmp_path: Path
) -> None:
    artifact, card = a_model("up")
    with engine.begin() as db:
        registered(db, tmp_path, "up")
        path = tmp_path / card.artifact_sha256
        path.write_bytes(artifact[:-1] + b"?")
        with pytest.raises(ModelError, match=f"the artifact of {card.model_id} is damaged"):
            Artifacts(tmp_path).read(card.artifact_sha256, card.model_id)
        model_book.register(db, Artifacts(tmp_path), artifact, card, reason="again")
    assert Artifacts(tmp_path).read(card.artifact_sha256, card.model_id) == artifact
    path.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        Artifacts(tmp_path).read(card.artifact_sha256, card.model_id)


def test_an_id_stands_for_one_model(engine: sa.Engine, tmp_path: Path) -> None:
    _, card = a_model("up")
    other, _ = a_model("down")
    with engine.begin() as db:
        registered(db, tmp_path, "up")
        with pytest.raises(ModelError, match="is of another artifact"):
            model_book.register(db, Artifacts(tmp_path), other, card, reason="a slip")
        impostor = msgspec.structs.replace(a_model("down")[1], model_id=card.model_id)
        with pytest.raises(ModelError, match="registered already, with other bytes"):
            model_book.register(db, Artifacts(tmp_path), other, impostor, reason="a slip")


def test_a_training_runs_folder_has_its_model_found(tmp_path: Path) -> None:
    artifact, card = a_model("up")
    (tmp_path / "lightgbm.card.json").write_bytes(write_card(card))
    with pytest.raises(ModelError, match=r"cannot read the model .*lightgbm.txt: No such file"):
        model_book.found_in(tmp_path)
    (tmp_path / "lightgbm.txt").write_bytes(artifact)
    assert model_book.found_in(tmp_path) == (artifact, card)
    with pytest.raises(ModelError, match="has no model cards"):
        model_book.found_in(tmp_path / "..")
