"""What a model is: rows of features in, one score per row out, in one call per bar close.

A score is the probability, 0..1, that the label is true: the price 300 s later is higher by more than a
round trip costs. A row with a NaN feature is warming up and gets NaN.

A user's own model is a class with one of these shapes, named in the entry points `kitepilot.models`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


class ModelError(ValueError):
    """A model cannot be used; the text says which file, why, and what to do."""


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """Where a trained model comes from. Stored as JSON beside the artifact."""

    model_id: str  # <kind>-<first 8 hex digits of artifact_sha256>
    kind: str
    artifact_sha256: str
    spec_hash: str  # of everything the training depended on, the code's versions included
    features: tuple[str, ...]
    label: str
    horizon_s: int
    cost_bps: float
    train_dates: tuple[str, ...]
    validation_dates: tuple[str, ...]
    data: str  # what market the rows came from
    seed: int
    rows_train: int
    rows_validation: int
    parameters: dict[str, float | int | str | bool]
    metrics: dict[str, float]
    libraries: dict[str, str]


class Scorer(Protocol):
    """Scores rows. Deterministic: the same rows give the same bits."""

    @property
    def model_id(self) -> str: ...

    def score(self, x: Floats) -> Floats:
        """float64[n, F] -> float64[n] in 0..1, NaN for rows with a NaN feature."""
        ...


class OfflineModel(Scorer, Protocol):
    """Trained before the day, frozen during it."""

    @classmethod
    def from_artifact(cls, artifact: bytes, card: ModelCard) -> Self:
        """Raises `ModelError` when the bytes are not the ones the card describes."""
        ...


class OnlineModel(Scorer, Protocol):
    """Learns during the day, in the order the labels mature."""

    def __init__(self, features: Sequence[str]) -> None: ...

    def learn(self, x: Floats, y: Booleans) -> None:
        """float64[n, F] without NaN, bool[n], in row order."""
        ...

    def snapshot(self) -> bytes: ...

    def restore(self, blob: bytes) -> None: ...
