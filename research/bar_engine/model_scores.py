"""A run's offline models -> what they say of a session of bars, all minutes in one call.

The online model is not asked: it learns from ticks, through the day. What ticks alone can say of a row is
NaN; whether a model scores such a row is for its card to say.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kitepilot.models.drift_watch import BLEND
from kitepilot.models.panel import Panel
from research.bar_engine.plan import Floats, SessionScores
from research.bars import SessionBars


def panel_scores(panel: Panel) -> SessionScores:
    """float64[m, n] of each followed model, and the blend, which is then what is followed."""

    def of(bars: SessionBars, features: Floats) -> Mapping[str, Floats]:
        if not panel:
            return {}
        minutes, instruments, columns = features.shape
        panel.watch(np.tile(bars.tokens, minutes))
        said = panel.score(features.reshape(minutes * instruments, columns))
        scores = {**said.own, BLEND: said.followed}
        return {name: found.reshape(minutes, instruments) for name, found in scores.items()}

    return of
