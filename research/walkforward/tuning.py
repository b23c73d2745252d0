"""Parameters by Optuna, inside a fold: trials learn from earlier sessions and are judged on later ones.

The held-out and the test sessions take no part, so the choice cannot know them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from research.trainers.port import Material, Parameters, Trainer
from research.walkforward.measures import Floats, log_loss
from research.walkforward.rows import RowSet

Score = Callable[[bytes, RowSet], Floats]


def tuned(
    trainer: Trainer,
    fit: Material,
    judged: RowSet,
    score: Score,
    fixed: Parameters,
    trials: int,
    seed: int,
    told: Callable[[], None],
) -> tuple[Parameters, list[dict[str, Any]]]:
    """The best parameters by weighted log loss on `judged`, and every trial's.

    The first trial has the trainer's defaults; `fixed` ones are never searched. The same material and seed
    give the same trials. `told` is called after each.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    prepared = trainer.prepare(fit)
    y, weight = judged.floats("y"), judged.floats("weight")

    def judge(trial: Any) -> float:
        parameters = {**trainer.defaults, **trainer.space(trial), **fixed}
        p = score(trainer.fit(prepared, parameters, seed).artifact, judged)
        rows = np.isfinite(p)
        told()
        return log_loss(y[rows], np.clip(p[rows], 1e-9, 1 - 1e-9), weight[rows])

    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(trainer.defaults)
    study.optimize(judge, n_trials=trials)
    tried = [{"loss": round(one.value or 0.0, 9), **one.params, **fixed} for one in study.trials]
    return {**trainer.defaults, **study.best_params, **fixed}, tried
