"""A run's offline models, from the files in its folder to what scores and is watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kitepilot.config import REGISTRY, Config
from kitepilot.kernels.shard import FEATURE_NAMES
from kitepilot.models.card import ModelCard
from kitepilot.models.drift_watch import Watched
from kitepilot.models.loading import artifact_name, card_name, make_offline, read_card, staleness
from kitepilot.models.panel import Panel
from kitepilot.models.plan import ModelPlan, kind_of, read_plan
from kitepilot.models.port import ModelError, Scorer


class RunModels(NamedTuple):
    """The panel, and of each model the features whose drift is looked for."""

    panel: Panel
    watched: Mapping[str, Watched]


def no_models() -> RunModels:
    return RunModels(Panel(), {})


def models_of(config: Config, folder: Path) -> RunModels:
    """The offline models of a run, by its plan in `folder`; without one the model that the configuration
    names, from its two files there.

    Raises:
        ModelError: a model cannot be read, or none were chosen for the run.
    """
    models = config.models
    plan = read_plan(folder)
    if plan is not None:
        return planned(config, plan, lambda model_id: folder / model_id)
    if models.offline == REGISTRY:
        raise ModelError(f"no models were chosen for this run in {folder}: begin a new one")
    if not models.offline:
        return no_models()
    model, card = read_offline(folder, models.offline)
    return _together(config, ModelPlan(live=card.model_id), {card.model_id: (model, card)})


def planned(config: Config, plan: ModelPlan, folder_of: Callable[[str], Path]) -> RunModels:
    """The models of a plan; `folder_of` says where each one's two files lie. Raises `ModelError`."""
    held = {model: read_offline(folder_of(model), kind_of(model)) for model in plan.models}
    return _together(config, plan, held)


def _together(config: Config, plan: ModelPlan, held: Mapping[str, tuple[Scorer, ModelCard]]) -> RunModels:
    session, most = date.fromisoformat(config.session.date), config.models.max_age_sessions
    stale = {name: staleness(card, session, most) for name, (_, card) in held.items()}
    panel = Panel(
        held[plan.live][0] if plan.live else None,
        held[plan.canary][0] if plan.canary else None,
        [held[each][0] for each in plan.shadows],
        [held[each][0] for each in plan.standby],
        canary_share=plan.canary_share,
        stale=stale,
    )
    return RunModels(
        panel,
        {
            name: Watched(name, card.reference, FEATURE_NAMES, single=card.precision == "float32")
            for name, (_, card) in held.items()
        },
    )


def read_offline(folder: Path, kind: str) -> tuple[Scorer, ModelCard]:
    """The trained model `kind` from its two files in `folder`, with its card.

    Raises:
        ModelError: a file is missing or does not fit; says to run `kitepilot seed`.
    """
    artifact, path = folder / artifact_name(kind), folder / card_name(kind)
    try:
        raw, described = artifact.read_bytes(), path.read_bytes()
    except OSError as err:
        raise ModelError(
            f"cannot read the model {err.filename}: {err.strerror}; run `kitepilot seed`, "
            'or set models.offline to ""'
        ) from err
    card = read_card(described, str(path))
    model = make_offline(kind, raw, card, FEATURE_NAMES)
    model.score(np.zeros((1, len(FEATURE_NAMES))))  # the first call is the slow one
    return model, card
