"""A model's card: where it comes from, how its scores are read, and what it came to on days it had not seen.

Every number is plain JSON, so that a person, the registry and the live flow read the same thing. A measure
that could not be taken (a fold without a true label has no AUC) is absent, never zero.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

NanPolicy = Literal["refuse", "native"]
Precision = Literal["float32", "float64"]
Method = Literal["none", "platt", "isotonic"]


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """From the learner's score to a probability; fitted on rows that the learner never saw.

    `platt`: 1 / (1 + exp(-(slope * logit(score) + intercept))). `isotonic`: straight lines through the knots
    (`scores` growing, `probabilities` never falling), flat beyond the outer ones.
    """

    method: Method = "none"
    slope: float = 1.0
    intercept: float = 0.0
    scores: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    rows: int = 0  # how many rows it was fitted on


UNCALIBRATED = Calibration()


class FeatureReference(msgspec.Struct, frozen=True, kw_only=True):
    """How one feature was spread over the training rows: what drift (PSI) is measured against.

    `shares` has one more element than `edges`: shares of the finite values below the first edge, in
    [edge i, edge i + 1), and from the last edge on; they sum to 1. `missing` is the share of NaN in all rows.
    An hour of the feature counts as shifted above `limit`, a PSI, or above `missing_limit`, a share of rows
    without a value, see `models.reference`.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    missing: float
    limit: float = 0.25
    missing_limit: float = 1.0


class FoldRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One fold of the walk-forward: dates, rows, and measures on its test rows alone; `failed`: why it has
    none."""

    number: int
    train_dates: tuple[str, ...]
    test_dates: tuple[str, ...]
    rows_train: int = 0
    rows_test: int = 0
    rows_purged: int = 0
    metrics: dict[str, float] = {}
    failed: str = ""


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """Where a trained model comes from. Stored as JSON beside the artifact.

    The fields with defaults were added for walk-forward training; a card without them is of `kitepilot seed`.
    """

    model_id: str  # see `identity`
    kind: str
    artifact_sha256: str
    spec_hash: str  # of everything the training depended on, the code's versions included
    features: tuple[str, ...]  # the columns it reads, in its order
    label: str
    horizon_s: int
    cost_bps: float
    train_dates: tuple[str, ...]
    validation_dates: tuple[str, ...]  # held out of fitting: calibration and threshold come from them
    data: str  # what market the rows came from
    seed: int
    rows_train: int
    rows_validation: int
    parameters: dict[str, float | int | str | bool]
    metrics: dict[str, float]
    libraries: dict[str, str]
    nan: NanPolicy = "refuse"  # a row with a NaN feature: no score, or the learner's own treatment
    precision: Precision = "float64"  # features are rounded to this before they are scored
    calibration: Calibration = UNCALIBRATED
    threshold: float | None = None  # act at or above it; None: nothing paid on the held-out rows
    data_hash: str = ""  # of the dataset's content
    features_hash: str = ""  # of the names and of the kernels' source
    code_version: str = ""
    training_run: str = ""  # name of the run folder under `training/` of the home
    scheme: str = ""  # rolling:10/3, expanding:10/3
    folds: tuple[FoldRecord, ...] = ()
    out_of_sample: dict[str, float] = {}  # over the test rows of all folds together
    reference: dict[str, FeatureReference] = {}
    warnings: tuple[str, ...] = ()


def identity(kind: str, artifact_sha256: str, calibration: Calibration = UNCALIBRATED) -> str:
    """A model's id names what its score depends on: the artifact, and the calibration if there is one.

    >>> identity("lightgbm", "0123456789abcdef")
    'lightgbm-01234567'
    """
    if calibration.method == "none":
        return f"{kind}-{artifact_sha256[:8]}"
    both = artifact_sha256.encode() + msgspec.json.encode(calibration)
    return f"{kind}-{hashlib.sha256(both).hexdigest()[:8]}"
