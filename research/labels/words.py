"""A label as a person writes it on the command line.

horizon:5             the price 5 minutes later beats the price now by more than the cost
barrier:30/20/30      take profit 30 bps, stop 20 bps, at most 30 minutes
barrier:2/1/30/60     the same in volatilities, measured over the 60 minutes before
short-horizon:5       either of them for selling first
"""

from __future__ import annotations

import re

from research.labels.cost import Cost
from research.labels.fixed_horizon import FixedHorizon
from research.labels.triple_barrier import TripleBarrier

_NUMBER = r"(\d+(?:\.\d+)?)"
_HORIZON = re.compile(r"(short-)?horizon:(\d+)")
_BARRIER = re.compile(rf"(short-)?barrier:{_NUMBER}/{_NUMBER}/(\d+)(?:/(\d+))?")


class LabelWordsError(ValueError):
    """No such label; the text shows what can be written."""


def label_of(text: str, cost: Cost) -> FixedHorizon | TripleBarrier:
    """`horizon:5` -> FixedHorizon(5, cost). Raises `LabelWordsError`.

    >>> from research.labels.cost import FlatCost
    >>> label_of("barrier:30/20/15", FlatCost(11)).minutes
    15
    """
    found = _HORIZON.fullmatch(text.strip())
    try:
        if found:
            return FixedHorizon(int(found[2]), cost, long=not found[1])
        found = _BARRIER.fullmatch(text.strip())
        if found:
            return TripleBarrier(
                take_profit=float(found[2]),
                stop=float(found[3]),
                minutes=int(found[4]),
                volatility_minutes=int(found[5] or 0),
                cost=cost,
                long=not found[1],
            )
    except ValueError as err:
        raise LabelWordsError(f"label {text!r}: {err}") from err
    raise LabelWordsError(
        f"no label {text!r}: write horizon:MINUTES, barrier:PROFIT/STOP/MINUTES in bps, or "
        "barrier:PROFIT/STOP/MINUTES/WINDOW in volatilities of WINDOW minutes; short-... for selling first"
    )
