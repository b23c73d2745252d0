"""Training the offline model: days of labelled rows in, artifact and card out. Same rows, same bytes.

The rows come from the kernel and the label queue that the live flow uses, so what is learned is what will
be seen. Days are never mixed: the earlier ones train, the last ones validate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.features import SECONDS
from kitepilot.kernels.shard import BarClose, Shard, ShardSpec
from kitepilot.models.labels import COST_BPS, HORIZON_S, LABEL, LabelQueue
from kitepilot.models.port import Booleans, Floats, ModelCard, ModelError
from kitepilot.models.reference import references_of

KIND = "lightgbm"
MINUTE_S = 60
TREES = 160
MIN_ROWS = 1_000  # fewer labelled rows than this are no basis for a model
PARAMETERS: dict[str, float | int | str | bool] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "max_bin": 127,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


class DayRows(NamedTuple):
    """Labelled rows of one session in the order they matured: x float64[m, F], y bool[m]."""

    date: str
    x: Floats
    y: Booleans


class Provenance(NamedTuple):
    """What the card says besides the training itself."""

    spec_hash: str
    data: str
    features: tuple[str, ...]


def rows_of_day(date: str, spec: ShardSpec, batches: Iterable[npt.NDArray[np.void]]) -> DayRows:
    """One session's records (RECORD_DTYPE arrays in order, clocks included) -> its labelled 1 m rows.

    The columns are the second features, `SECOND_NAMES`.

    Raises:
        ModelError: not one row of the session got a label.
    """
    shard, queue = Shard(spec), LabelQueue()
    x: list[Floats] = []
    y: list[Booleans] = []
    for batch in batches:
        for found in shard.on_records(batch):
            if isinstance(found, BarClose) and found.interval_s == MINUTE_S:
                matured = queue.on_close(found.close_at, found.features[:, :SECONDS], found.last_paise)
                if matured is not None:
                    x.append(matured.x)
                    y.append(matured.y)
    if not x:
        raise ModelError(f"the session {date} has no labelled row: its feed has no trades or no depth")
    return DayRows(date, np.concatenate(x), np.concatenate(y))


def train(
    days: Sequence[DayRows], validation_days: int, seed: int, of: Provenance
) -> tuple[bytes, ModelCard]:
    """Fit on all days but the last `validation_days`, measure on those. Returns (model text, card).

    Raises:
        ModelError: fewer than one training day, too few rows, or labels that are all the same.
    """
    import lightgbm

    split = len(days) - validation_days
    if split < 1 or validation_days < 1:
        raise ModelError(f"{len(days)} days cannot be split with {validation_days} for validation; give more")
    x, y = _joined(days[:split])
    x_later, y_later = _joined(days[split:])
    _require_material(y)
    parameters = {**PARAMETERS, "seed": seed % 2**31}
    data = lightgbm.Dataset(x, label=y.astype(np.int8), feature_name=list(of.features), params=parameters)
    booster = lightgbm.train(parameters, data, num_boost_round=TREES)
    artifact: bytes = booster.model_to_string().encode()
    digest = hashlib.sha256(artifact).hexdigest()
    card = ModelCard(
        model_id=f"{KIND}-{digest[:8]}",
        kind=KIND,
        artifact_sha256=digest,
        spec_hash=of.spec_hash,
        features=of.features,
        label=LABEL,
        horizon_s=HORIZON_S,
        cost_bps=COST_BPS,
        train_dates=tuple(day.date for day in days[:split]),
        validation_dates=tuple(day.date for day in days[split:]),
        data=of.data,
        seed=seed,
        rows_train=len(y),
        rows_validation=len(y_later),
        parameters={**parameters, "trees": TREES},
        metrics={
            **_metrics("train", y, booster.predict(x, num_threads=1)),
            **_metrics("validation", y_later, booster.predict(x_later, num_threads=1)),
        },
        libraries={"lightgbm": lightgbm.__version__, "numpy": np.__version__},
        reference=references_of(of.features, x, [day.x for day in days[:split]]),
    )
    return artifact, card


def auc(y: Booleans, scores: Floats) -> float:
    """Probability that a true row scores above a false one; ties count half. NaN when one kind is missing.

    >>> auc(np.array([False, True, True]), np.array([0.1, 0.1, 0.9]))
    0.75
    """
    true, false = int(y.sum()), int((~y).sum())
    if not true or not false:
        return float("nan")
    _, inverse, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2.0)[inverse]
    return float((rank[y].sum() - true * (true + 1) / 2.0) / (true * false))


def _joined(days: Sequence[DayRows]) -> tuple[Floats, Booleans]:
    return np.concatenate([day.x for day in days]), np.concatenate([day.y for day in days])


def _require_material(y: Booleans) -> None:
    if len(y) < MIN_ROWS:
        raise ModelError(f"{len(y)} labelled rows are too few to train on; at least {MIN_ROWS}")
    if y.all() or not y.any():
        raise ModelError("all labels are the same: there is nothing to learn; give more days")


def _metrics(part: str, y: Booleans, scores: Any) -> dict[str, float]:
    """Area under the curve, log loss, base rate, hit rate of the best 2 %; rounded for people."""
    p = np.clip(np.asarray(scores, dtype=np.float64), 1e-9, 1 - 1e-9)
    best = np.argsort(-p, kind="stable")[: max(1, len(p) // 50)]
    found = {
        "auc": auc(y, p),
        "log_loss": float(-np.where(y, np.log(p), np.log(1.0 - p)).mean()),
        "base_rate": float(y.mean()),
        "hit_rate_best_2pc": float(y[best].mean()),
        "score_p98": float(np.quantile(p, 0.98)),
    }
    return {f"{part}_{name}": round(value, 6) for name, value in found.items()}
