"""Does a column know its own answer? What it shows is compared with chance and with what the past can tell.

Three measures, for the label y and what its trade earned: the area under the curve, the rank correlation, and
the mutual information of quantile bins, which also sees what is not monotone. Each has two bounds:

- chance: the same column moved in time by a random part of each session, which keeps its own memory, that of
  the answers, and what instruments have in common; the largest of so many moves;
- the past: `REACH` times what the best of some plain figures of the same bars shows, and never below `FLOOR`,
  which no honest figure of earlier minutes comes near, nor below five deviations of so few rows.

A column beyond both knows what it should not. A faint leak below them is for the other checks to find: those
run the feature again and need no statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kitepilot.models.training import auc
from research.examples import Examples
from research.leaks.comparing import failed, passed, skipped
from research.leaks.report import Finding, Where

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
FEW_ROWS = 200
FEW_OF_ONE_ANSWER = 30
MOST_ROWS = 60_000
MOVES = 49
DEVIATIONS = 5.0  # of chance, by the number of rows that tell something of their own
REACH = 2.0
BINS = 12


class Shown(NamedTuple):
    """What a column shows of the answer; all 0 when it shows nothing."""

    auc: float  # distance of the area under the curve from a half
    rank: float  # absolute rank correlation with the outcome
    information: float  # mutual information with the outcome, nats


FLOOR = Shown(auc=0.20, rank=0.25, information=0.20)
NAMES = ("area under the curve off a half by", "rank correlation", "mutual information")
#: Of one instrument alone there are fewer rows, and more instruments to find something in.
FLOOR_OF_ONE = 0.5


def target_in_feature(
    examples: Examples,
    past: Floats,
    rng: np.random.Generator,
    names: dict[int, str] | None = None,
) -> Iterator[Finding]:
    """A finding for each column; `past` float64[r, k] are plain figures of earlier bars for the same rows."""
    chosen = _sample(len(examples), rng)
    rows = examples.take(chosen)
    honest = _best([shown(column, rows) for column in past[chosen].T])
    for number, name in enumerate(examples.features):
        yield _judge(name, rows, rows.x[:, number], honest, rng, names or {})


def shown(column: Floats, rows: Examples) -> Shown:
    """NaN in the column is no answer; its rows are left out."""
    known = np.isfinite(column)
    values, y, outcome = column[known], rows.y[known], rows.outcome_bps[known]
    if len(values) < FEW_ROWS or np.ptp(values) == 0 or np.ptp(outcome) == 0:
        return Shown(0.0, 0.0, 0.0)
    area = auc(y > 0.5, values)
    rarer = min(int((y > 0.5).sum()), int((y <= 0.5).sum()))
    if _independent(rows, rarer) < FEW_OF_ONE_ANSWER:
        area = 0.5
    ranks, of_outcome = _ranks(values), _ranks(outcome)
    return Shown(
        0.0 if np.isnan(area) else abs(area - 0.5),
        abs(_correlation(ranks, of_outcome)),
        _information(ranks, of_outcome, _independent(rows, len(values))),
    )


def _by_few_rows(rows: Examples, known: int) -> float:
    """A correlation that chance stays under: so many deviations of it."""
    return DEVIATIONS / float(np.sqrt(_independent(rows, known)))


def _judge(
    name: str,
    rows: Examples,
    column: Floats,
    honest: Shown,
    rng: np.random.Generator,
    names: dict[int, str],
) -> Finding:
    known = int(np.isfinite(column).sum())
    if known < FEW_ROWS:
        return skipped("target_in_feature", name, f"{known} known values are too few to judge by")
    found = shown(column, rows)
    few = _by_few_rows(rows, known)
    bound = Shown(*(max(REACH * past, floor, few) for past, floor in zip(honest, FLOOR, strict=True)))
    if any(value > most for value, most in zip(found, bound, strict=True)):
        chance = _best([shown(_moved(column, rows, rng), rows) for _ in range(MOVES)])
        for which, (value, most, luck) in enumerate(zip(found, bound, chance, strict=True)):
            if value > most and value > luck:
                what = (
                    f"{NAMES[which]} {value:.3f} with what comes after; the past gives {honest[which]:.3f}, "
                    f"chance {luck:.3f}"
                )
                line = f"shown(column, examples) over {known} rows"
                return failed("target_in_feature", name, what, None, line)
    one = _of_one_instrument(column, rows, rng)
    if one is not None:
        token, value, luck = one
        what = f"rank correlation {value:.3f} with what comes after in this one instrument; chance {luck:.3f}"
        at = Where(names.get(token, str(token)))
        return failed("target_in_feature", name, what, at, f"shown(column, examples of {at.symbol})")
    return passed(
        "target_in_feature",
        name,
        f"rank correlation {found.rank:.3f}, bound {bound.rank:.2f}; information {found.information:.3f}",
    )


def _of_one_instrument(
    column: Floats, rows: Examples, rng: np.random.Generator
) -> tuple[int, float, float] | None:
    """(token, rank correlation, chance) of an instrument in which the column alone knows the answer."""
    for token in np.unique(rows.token).tolist():
        mine = rows.take(rows.token == token)
        values = column[rows.token == token]
        found = shown(values, mine).rank
        if found > max(FLOOR_OF_ONE, _by_few_rows(mine, len(values))):
            luck = max(shown(_moved(values, mine, rng), mine).rank for _ in range(MOVES))
            if found > luck:
                return token, found, luck
    return None


def _moved(column: Floats, rows: Examples, rng: np.random.Generator) -> Floats:
    """Each session turned by a random part of its length, all its instruments by the same part."""
    order = np.lexsort((rows.decided_at, rows.token, rows.session))
    token, session = rows.token[order], rows.session[order]
    begins = np.flatnonzero(np.r_[True, (np.diff(token) != 0) | (np.diff(session) != 0)])
    lengths = np.diff(np.r_[begins, len(order)])
    _, day = np.unique(session[begins], return_inverse=True)
    part = rng.uniform(0.2, 0.8, int(day.max()) + 1)[day]
    by = (part * lengths).astype(np.int64)
    place = np.arange(len(order)) - np.repeat(begins, lengths)
    source = np.repeat(begins, lengths) + (place + np.repeat(by, lengths)) % np.repeat(lengths, lengths)
    moved = np.empty_like(column)
    moved[order] = column[order][source]
    return moved


def _independent(rows: Examples, known: int) -> float:
    """How many of so many rows tell something of their own: labels that overlap tell it together."""
    times = np.unique(rows.decided_at)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    span = float(np.median(rows.matured_at - rows.decided_at))
    return max(known * min(step / max(span, 1.0), 1.0), 1.0)


def _sample(count: int, rng: np.random.Generator) -> Ints:
    """At most `MOST_ROWS` rows in their order: whole runs of time are kept by taking every k-th."""
    step = max(1, -(-count // MOST_ROWS))
    return np.arange(int(rng.integers(0, step)), count, step)


def _best(found: Sequence[Shown]) -> Shown:
    return Shown(*(max((each[i] for each in found), default=0.0) for i in range(len(Shown._fields))))


def _ranks(values: Floats) -> Floats:
    """Mean ranks, 0..1."""
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    return ((np.cumsum(count) - (count - 1) / 2.0)[inverse] - 0.5) / len(values)


def _correlation(one: Floats, other: Floats) -> float:
    a, b = one - one.mean(), other - other.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


def _information(ranks: Floats, of_outcome: Floats, independent: float) -> float:
    """Mutual information of two columns of ranks in quantile bins, less what so many cells show by chance."""
    a = np.minimum((ranks * BINS).astype(np.int64), BINS - 1)
    b = np.minimum((of_outcome * BINS).astype(np.int64), BINS - 1)
    joint = np.bincount(a * BINS + b, minlength=BINS * BINS).reshape(BINS, BINS) / len(ranks)
    alone = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    filled = joint > 0
    bias = (BINS - 1) ** 2 / (2.0 * independent)
    return max(float((joint[filled] * np.log(joint[filled] / alone[filled])).sum()) - bias, 0.0)
