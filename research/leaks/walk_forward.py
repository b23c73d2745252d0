"""The splits of a walk-forward as the trainer makes them, for the gate to look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from research.examples import Examples
from research.leaks.row_checks import Split
from research.walkforward.folds import clear_of, folds_of, scheme_of

EPOCH = date(1970, 1, 1).toordinal()


def splits_of(rows: Examples, sessions: Sequence[date], scheme: str, embargo_ns: int) -> tuple[Split, ...]:
    """`rolling:10/3` over these sessions -> each fold's rows, purged and with the embargo.

    Raises:
        SchemeError: no such scheme, or too few sessions for it.
    """
    made = []
    for fold in folds_of(sessions, scheme_of(scheme)):
        train, test = (
            np.isin(rows.session, [day.toordinal() - EPOCH for day in days])
            for days in (fold.train, fold.test)
        )
        if test.any():
            first, last = int(rows.decided_at[test].min()), int(rows.matured_at[test].max())
            train &= clear_of(rows.decided_at, rows.matured_at, first, last, embargo_ns)
        made.append(Split(np.flatnonzero(train), np.flatnonzero(test)))
    return tuple(made)
