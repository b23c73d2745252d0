"""Optuna proposes parameter sets, the compiled desk tries them: batch after batch over the same sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from research.sweep.grid import Axis, Parameters
from research.sweep.search import TRADES, Searched, Trial

BATCH = 20  # sets that share one reading of the data
Try = Callable[[Sequence[Parameters]], Searched]


def optimise(grid: Sequence[Axis], trials: int, tried: Try, seed: int = 0) -> Searched:
    """`trials` sets from the values of `grid`, proposed by Optuna's TPE for the Sharpe ratio of the sessions.

    The same seed proposes the same sets. A set proposed twice is traded once and counts once; a set that
    fails or does not trade is told to Optuna as failed.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    found, known = Searched(), dict[tuple[float, ...], Trial]()
    for first in range(0, trials, BATCH):
        asked = [study.ask() for _ in range(min(BATCH, trials - first))]
        wanted = [
            {axis.name: float(each.suggest_categorical(axis.name, axis.values)) for axis in grid}
            for each in asked
        ]
        fresh = {tuple(each.values()): each for each in wanted if tuple(each.values()) not in known}
        if fresh:
            batch = tried(list(fresh.values()))
            known.update(zip(fresh, batch.trials, strict=True))
            found.sessions, found.left_out = batch.sessions, batch.left_out
            found.trials += batch.trials
        for each, parameters in zip(asked, wanted, strict=True):
            trial = known[tuple(parameters.values())]
            if trial.failed or not trial.total(TRADES):
                study.tell(each, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(each, trial.sharpe)
    return found
