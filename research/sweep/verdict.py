"""All trials of a search -> the best of them, and what a person should think of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from research.sweep.deflation import SESSIONS_A_YEAR, Deflated, deflated
from research.sweep.overfitting import Overfit, overfit
from research.sweep.search import NET, TRADES, Searched, Trial

CONVINCING = 0.95
FEW_SESSIONS = 60


@dataclass(frozen=True)
class Verdict:
    """`best` None: no set traded. The sentences are in the order to be read."""

    best: Trial | None
    deflated: Deflated | None
    overfit: Overfit | None
    sentences: tuple[str, ...]


def judge(searched: Searched) -> Verdict:
    """The best by Sharpe ratio of the sessions' net results, among the sets that traded."""
    sound = [trial for trial in searched.trials if not trial.failed]
    trading = [place for place, trial in enumerate(sound) if trial.total(TRADES)]
    if not trading:
        return Verdict(None, None, None, ("no parameter set traded: there is no best",))
    returns = np.stack([trial.returns for trial in sound], axis=1)
    place = max(trading, key=lambda each: sound[each].sharpe)
    one, all_of = deflated(returns, place), overfit(returns)
    return Verdict(sound[place], one, all_of, tuple(_sentences(sound[place], one, all_of)))


def _sentences(best: Trial, one: Deflated, all_of: Overfit) -> Sequence[str]:
    year = math.sqrt(SESSIONS_A_YEAR)
    said = [f"The best of {one.trials} is not a result."] if one.trials > 1 else []
    if best.total(NET) <= 0:
        said.append("Even the best set loses money after charges.")
    if one.trials > 1:
        said.append(
            f"{one.trials} sets without any skill would show a best Sharpe ratio of about "
            f"{one.expected_best * year:.2f} a year; this one shows {one.sharpe * year:.2f}."
        )
    if math.isnan(one.probability):
        said.append(f"{one.periods} sessions are too few to deflate its Sharpe ratio.")
    else:
        enough = "convincing" if one.probability >= CONVINCING else f"not convincing ({CONVINCING:.0%} is)"
        said.append(f"Deflated Sharpe ratio: {one.probability:.0%} that there is skill; {enough}.")
    if all_of.reason:
        said.append(f"Probability of overfitting: cannot be said, {all_of.reason}.")
    else:
        said.append(
            f"Probability of backtest overfitting: {all_of.probability:.0%} (of {all_of.splits} ways to "
            "halve the sessions, how often the best of one half is below the middle in the other; "
            "a coin has 50 %)."
        )
    if one.periods < FEW_SESSIONS:
        said.append(f"{one.periods} sessions do not show an edge, whatever they come to.")
    return said
