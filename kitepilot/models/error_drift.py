"""Has a score become worse than it was? ADWIN over its error, one value per matured close.

The error of a close is its Brier score less that of always saying the close's own share of true labels: what
is left when the market's mood at that minute is taken out (Murphy's decomposition: reliability less
resolution). Instruments share the market's move and labels overlap, so raw errors come in waves that a
detector for independent values takes for drift; how often either alarms on markets without drift is measured
by `benchmarks/drift.py`.

ADWIN expects values within 0..1. Errors are brought there by the mean and spread of the first closes, which
are then kept: a mapping that is fixed cannot hide a change, nor make one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kitepilot.models.port import Booleans, Floats

DELTA = 0.02  # ADWIN's confidence: of a false cut, were the values independent
SETTLE_CLOSES = 30  # before which nothing is said, and which fix the mapping
REACH = 2.0  # deviations of the settling closes on either side of their mean that 0..1 covers
KEPT_CLOSES = 15  # that a new window begins with after a change
MAX_CLOSES = 750  # two sessions; past it the window begins anew with its later half
MIN_ROWS = 5  # a close with fewer scores says nothing
FLAT = 1e-9  # spread of errors that never differ


class Worse(NamedTuple):
    """The mean error of the window after and before the change."""

    now: float
    before: float


class ErrorDrift:
    """One score's error. State: the errors since the last change, which ADWIN is fed again when restored."""

    def __init__(self) -> None:
        self._errors: list[float] = []
        self._adwin: Any = None

    def on_matured(self, scores: Floats, y: Booleans) -> Worse | None:
        """Scores float64[m] of a close, and what became true, bool[m]. A change for the better is silent."""
        said = np.isfinite(scores)
        if int(said.sum()) < MIN_ROWS:
            return None
        share = float(y[said].mean())
        error = float(((scores[said] - y[said]) ** 2).mean()) - share * (1.0 - share)
        return self._take(error)

    def _take(self, error: float) -> Worse | None:
        self._errors.append(error)
        if self._adwin is None or len(self._errors) > MAX_CLOSES:
            self._errors = self._errors[-MAX_CLOSES // 2 :]
            self._begin()
            return None
        before = self._estimate()
        self._adwin.update(self._mapped(error))
        if not self._adwin.drift_detected:
            return None
        now = self._estimate()
        self._errors, self._adwin = self._errors[-KEPT_CLOSES:], None
        return Worse(now, before) if now > before else None

    def _begin(self) -> None:
        """A detector that has seen the window's errors, once there are enough."""
        from river import drift

        if len(self._errors) < SETTLE_CLOSES:
            return
        first = self._errors[:SETTLE_CLOSES]
        self._mean, self._spread = float(np.mean(first)), max(float(np.std(first)), FLAT)
        self._adwin = drift.ADWIN(delta=DELTA, clock=1)  # type: ignore[no-untyped-call]  # river has no types
        for each in self._errors:
            self._adwin.update(self._mapped(each))

    def _mapped(self, error: float) -> float:
        return min(max((error - self._mean) / (2.0 * REACH * self._spread) + 0.5, 0.0), 1.0)

    def _estimate(self) -> float:
        """ADWIN's mean, as an error again."""
        return self._mean + (float(self._adwin.estimation) - 0.5) * 2.0 * REACH * self._spread

    def snapshot(self) -> list[float]:
        """Plain data."""
        return list(self._errors)

    def restore(self, saved: list[float]) -> None:
        self._errors, self._adwin = list(saved), None
        self._begin()
