"""A registry with a model for each thing that can be done on the page; the day itself trades without one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "postgres"))

from known_models import registered, walked

from infra.postgres import model_moves, model_registry
from infra.postgres.embedded import database_url
from kitepilot.models.gates import LeakWord
from kitepilot.models.stages import Stage
from kitepilot.run import Run


class Models(NamedTuple):
    """By what can be done with them."""

    unproven: str
    proven: str  # a candidate that passes its gates
    before: str  # was live
    live: str


def made_models(run: Run, folder: Path) -> Models:
    """Their files go to `folder`."""
    engine = sa.create_engine(database_url(run), poolclass=sa.NullPool)
    with engine.begin() as db:
        unproven = registered(db, folder, "up", metrics={"validation_auc": 0.53})
        proven = registered(db, folder, "down", **walked())
        word = LeakWord(True, "f1", "d1")
        model_registry.add_evidence(db, proven, model_registry.LEAK_CHECK, "f1/d1/passed", word, "asha")
        before, live = (registered(db, folder, text) for text in ("east", "west"))
        for name in (before, live):
            model_moves.promote(db, run.config, name, Stage.LIVE, "", "paper only")
    engine.dispose()
    return Models(unproven, proven, before, live)
