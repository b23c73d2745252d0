"""Labels that end later than they say, or are no outcome at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from research.bars import SessionBars
from research.labels import FixedHorizon, MetaLabel, TripleBarrier
from research.labels.port import Label, Labelled
from research.leaks.catalogue.entry import Entry, back, filled, price
from research.leaks.gate import Trial
from research.leaks.proving_ground import proving_sessions

Ints = npt.NDArray[np.int64]
TEN_MINUTES = FixedHorizon(10)


@dataclass(frozen=True)
class Made:
    """A label out of another, changed."""

    words: str
    change: Callable[[SessionBars, Labelled], Labelled]
    inner: Label = TEN_MINUTES

    def of(self, bars: SessionBars) -> Labelled:
        return self.change(bars, self.inner.of(bars))


def _shortened(bars: SessionBars, found: Labelled) -> Labelled:
    """Says that it ends after five minutes; it looks at ten."""
    rows = np.arange(len(bars.close_at))[:, None]
    return found._replace(end=np.where(found.end >= 0, rows + 5, -1))


def _best_price_ahead(bars: SessionBars, found: Labelled) -> Labelled:
    """The best close until the session's end, said to be that of ten minutes."""
    values = filled(price(bars))
    best = np.maximum.accumulate(values[::-1], axis=0)[::-1]
    outcome = np.where(found.end >= 0, (best / values - 1) * 1e4, np.nan)
    return found._replace(outcome_bps=outcome, y=np.where(found.end >= 0, outcome > 20, np.nan))


def _known_already(bars: SessionBars, found: Labelled) -> Labelled:
    """Whether the last ten minutes rose."""
    values = filled(price(bars))
    outcome = np.where(found.end >= 0, (values / back(values, 10) - 1) * 1e4, np.nan)
    kept = np.isfinite(outcome)
    return Labelled(np.where(kept, outcome > 0, np.nan), outcome, np.where(kept, found.end, -1))


def _into_the_next_session(bars: SessionBars, found: Labelled) -> Labelled:
    """Rows near the close are given an end beyond it."""
    rows = np.arange(len(bars.close_at))[:, None]
    y = np.where(np.isfinite(found.y), found.y, 0.0)
    return Labelled(y, np.nan_to_num(found.outcome_bps), np.broadcast_to(rows + 10, y.shape))


def _side_of_the_next_move(bars: SessionBars) -> Ints:
    values = filled(price(bars))
    return np.sign(np.nan_to_num(back(values, -3) - values)).astype(np.int64)


def _entry(name: str, says: str, label: Label, *caught_by: str) -> Entry:
    return Entry(name, says, lambda seed: Trial(proving_sessions(seed, 2), label=label), frozenset(caught_by))


LABEL_LEAKS: tuple[Entry, ...] = (
    _entry(
        "span_too_short",
        "a label of ten minutes that says five",
        Made("ten minutes, said to be five", _shortened),
        "label_span",
    ),
    _entry(
        "best_price_of_the_day",
        "the best price until the close, said to end in ten minutes",
        Made("best price ahead", _best_price_ahead),
        "label_span",
    ),
    _entry(
        "label_of_the_past",
        "a label that is known when it is asked for",
        Made("the last ten minutes rose", _known_already),
        "label_span",
    ),
    _entry(
        "label_over_the_close",
        "labels near the close that end in the next session",
        Made("over the close", _into_the_next_session),
        "label_span",
    ),
    _entry(
        "meta_label_of_a_seer",
        "a meta-label whose primary rule knows the next three minutes",
        MetaLabel("side of the next move", _side_of_the_next_move, TripleBarrier(15, 15, 5)),
        "truncation",
    ),
)
