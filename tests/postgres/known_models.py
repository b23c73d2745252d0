"""Models for a test's registry: what their cards say, and how they got in."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from infra.model_artifacts import Artifacts
from kitepilot.cli import model_book
from kitepilot.models.card import FoldRecord, ModelCard, identity


def a_model(text: str, **said: Any) -> tuple[bytes, ModelCard]:
    artifact = f"a model that says {text}".encode()
    digest = hashlib.sha256(artifact).hexdigest()
    plain: dict[str, Any] = {
        "model_id": identity("lightgbm", digest),
        "kind": "lightgbm",
        "artifact_sha256": digest,
        "spec_hash": "5" * 16,
        "features": ("spread",),
        "label": "up",
        "horizon_s": 300,
        "cost_bps": 11.0,
        "train_dates": ("2026-11-16", "2026-11-17"),
        "validation_dates": ("2026-11-18",),
        "data": "generated",
        "seed": 7,
        "rows_train": 1000,
        "rows_validation": 500,
        "parameters": {},
        "metrics": {"validation_auc": 0.5},
        "libraries": {"lightgbm": "4"},
        "data_hash": "d1",
        "features_hash": "f1",
    }
    return artifact, ModelCard(**(plain | said))


def walked(net_bps: float = 1.5) -> dict[str, Any]:
    """A card's walk-forward that passes the default gates, if it earns."""
    fold = {"net_bps": net_bps, "trades": 60.0}
    return {
        "folds": tuple(
            FoldRecord(number=n, train_dates=("2026-11-16",), test_dates=("2026-11-18",), metrics=fold)
            for n in range(5)
        ),
        "out_of_sample": {
            **{"net_bps": net_bps, "trades": 300.0, "base_rate": 0.5, "brier": 0.24, "ece": 0.01}
        },
    }


def registered(db: sa.Connection, folder: Path, text: str, **said: Any) -> str:
    artifact, card = a_model(text, **said)
    assert model_book.register(db, Artifacts(folder), artifact, card, reason="trained")
    return card.model_id
