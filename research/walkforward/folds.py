"""Which sessions train and which test, and which training rows must go because they know the test.

rolling:10/3     train on 10 sessions, test on the 3 after them, move on by 3
expanding:10/3   the same, but training begins at the first session each time
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_SCHEME = re.compile(r"(rolling|expanding):(\d+)/(\d+)")
#: Inside a fold the last fifth of its training sessions is held out of fitting.
HELD_SHARE = 0.2


class SchemeError(ValueError):
    """The folds asked for cannot be made; the text says what was asked and what there is."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """`train` sessions (at least, when expanding) before each `test` sessions."""

    kind: Literal["rolling", "expanding"]
    train: int
    test: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.train}/{self.test}"


@dataclass(frozen=True, slots=True)
class Fold:
    """Sessions in order; the last of `train` lies before the first of `test`. No test: the final model."""

    number: int
    train: tuple[date, ...]
    test: tuple[date, ...]


def scheme_of(text: str) -> Scheme:
    """`rolling:10/3` -> Scheme. Raises `SchemeError`.

    >>> str(scheme_of("expanding:5/1"))
    'expanding:5/1'
    """
    found = _SCHEME.fullmatch(text.strip())
    if not found or not int(found[2]) or not int(found[3]):
        raise SchemeError(
            f"folds {text!r} are neither rolling:TRAIN/TEST nor expanding:TRAIN/TEST, both in sessions; "
            "for example rolling:10/3"
        )
    kind: Literal["rolling", "expanding"] = "rolling" if found[1] == "rolling" else "expanding"
    return Scheme(kind, int(found[2]), int(found[3]))


def folds_of(sessions: Sequence[date], scheme: Scheme) -> tuple[Fold, ...]:
    """Every fold that has at least one test session; the last may have fewer than `scheme.test`.

    Raises:
        SchemeError: sessions out of order, or too few of them for one fold.
    """
    if any(later <= earlier for earlier, later in pairwise(sessions)):
        raise SchemeError("the sessions are not in order, or one is there twice")
    if len(sessions) <= scheme.train:
        raise SchemeError(
            f"{len(sessions)} sessions are too few for {scheme}: it needs at least {scheme.train + 1}"
        )
    made = []
    for number, first in enumerate(range(scheme.train, len(sessions), scheme.test), start=1):
        begin = first - scheme.train if scheme.kind == "rolling" else 0
        test = tuple(sessions[first : first + scheme.test])
        made.append(Fold(number, tuple(sessions[begin:first]), test))
    return tuple(made)


def final_fold(sessions: Sequence[date], scheme: Scheme) -> Fold:
    """What the model that is kept learns from: the last window, or everything when expanding."""
    begin = len(sessions) - scheme.train if scheme.kind == "rolling" else 0
    return Fold(0, tuple(sessions[max(0, begin) :]), ())


def held_out(sessions: Sequence[date]) -> tuple[tuple[date, ...], tuple[date, ...]]:
    """Training sessions -> (those that fit, the later ones that are held out: a fifth, at least one).

    Raises:
        SchemeError: one session cannot be both.
    """
    held = max(1, round(len(sessions) * HELD_SHARE))
    if len(sessions) - held < 1:
        raise SchemeError(f"{len(sessions)} training session(s) leave none to hold out; use longer folds")
    return tuple(sessions[:-held]), tuple(sessions[-held:])


def clear_of(decided_at: Ints, matured_at: Ints, first: int, last: int, embargo_ns: int) -> Flags:
    """Purge and embargo: bool[r], False where a row's span touches [first - embargo, last + embargo].

    `first` is the earliest decision, `last` the latest maturity of what the rows are kept apart from. A row
    decided before and matured inside would carry the answer into training; one just beside it shares its
    market. All times are ns UTC.

    >>> clear_of(np.array([0, 4, 20]), np.array([3, 9, 25]), 8, 12, 2).tolist()
    [True, False, True]
    """
    return (matured_at < first - embargo_ns) | (decided_at > last + embargo_ns)
