"""What a training run is asked to do, and the hash that names everything its result depends on."""

from __future__ import annotations

import hashlib
from importlib import metadata, resources
from pathlib import Path

import msgspec

from kitepilot.models.card import Method
from research.trainers.port import Parameters, Trainer

#: Packages whose source decides what a run gives.
CODE = ("research.walkforward", "research.trainers")
CORE = ("calibration.py", "card.py", "scoring.py", "lightgbm_model.py", "xgboost_model.py", "onnx_model.py")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Plain data, so that a fold can be made in another process.

    `features` are the columns offered to the model; `parameters` change the trainer's defaults, and with
    `trials` above 0 Optuna searches around them, inside each fold. `artifact` is a frozen model's file.
    """

    kind: str = "lightgbm"
    features: tuple[str, ...]
    scheme: str = "rolling:10/3"
    embargo_ns: int = 0
    trials: int = 0
    seed: int = 7
    calibration: Method = "platt"
    parameters: Parameters = {}
    most_rows: int = 5_000_000  # a fold fits on every k-th of its rows, so that at most these are left
    artifact: str = ""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where the rows come from: what the card will say of them."""

    data: str
    data_hash: str
    features_hash: str
    horizon_s: int
    cost_bps: float
    code_version: str


def spec_of(settings: Settings, origin: Origin, rows_digest: str, trainer: Trainer) -> dict[str, object]:
    """Everything the run's bytes depend on, as plain data; JOBS and the place it runs at are not among it."""
    artifact = Path(settings.artifact).read_bytes() if settings.artifact else b""
    return {
        "settings": {**msgspec.to_builtins(settings), "artifact": hashlib.sha256(artifact).hexdigest()},
        "origin": msgspec.to_builtins(origin),
        "rows": rows_digest,
        "libraries": libraries_of(trainer),
        "code": code_digest(),
    }


def run_name(spec: dict[str, object]) -> str:
    return hashlib.sha256(msgspec.json.encode(spec, order="sorted")).hexdigest()[:16]


def libraries_of(trainer: Trainer) -> dict[str, str]:
    names = (*trainer.libraries, "optuna", "scikit-learn", "numpy")
    return {name: metadata.version(name) for name in dict.fromkeys(names)}


def code_digest() -> str:
    digest = hashlib.sha256()
    for package in CODE:
        for entry in sorted(resources.files(package).iterdir(), key=lambda one: one.name):
            if entry.name.endswith(".py"):
                digest.update(entry.read_bytes())
    for name in CORE:
        digest.update((resources.files("kitepilot.models") / name).read_bytes())
    return digest.hexdigest()
