"""What a model is: rows of features in, one score per row out, in one call per bar close.

A score is the probability, 0..1, that the label is true: the price 300 s later is higher by more than a
round trip costs (or what else the card says). A row without a score gets NaN.

A user's own model is a class with one of these shapes, named in the entry points `kitepilot.models`. An
offline one is told its columns by its card: `scoring.CardScorer` chooses them by name, keeps back the rows it
may not score, and calibrates what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from kitepilot.models.card import ModelCard

__all__ = [
    "Booleans", "Floats", "Integers", "ModelCard", "ModelError", "OfflineModel", "OnlineModel", "Scorer",
]  # fmt: skip

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


class ModelError(ValueError):
    """A model cannot be used; the text says which file, why, and what to do."""


class Scorer(Protocol):
    """Scores rows. Deterministic: the same rows give the same bits."""

    @property
    def model_id(self) -> str: ...

    def score(self, x: Floats) -> Floats:
        """float64[n, F] -> float64[n] in 0..1, NaN for rows without a score."""
        ...


class OfflineModel(Scorer, Protocol):
    """Trained before the day, frozen during it.

    `score` gets the columns of the card's features in the card's order, and only rows that the card's NaN
    policy lets through; it uses one thread.
    """

    @classmethod
    def from_artifact(cls, artifact: bytes, card: ModelCard) -> Self:
        """`artifact` has the card's SHA-256. Raises `ModelError` when it is no model, or not the card's."""
        ...


class OnlineModel(Scorer, Protocol):
    """Learns during the day, in the order the labels mature."""

    def __init__(self, features: Sequence[str]) -> None: ...

    def learn(self, x: Floats, y: Booleans) -> None:
        """float64[n, F] without NaN, bool[n], in row order."""
        ...

    def snapshot(self) -> bytes: ...

    def restore(self, blob: bytes) -> None: ...
