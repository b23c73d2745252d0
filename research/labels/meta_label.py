"""A primary rule picks the side; the meta-label says whether acting on it was right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from research.bars import SessionBars
from research.labels.port import Labelled
from research.labels.triple_barrier import TripleBarrier

#: A session's bars -> [m, n] of 1 (buy), -1 (sell short), 0 (nothing); it sees no bar after its row.
Primary = Callable[[SessionBars], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class MetaLabel:
    """y = 1 when the trade on the primary's side, ended by the barriers, earned more than its cost.

    Decisions where the primary does nothing have no label: the model learns when to listen to it. `name` is
    the primary's, for the card.
    """

    name: str
    primary: Primary
    barriers: TripleBarrier = field(default_factory=TripleBarrier)

    @property
    def words(self) -> str:
        return f"acting on {self.name}: {self.barriers.words}"

    def of(self, bars: SessionBars) -> Labelled:
        """Raises `ValueError` for sides of another shape, or that are not 1, 0 or -1."""
        sides = np.asarray(self.primary(bars))
        if sides.shape != bars.close.shape or not np.isin(sides, (-1, 0, 1)).all():
            raise ValueError(f"{self.name}: a primary gives 1, 0 or -1 as [m, n], not {sides.shape}")
        return self.barriers.of_sides(bars, sides.astype(np.int64))
