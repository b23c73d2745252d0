"""A model's card -> what its walk-forward says, in the terms of the gates."""

from __future__ import annotations

import math
from datetime import date

from kitepilot.models.gates import OutOfSample
from kitepilot.models.port import ModelCard

NAN = math.nan


def out_of_sample(card: ModelCard) -> OutOfSample | None:
    """Over the test rows of all folds; None for a card without a walk-forward (as `kitepilot seed` writes).

    A measure that the card does not have is NaN: no gate passes on it. A fold that failed counts as one that
    earned nothing.
    """
    if not card.folds:
        return None
    whole = card.out_of_sample
    base = whole.get("base_rate", NAN)
    return OutOfSample(
        fold_net_bps=tuple(each.metrics.get("net_bps", NAN) for each in card.folds),
        trades=int(whole.get("trades", 0)),
        net_bps=whole.get("net_bps", NAN),
        brier=whole.get("brier", NAN),
        base_brier=whole.get("brier_base", base * (1.0 - base)),
        calibration_error=whole.get("ece", NAN),
    )


def data_range(card: ModelCard) -> tuple[date, date]:
    """First and last session that the model has seen, in training, validation or a test fold."""
    days = {*card.train_dates, *card.validation_dates}
    days |= {day for fold in card.folds for day in (*fold.train_dates, *fold.test_dates)}
    dates = sorted(date.fromisoformat(day) for day in days)
    return dates[0], dates[-1]
