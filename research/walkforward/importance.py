"""How much each feature matters: to the fit (gain), and to what is said of rows the model never saw."""

from __future__ import annotations

import numpy as np

from kitepilot.models.calibration import calibrated
from kitepilot.models.scoring import CardScorer
from research.trainers.port import Trainer
from research.walkforward.fold_fit import FittedFold, bare_card
from research.walkforward.measures import log_loss, rounded
from research.walkforward.rows import RowSet

ROWS = 4_000


def importance(made: FittedFold, trainer: Trainer, seed: int) -> dict[str, dict[str, float]]:
    """By feature: `gain` as a share of all, and `permutation`, the rise of the log loss on the test rows (on
    the held-out ones where there is no test) when the feature's values are shuffled among them."""
    whole = sum(made.fitted.gain.values()) or 1.0
    rows = (made.test if len(made.test) else made.held).thinned(ROWS)
    card = bare_card(trainer, made.features, made.parameters)
    scorer = CardScorer(trainer.model.from_artifact(made.fitted.artifact, card), card, made.features)
    x, y = _material(rows, made.features)

    def loss(x: np.ndarray) -> float:
        p = calibrated(scorer.score(x), made.calibration)
        known = np.isfinite(p)
        return log_loss(y[known], np.clip(p[known], 1e-9, 1 - 1e-9)) if known.any() else float("nan")

    before, rng = loss(x), np.random.default_rng([seed, 2])
    found = {}
    for place, name in enumerate(made.features):
        kept = x[:, place].copy()
        x[:, place] = rng.permutation(kept)
        gain = made.fitted.gain.get(name, 0.0) / whole
        found[name] = rounded({"gain": gain, "permutation": loss(x) - before})
        x[:, place] = kept
    return found


def _material(rows: RowSet, features: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    columns = np.array([rows.store.manifest.features.index(name) for name in features])
    x = np.concatenate([np.zeros((0, len(columns)), np.float32), *rows.chunks(columns)])
    return x.astype(np.float64), rows.floats("y")
