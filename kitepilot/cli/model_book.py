"""The model registry as the command line acts on it: register, judge, promote, go back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from infra.audit.acts import record_act, who
from infra.model_artifacts import Artifacts
from infra.postgres import model_registry
from infra.postgres.model_registry import RegisteredModel
from kitepilot import __version__
from kitepilot.audit.acts import MODEL_MOVED
from kitepilot.cli import risk_book
from kitepilot.config import Config
from kitepilot.models import evidence, gates, stages
from kitepilot.models.gates import Evidence, LeakWord, Verdict
from kitepilot.models.loading import artifact_name, make_offline, read_card
from kitepilot.models.port import ModelCard, ModelError
from kitepilot.models.stages import Move, Stage, StageChange, Standing

WHAT = "the model registry"
LEAK_REPORTS = ("leak_report.json", "leaks.json")


@dataclass(frozen=True)
class Promotion:
    """What came of asking for one. `refused`: not a line was written."""

    model_id: str
    to: Stage
    verdicts: list[Verdict]
    refused: bool
    changes: list[StageChange]


class TakenIn(NamedTuple):
    """`registered`: it was new. `leak_report`: one was found and kept with it."""

    model_id: str
    registered: bool
    leak_report: bool


@contextlib.contextmanager
def opened(home: Path, config: Config) -> Iterator[sa.Connection]:
    """One transaction with the registry. A refusal at its end is told as one of the beginning would be.

    Raises:
        ConfigError: PostgreSQL does not answer. ModelError: the database refused the change as a whole.
    """
    with risk_book.opened(home, config, WHAT) as connection:
        yield connection
        try:
            connection.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))
        except DBAPIError as err:
            raise ModelError(f"the registry refuses: {str(err.orig).splitlines()[0]}") from err


def register(
    connection: sa.Connection,
    artifacts: Artifacts,
    artifact: bytes,
    card: ModelCard,
    *,
    reason: str,
    parent: str = "",
    features: tuple[str, ...] | None = None,
) -> bool:
    """Keep the artifact, then write the row: a kill in between leaves a file that the next try finds.

    `features`: the columns that scores are made from; without them the model is not tried out. Returns False
    when it was registered before.

    Raises:
        ModelError: the artifact is not the card's or cannot be loaded, or the id is taken.
    """
    if features is not None:
        make_offline(card.kind, artifact, card, features)
    kept = artifacts.keep(artifact)
    if kept != card.artifact_sha256:
        raise ModelError(f"the card of {card.model_id} is of another artifact: its hash is {kept[:16]}...")
    first, last = evidence.data_range(card)
    row = RegisteredModel(
        model_id=card.model_id,
        kind=card.kind,
        artifact_sha256=kept,
        card=card,
        data_from=first,
        data_to=last,
        data_hash=card.data_hash or card.spec_hash,
        features_hash=card.features_hash,
        code_version=card.code_version or __version__,
        metrics=card.out_of_sample or card.metrics,
        parent=parent,
        training_run=card.training_run,
        dataset=card.data,
        registered_by=who(),
    )
    return model_registry.add(connection, row, reason)


def taken_in(
    home: Path,
    config: Config,
    place: Path,
    *,
    artifact: Path | None = None,
    leak_report: Path | None = None,
    parent: str = "",
    why: str = "",
) -> TakenIn:
    """Register what lies in `place` as a candidate, with the leak report given or lying beside it.

    Raises:
        ModelError: as `found_in`, `register`, `add_leak_report`. ConfigError: PostgreSQL does not answer.
    """
    from kitepilot.kernels.features import FEATURE_NAMES

    raw, card = found_in(place, artifact)
    with opened(home, config) as db:
        new = register(
            *(db, Artifacts.of(home), raw, card),
            reason=why or f"imported from {place.name}",
            parent=parent or standing(db).live,
            features=FEATURE_NAMES,
        )
        report = leak_report or next((p for n in LEAK_REPORTS if (p := place / n).is_file()), None)
        if report:
            add_leak_report(db, card.model_id, report)
    return TakenIn(card.model_id, new, bool(report))


def found_in(place: Path, artifact: Path | None = None) -> tuple[bytes, ModelCard]:
    """The artifact and card of a training run's folder, or of a card file with its artifact.

    Raises:
        ModelError: they cannot be found or read; says what is missing where.
    """
    path = place
    if place.is_dir():
        cards = sorted(
            [*place.glob("*.card.json"), *place.glob("card.json"), *place.glob("model/*card.json")]
        )
        if len(cards) != 1:
            raise ModelError(
                f"{place} has {len(cards) or 'no'} model cards (*.card.json), not one: give a training run's "
                "folder, or the card itself with --artifact"
            )
        path = cards[0]
    try:
        card = read_card(path.read_bytes(), str(path))
        file = artifact or path.with_name(artifact_name(card.kind))
        return file.read_bytes(), card
    except OSError as err:
        raise ModelError(f"cannot read the model {err.filename}: {err.strerror}") from err


def leak_word(raw: bytes, where: str) -> LeakWord:
    """A leak check's report -> what the gate asks of it.

    Raises:
        ModelError: it is not one.
    """
    try:
        return msgspec.json.decode(raw, type=LeakWord)
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise ModelError(
            f"{where} is not a leak check's report (`kitepilot leak-check --json`): {err}"
        ) from err


def add_leak_report(connection: sa.Connection, model_id: str, report: Path) -> LeakWord:
    """Keep the report with the model it is about.

    Raises:
        ModelError: it cannot be read, or there is no such model.
    """
    require(connection, model_id)
    try:
        word = leak_word(report.read_bytes(), str(report))
    except OSError as err:
        raise ModelError(f"cannot read the leak check's report {report}: {err.strerror}") from err
    subject = f"{word.features_hash}/{word.data_hash}/{'passed' if word.passed else 'failed'}"
    model_registry.add_evidence(connection, model_id, model_registry.LEAK_CHECK, subject, word, who())
    return word


def require(connection: sa.Connection, model_id: str) -> RegisteredModel:
    """Raises `ModelError` with the nearest ids where there is none."""
    found = model_registry.find(connection, model_id)
    if found is None:
        import difflib

        known = [each.model_id for each in model_registry.registered(connection)]
        near = difflib.get_close_matches(model_id, known, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known) or 'none'}"
        raise ModelError(f"no model {model_id!r} in the registry; {hint}")
    return found


def standing(connection: sa.Connection) -> Standing:
    return stages.standing(model_registry.history(connection))


def evidence_of(connection: sa.Connection, model_id: str, config: Config) -> Evidence:
    """All that the registry knows of one model. The newest leak check counts."""
    model = require(connection, model_id)
    words = model_registry.leak_words(connection, model_id)
    return Evidence(
        features_hash=model.features_hash,
        data_hash=model.data_hash,
        leak=words[-1] if words else None,
        out_of_sample=evidence.out_of_sample(model.card),
        sessions=tuple(model_registry.scored_sessions(connection, model_id)),
        canary_share=config.models.canary_share,
    )


def promote(
    connection: sa.Connection, config: Config, model_id: str, to: Stage | None, why: str, override: str
) -> Promotion:
    """Judge by the gates before `to` (the next stage, without one) and move there; `override` does without.

    Raises:
        ModelError: there is no such model, or no such move.
    """
    model_registry.hold(connection)
    now = standing(connection)
    model = require(connection, model_id)
    there = to or stages.NEXT.get(now.stages[model_id])
    if there is None:
        raise ModelError(f"{model_id} is {now.stages[model_id]}: there is no stage after it")
    seen = evidence_of(connection, model_id, config)
    verdicts = gates.judge(seen, config.models.gates, there)
    steps = stages.moved(now, model_id, there, Move.OVERRIDDEN if override else Move.PROMOTED)
    if not override and not all(each.passed for each in verdicts):
        return Promotion(model_id, there, verdicts, True, [])
    said = {
        "gates": [each._asdict() for each in verdicts],
        "bounds": msgspec.to_builtins(config.models.gates),
    }
    changes = changes_of(steps, override or why or f"its gates passed ({model.kind})", said)
    model_registry.append(connection, changes)
    return Promotion(model_id, there, verdicts, False, changes)


def move(connection: sa.Connection, model_id: str, to: Stage, how: Move, why: str) -> list[StageChange]:
    """Retire, or step back: no gates. Raises `ModelError`."""
    model_registry.hold(connection)
    require(connection, model_id)
    changes = changes_of(stages.moved(standing(connection), model_id, to, how), why, {})
    model_registry.append(connection, changes)
    return changes


def roll_back(connection: sa.Connection, why: str) -> list[StageChange]:
    """The live model retires, the one before is live again. Raises `ModelError` where there was none."""
    model_registry.hold(connection)
    changes = changes_of(stages.rollback(standing(connection)), why, {})
    model_registry.append(connection, changes)
    return changes


def changes_of(steps: list[stages.Step], why: str, said: dict[str, Any]) -> list[StageChange]:
    """Lines of the history as this person makes them."""
    return [
        StageChange(
            model_id=model_id,
            from_stage=here,
            to_stage=there,
            move=how,
            made_by=who(),
            reason=why,
            evidence=said,
        )
        for model_id, here, there, how in steps
    ]


def audit(home: Path, changes: list[StageChange]) -> None:
    """Stage changes are acts of a person: in the audit too."""
    for each in changes:
        record_act(
            home,
            MODEL_MOVED,
            subject=each.model_id,
            to=each.to_stage.value,
            move=each.move.value,
            reason=each.reason,
        )


def acted(home: Path, config: Config, act: Callable[[sa.Connection], list[StageChange]]) -> list[StageChange]:
    """Do it in one transaction, then tell the audit."""
    with opened(home, config) as connection:
        changes = act(connection)
    audit(home, changes)
    return changes
