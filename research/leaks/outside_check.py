"""Does a feature come from the bars it is given? On another market its values must be others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from research.bars import SessionBars
from research.leaks.altered import another_market
from research.leaks.comparing import failed, passed, skipped, where
from research.leaks.report import Finding
from research.leaks.subjects import Features

Floats = npt.NDArray[np.float64]
MOST = 0.5  # share of values that are the same on another market
FEW = 20


def hidden_input(
    features: Features, sessions: Sequence[SessionBars], rng: np.random.Generator
) -> Iterator[Finding]:
    """The same instruments and minutes with other prices. Time of day alone, and what is fixed for an
    instrument, stay the same and are fair."""
    bars = sessions[-1]
    here = features.compute(sessions)[-1]
    there = features.compute([another_market(each, rng) for each in sessions])[-1]
    for number, name in enumerate(features.names):
        one, other = here[:, :, number], there[:, :, number]
        both = np.isfinite(one) & np.isfinite(other)
        if int(both.sum()) < FEW:
            yield skipped("hidden_input", name, "no values on another market to compare with")
            continue
        same = both & (one == other)
        if same.sum() <= MOST * both.sum() or _fixed(one):
            yield passed("hidden_input", name, "other values on another market, or of the clock alone")
            continue
        row, j = np.unravel_index(int(same.argmax()), same.shape)
        what = f"{int(same.sum())} of {int(both.sum())} values are the same on a made-up market"
        line = f"{name}(another_market(bars, rng)) == {name}(bars)"
        yield failed("hidden_input", name, what, where(bars, int(row), int(j)), line)


def _fixed(values: Floats) -> bool:
    """Every minute has one value for all instruments, or every instrument one for all minutes."""
    known = np.where(np.isfinite(values), values, np.nan)
    with np.errstate(all="ignore"):
        by_minute = np.nanmax(known, axis=1) - np.nanmin(known, axis=1)
        by_instrument = np.nanmax(known, axis=0) - np.nanmin(known, axis=0)
    return bool(np.all(np.nan_to_num(by_minute) == 0) or np.all(np.nan_to_num(by_instrument) == 0))
