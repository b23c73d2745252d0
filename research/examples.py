"""Labelled rows: what a model learns from, with the span of time each label looks at.

The span is what keeps walk-forward honest: a training row whose label looks into the test fold must go.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Examples:
    """r rows in order of `decided_at`, then instrument.

    Attributes:
        features: F names; `x` float64[r, F] are their values as they were known at `decided_at` (NaN allowed:
            a model says whether it takes them).
        y: float64[r], the label: 0 or 1.
        outcome_bps: float64[r], what the label's trade earned after costs; -y's sign need not follow from it.
        decided_at, matured_at: int64[r] ns UTC: the bar close the row was seen at, and the last instant its
            label looks at.
        token: int64[r]. session: int64[r], days since 1970-01-01.
        weight: float64[r] above 0: uniqueness of the label, mean 1.
        label: what y means, in words.
    """

    features: tuple[str, ...]
    x: Floats
    y: Floats
    outcome_bps: Floats
    decided_at: Ints
    matured_at: Ints
    token: Ints
    session: Ints
    weight: Floats
    label: str

    def __post_init__(self) -> None:
        rows = len(self.y)
        for each in fields(self):
            column = getattr(self, each.name)
            if isinstance(column, np.ndarray) and len(column) != rows:
                raise ValueError(f"{each.name} has {len(column)} rows, y has {rows}")
        if self.x.shape != (rows, len(self.features)):
            raise ValueError(f"x has shape {self.x.shape}, not {(rows, len(self.features))}")

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Examples:
        """The chosen rows, in the order chosen."""
        chosen = {
            each.name: getattr(self, each.name)[rows]
            for each in fields(self)
            if isinstance(getattr(self, each.name), np.ndarray)
        }
        return Examples(features=self.features, label=self.label, **chosen)
