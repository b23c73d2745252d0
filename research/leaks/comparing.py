"""Are two tables of values the same, and where is the first place they are not?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kitepilot.market.calendar import to_ist
from research.bars import SessionBars
from research.leaks.checks import CHECKS
from research.leaks.report import FAIL, PASS, SKIP, Finding, Where

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
RELATIVE = 1e-9  # what another order of summation may change
OF_COLUMN = 1e-10  # the same for values near 0, of the column's usual size


class Place(NamedTuple):
    """Row, instrument and feature of a difference."""

    row: int
    j: int
    feature: int


def different(one: Floats, other: Floats, *, exact: bool) -> Flags:
    """[m, n, F], [m, n, F] -> bool[m, n, F]; NaN is like NaN alone, an infinity like itself."""
    unlike: Flags = ~((one == other) | (np.isnan(one) & np.isnan(other)))
    both = np.isfinite(one) & np.isfinite(other)
    if exact or not one.size:
        return unlike
    size = np.maximum(np.abs(one), np.abs(other))
    usual = np.median(np.where(np.isfinite(one), np.abs(one), 0.0), axis=(0, 1), keepdims=True)
    with np.errstate(invalid="ignore"):
        near = np.abs(one - other) <= RELATIVE * size + OF_COLUMN * usual
    return unlike & ~(both & near)


def places(apart: Flags) -> dict[int, Place]:
    """The first difference of each feature that has one, by row and then instrument."""
    found: dict[int, Place] = {}
    for feature in np.flatnonzero(apart.any(axis=(0, 1))).tolist():
        row, j = np.unravel_index(int(apart[:, :, feature].argmax()), apart.shape[:2])
        found[feature] = Place(int(row), int(j), feature)
    return found


def clock(bars: SessionBars, row: int) -> str:
    """IST end of a minute, to the second where it is not whole."""
    return f"{to_ist(int(bars.close_at[row])):%H:%M}" if 0 <= row < len(bars.close_at) else ""


def where(bars: SessionBars, row: int, j: int | None) -> Where:
    return Where(bars.symbols[j] if j is not None else "", bars.session.isoformat(), clock(bars, row))


def value(number: float) -> str:
    return "nothing" if np.isnan(number) else f"{number:.6g}"


def passed(check: str, subject: str, what: str) -> Finding:
    return Finding(check, subject, PASS, what, why=CHECKS[check].why)


def skipped(check: str, subject: str, what: str) -> Finding:
    return Finding(check, subject, SKIP, what, why=CHECKS[check].why)


def failed(check: str, subject: str, what: str, at: Where | None = None, reproduction: str = "") -> Finding:
    return Finding(check, subject, FAIL, what, at or Where(), reproduction, CHECKS[check].why)
