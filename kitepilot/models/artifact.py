"""A model file held to its card, before any library is asked to read it."""

from __future__ import annotations

import hashlib

from kitepilot.models.card import ModelCard
from kitepilot.models.port import ModelError


def require_own(artifact: bytes, card: ModelCard) -> None:
    """Raises `ModelError` when the bytes are not the ones the card describes."""
    found = hashlib.sha256(artifact).hexdigest()
    if found != card.artifact_sha256:
        raise ModelError(
            f"model {card.model_id}: the artifact's SHA-256 is {found[:16]}..., its card says "
            f"{card.artifact_sha256[:16]}...; remove both and train it anew, with `kitepilot seed` or "
            "`kitepilot train`"
        )


def require_width(found: int, card: ModelCard) -> None:
    """Raises `ModelError` when the artifact reads another number of columns than its card names features."""
    if found != len(card.features):
        raise ModelError(
            f"model {card.model_id} reads {found} columns, but its card names {len(card.features)} features; "
            "the card must list the columns in the order the model was trained on"
        )
