"""The model registry as the command line acts on it: opened, models taken in, acts told to the audit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from infra.audit.acts import who
from infra.model_artifacts import Artifacts
from infra.postgres import model_moves, model_registry
from infra.postgres.model_registry import RegisteredModel
from kitepilot import __version__
from kitepilot.cli import risk_book
from kitepilot.config import Config
from kitepilot.models import evidence
from kitepilot.models.gates import LeakWord
from kitepilot.models.loading import artifact_name, make_offline, read_card
from kitepilot.models.port import ModelCard, ModelError
from kitepilot.models.stages import StageChange

WHAT = "the model registry"
LEAK_REPORTS = ("leak_report.json", "leaks.json")


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
    with risk_book.opened(home, config, WHAT) as connection, model_moves.settled(connection):
        yield connection


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
            parent=parent or model_moves.standing(db).live,
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
    model_moves.require(connection, model_id)
    try:
        word = leak_word(report.read_bytes(), str(report))
    except OSError as err:
        raise ModelError(f"cannot read the leak check's report {report}: {err.strerror}") from err
    subject = f"{word.features_hash}/{word.data_hash}/{'passed' if word.passed else 'failed'}"
    model_registry.add_evidence(connection, model_id, model_registry.LEAK_CHECK, subject, word, who())
    return word


def acted(home: Path, config: Config, act: Callable[[sa.Connection], list[StageChange]]) -> list[StageChange]:
    """Do it in one transaction, then tell the audit."""
    with opened(home, config) as connection:
        changes = act(connection)
    model_moves.audit(home, changes)
    return changes
