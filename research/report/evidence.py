"""What a model behind a result says of itself, as the page shows it: training writes, the page reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelEvidence:
    """One model, out of sample.

    Attributes:
        reliability: (mean predicted probability, share that came true, rows) per bin.
        importance: (feature, share of the total, 0..1), the most important first.
        folds: a line per fold, column name -> figure; the same columns in each.
    """

    model_id: str
    reliability: tuple[tuple[float, float, int], ...] = ()
    importance: tuple[tuple[str, float], ...] = ()
    folds: tuple[dict[str, float | int | str], ...] = ()
