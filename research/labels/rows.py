"""Labelled sessions into examples: the rows a model learns from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

import numpy as np

from research.bars import BarSource, SessionBars
from research.examples import Examples
from research.labels.port import Floats, Label
from research.uniqueness import average_uniqueness, weights

#: A source -> its sessions with a row of features for every minute and instrument, float64[m, n, F].
FeatureRows = Callable[[BarSource], Iterable[tuple[SessionBars, Floats]]]
EPOCH = date(1970, 1, 1).toordinal()


def examples_of_rows(
    sessions: Iterable[tuple[SessionBars, Floats]], names: Sequence[str], label: Label
) -> Examples:
    """Sessions with float64[m, n, F] features named `names` -> their examples, weighted by uniqueness.

    A row is a minute in which the instrument traded and whose label is known; rows without one known feature
    are left out. Memory holds the rows kept and one session.
    """
    parts = [part for bars, x in sessions if (part := _of_session(bars, x, label))]
    columns = {
        name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0, dtype=kind)
        for name, kind in _KINDS.items()
    }
    x = np.concatenate([part["x"] for part in parts]) if parts else np.empty((0, len(names)))
    weight = weights(columns.pop("uniqueness"))
    return Examples(features=tuple(names), label=label.words, x=x, weight=weight, **columns)


_KINDS = {
    "y": np.float64,
    "outcome_bps": np.float64,
    "decided_at": np.int64,
    "matured_at": np.int64,
    "token": np.int64,
    "session": np.int64,
    "uniqueness": np.float64,
}


def _of_session(bars: SessionBars, x: Floats, label: Label) -> dict[str, np.ndarray] | None:
    labelled = label.of(bars)
    kept = bars.present & np.isfinite(labelled.y) & np.isfinite(x).any(axis=2)
    rows, columns = np.nonzero(kept)
    if not len(rows):
        return None
    return {
        "x": x[rows, columns],
        "y": labelled.y[rows, columns],
        "outcome_bps": labelled.outcome_bps[rows, columns],
        "decided_at": bars.close_at[rows],
        "matured_at": bars.close_at[labelled.end[rows, columns]],
        "token": bars.tokens[columns],
        "session": np.full(len(rows), bars.session.toordinal() - EPOCH),
        # among the labels that become rows: one that is left out tells nothing twice
        "uniqueness": average_uniqueness(np.where(kept, labelled.end, -1))[rows, columns],
    }
