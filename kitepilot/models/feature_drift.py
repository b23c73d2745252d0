"""Do features still look as they did in training? One population stability index (PSI) each, in the stream.

PSI = sum over bins of (share now - share then) * ln(share now / share then), over the values that are there:
many are missing by nature while windows fill after the open. More missing than in any hour of training is
told as such. Counts of quarter hours are kept, never rows: a window is the last four of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kitepilot.models.card import FeatureReference
from kitepilot.models.port import Floats, Integers

CLOSES = 15  # of a minute, per block; a judgement at the end of each
BLOCKS = 4  # the window: the last hour
LEAST_SHARE = 1e-3  # an empty bin counts as this, or one row in it would be worth an infinity
CALMED = 0.5  # a feature that was told is told again only after it fell below this part of its limit
MIN_ROWS = 200  # values in a window, or it says nothing
PSI, MISSING = "psi", "missing"


class Shifted(NamedTuple):
    """One feature that looks otherwise than in training: detector psi, or missing (a share of the rows)."""

    feature: str
    detector: str
    observed: float
    limit: float


class FeatureDrift:
    """The features of one model's card that have a reference. Without any, nothing is ever said.

    Raises:
        KeyError: a reference of a feature that is not among `names`.
    """

    def __init__(self, reference: Mapping[str, FeatureReference], names: Sequence[str]) -> None:
        place = {name: number for number, name in enumerate(names)}
        self._names = tuple(reference)
        self._columns = np.array([place[name] for name in reference], dtype=np.int64)
        self._limits = np.array([(each.limit, each.missing_limit) for each in reference.values()])
        self._edges, self._then = _tables(list(reference.values()))
        self._blocks: list[Integers] = []
        self._block = np.zeros((len(self._names), self._edges.shape[1] + 2), dtype=np.int64)
        self._closes = 0
        self._told: set[str] = set()

    @property
    def watched(self) -> int:
        """How many features."""
        return len(self._names)

    @property
    def shifted(self) -> int:
        """How many have been told and have not calmed down since."""
        return len(self._told)

    def on_close(self, x: Floats, live: npt.NDArray[np.bool_]) -> list[Shifted]:
        """A minute's rows, float64[n, F] over all names, and which of them count, bool[n]: newly shifted."""
        if not self._names:
            return []
        self._block += counted(x[live][:, self._columns], self._edges)
        self._closes += 1
        if self._closes < CLOSES:
            return []
        self._blocks = [*self._blocks, self._block][-BLOCKS:]
        self._block, self._closes = np.zeros_like(self._block), 0
        return self._judge() if len(self._blocks) == BLOCKS else []

    def _judge(self) -> list[Shifted]:
        """A feature is told once, by whichever of the two is first beyond its limit."""
        window: Integers = np.sum(self._blocks, axis=0)
        if int(window[0].sum()) < MIN_ROWS:
            return []
        now = np.stack([stability(self._then, window), missing_share(window)], axis=1)
        found = []
        for name, observed, limits in zip(self._names, now.tolist(), self._limits.tolist(), strict=True):
            over = [seen > most for seen, most in zip(observed, limits, strict=True)]
            if any(over) and name not in self._told:
                self._told.add(name)
                which = over.index(True)
                found.append(Shifted(name, (PSI, MISSING)[which], observed[which], limits[which]))
            elif all(seen < CALMED * most for seen, most in zip(observed, limits, strict=True)):
                self._told.discard(name)
        return found

    def snapshot(self) -> dict[str, Any]:
        """Plain data; counts fit in 32 bits."""
        return {
            "blocks": [each.astype("<i4").tobytes() for each in self._blocks],
            "block": self._block.astype("<i4").tobytes(),
            "closes": self._closes,
            "told": sorted(self._told),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        self._blocks = [self._table(each) for each in saved["blocks"]]
        self._block, self._closes = self._table(saved["block"]), saved["closes"]
        self._told = set(saved["told"])

    def _table(self, raw: bytes) -> Integers:
        return np.frombuffer(raw, "<i4").astype(np.int64).reshape(self._block.shape)


def stability(then: Floats, counts: Integers) -> Floats:
    """Shares float64[F, B] and counts int64[F, B + 1], missing last -> PSI float64[F]; 0 if too few."""
    values = counts[:, :-1]
    rows = values.sum(axis=1, keepdims=True)
    p, q = np.maximum(then, LEAST_SHARE), np.maximum(values / np.maximum(rows, 1), LEAST_SHARE)
    return np.where(rows[:, 0] < MIN_ROWS, 0.0, ((q - p) * np.log(q / p)).sum(axis=1))


def missing_share(counts: Integers) -> Floats:
    """int64[F, B + 1], missing last -> float64[F]."""
    return np.asarray(counts[:, -1] / np.maximum(counts.sum(axis=1), 1), dtype=np.float64)


def counted(x: Floats, edges: Floats) -> Integers:
    """float64[m, F], edges float64[F, E] (inf past a feature's own) -> int64[F, E + 2], missing last."""
    missing = np.isnan(x).sum(axis=0)
    reached = [(x >= edge).sum(axis=0) for edge in edges.T]
    above = np.stack([len(x) - missing, *reached, np.zeros(x.shape[1], dtype=np.int64)])
    return np.concatenate([-np.diff(above, axis=0), missing[None, :]]).T.astype(np.int64)


def _tables(references: list[FeatureReference]) -> tuple[Floats, Floats]:
    """Edges float64[F, E] and shares of the values, float64[F, E + 1]."""
    most = max((len(each.edges) for each in references), default=0)
    edges = np.full((len(references), most), np.inf)
    shares = np.zeros((len(references), most + 1))
    for row, each in enumerate(references):
        edges[row, : len(each.edges)] = each.edges
        shares[row, : len(each.shares)] = each.shares
    return edges, shares
