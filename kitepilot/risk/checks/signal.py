"""Is the wish itself sound: new, and resting on scores that are there, fresh, and of a model that is fit."""

from __future__ import annotations

import math

from kitepilot.events import RiskLimits
from kitepilot.risk.checks.denials import Denial
from kitepilot.risk.checks.proposal import NS_PER_S, Compared, Proposal, at_most, check
from kitepilot.risk.state import DeskState


@check(Denial.DUPLICATE_SIGNAL, "none")
def signal_is_new(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """The same signal has become an order before. Observed: how often; none may be."""
    return at_most(int(proposal.signal.signal_id in state.signals), 0)


@check(Denial.SCORE_MISSING, "none")
def scores_there(proposal: Proposal, _state: DeskState, _limits: RiskLimits) -> Compared:
    """A score that the strategy rests on is missing or not a number. Observed: how many such; none may be."""
    scores = proposal.signal.scores
    missing = sum(not math.isfinite(scores.get(name, math.nan)) for name in proposal.signal.rests_on)
    return at_most(missing, 0)


@check(Denial.SCORE_STALE, "model_age_s")
def scores_fresh(proposal: Proposal, _state: DeskState, limits: RiskLimits) -> Compared:
    """The scores are too old. Observed: seconds since the bar they were made at; 0 without scores."""
    age = proposal.now - proposal.signal.bar_close_at if proposal.signal.rests_on else 0
    return Compared(age <= round(limits.model_age_s * NS_PER_S), age / NS_PER_S, limits.model_age_s)


@check(Denial.MODEL_STALE, "none")
def models_recent(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """A model it rests on was trained too long ago. Observed: how many such; none may be."""
    return at_most(_judged(proposal, state, "stale"), 0)


@check(Denial.MODEL_DRIFTED, "none")
def models_fit(proposal: Proposal, state: DeskState, _limits: RiskLimits) -> Compared:
    """A model it rests on scores worse than its labels' base rate would, or has drifted and
    `models.on_drift` refuses. Observed: how many; none may be."""
    told = sum(name in state.drifted for name in proposal.signal.rests_on)
    return at_most(_judged(proposal, state, "drifted") + told, 0)


def _judged(proposal: Proposal, state: DeskState, word: str) -> int:
    return sum(state.models.get(name, "") == word for name in proposal.signal.rests_on)
