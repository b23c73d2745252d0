"""What a run traded under: its configuration, the limits in force, the cards of the models it scored with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from infra.session_archive import sessions_folder
from kitepilot.cli.days import KnownRun
from kitepilot.events import DecisionParameters, RiskProfile

CONFIGURATION = "configuration/config.yaml"
LIMITS = "configuration/limits.json"


def configuration(known: KnownRun, folder: Path) -> None:
    """The run's own file, as it was when the run was created."""
    target = folder / CONFIGURATION
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(known.config_path, target)


def parameters_of(known: KnownRun) -> DecisionParameters | None:
    """As the run was announced; None where its folder is gone."""
    path = known.folder / "parameters.json" if known.folder else None
    if path is None or not path.exists():
        return None
    return msgspec.json.decode(path.read_bytes(), type=DecisionParameters)


def limits(parameters: DecisionParameters, later: list[RiskProfile], folder: Path) -> None:
    """The profile the run began with, the ceiling over it, and every profile that came into force later."""
    told = {
        "profile": msgspec.to_builtins(parameters.profile),
        "ceiling": msgspec.to_builtins(parameters.ceiling),
        "later": [msgspec.to_builtins(each) for each in later],
    }
    (folder / LIMITS).write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")


def model_cards(known: KnownRun, home: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Copy the card of every model of the run's plan; (ids with a card, ids whose card is nowhere)."""
    plan = known.model_plan()
    found, lacking = [], []
    for model_id in plan.models if plan else ():
        card = _card(known, home, model_id)
        if card is None:
            lacking.append(model_id)
            continue
        target = folder / "models" / f"{model_id}.card.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(card, target)
        found.append(model_id)
    return found, lacking


def card(folder: Path, model_id: str) -> dict[str, Any]:
    """A card that was copied."""
    return msgspec.json.decode(
        (folder / "models" / f"{model_id}.card.json").read_bytes(), type=dict[str, Any]
    )


def _card(known: KnownRun, home: Path, model_id: str) -> Path | None:
    places = [sessions_folder(home) / "models" / model_id]
    if known.folder:
        places.insert(0, known.folder / "models" / model_id)
    for place in places:
        for path in sorted(place.glob("*.card.json")):
            return path
    return None
