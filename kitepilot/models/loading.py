"""Finding models by entry point, and an offline model's two files: artifact and card."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import cast

import msgspec
import numpy as np

from kitepilot.models.port import ModelCard, ModelError, OfflineModel, OnlineModel, Scorer
from kitepilot.models.scoring import scorer_of
from kitepilot.strategies.plugins import PluginError, load

MODELS = "kitepilot.models"
SUFFIXES = {"lightgbm": "txt", "xgboost": "json", "onnx": "onnx"}


def artifact_name(kind: str) -> str:
    """File name of a trained model in the models folder."""
    return f"{kind}.{SUFFIXES.get(kind, 'bin')}"


def card_name(kind: str) -> str:
    return f"{kind}.card.json"


def write_card(card: ModelCard) -> bytes:
    """JSON for people and for `read_card`."""
    return msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n"


def read_card(raw: bytes, where: str) -> ModelCard:
    """JSON -> card. Raises `ModelError` naming `where`."""
    try:
        return msgspec.json.decode(raw, type=ModelCard)
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise ModelError(f"{where} is not a model card: {err}; train the model again") from err


def make_offline(kind: str, artifact: bytes, card: ModelCard, features: Sequence[str]) -> Scorer:
    """The offline model `kind`, ready to score rows whose columns are `features`; it reads those of its card.

    Raises:
        ModelError: a feature of the card is not there, another kind, or an artifact that is not the card's.
        PluginError: no such plug-in.
    """
    if card.kind != kind:
        raise ModelError(f"models.offline is {kind!r}, but the card of {card.model_id} says {card.kind!r}")
    return scorer_of(cast(type[OfflineModel], load(MODELS, kind)), artifact, card, features)


def staleness(card: ModelCard, session: date, max_age_sessions: int) -> str:
    """Why the model is too old for a session, empty when it is not. Weekdays count as sessions."""
    last = max(date.fromisoformat(day) for day in (*card.train_dates, *card.validation_dates))
    age = int(np.busday_count(last, session))
    if age <= max_age_sessions:
        return ""
    most = f"models.max_age_sessions {max_age_sessions}"
    return f"{card.model_id} knows nothing after {last}: {age} weekdays, {most}"


def make_online(kind: str, features: Sequence[str]) -> OnlineModel:
    """The online model `kind`, knowing nothing yet. Raises `PluginError` if there is no such plug-in."""
    build = load(MODELS, kind)
    if not hasattr(build, "learn"):
        raise PluginError(f"models.online: {kind!r} does not learn; it is an offline model")
    return cast(type[OnlineModel], build)(features)
