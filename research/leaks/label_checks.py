"""A label must end where it says: purging trusts that span."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from research.bars import SessionBars
from research.labels.port import Label, Labelled
from research.leaks.altered import changed_after
from research.leaks.comparing import clock, failed, passed, skipped, value, where
from research.leaks.report import Finding

CHANGES = 12  # other futures tried for each session


def label_span(label: Label, sessions: Sequence[SessionBars], rng: np.random.Generator) -> Iterator[Finding]:
    """Bars after a label's end never change it; bars after its decision do change some label."""
    labelled, answers_move = 0, False
    for bars in sessions:
        before = label.of(bars)
        bad = _ends_badly(bars, before)
        if bad is not None:
            yield bad
            return
        labelled += int((before.end >= 0).sum())
        last = len(bars.close_at) - 1
        for row in [0, *rng.integers(0, max(last, 1), CHANGES).tolist()]:
            after = label.of(changed_after(bars, row, rng))
            longer = _looks_further(bars, before, after, row)
            if longer is not None:
                yield longer
                return
            decided = (np.arange(len(bars.close_at)) <= row)[:, None]
            open_then = decided & (before.end > row) & (after.end > row)
            answers_move |= bool(np.any(open_then & (before.outcome_bps != after.outcome_bps)))
    if not labelled:
        yield skipped("label_span", "label", "these sessions are too short for one label")
    elif not answers_move:
        yield failed(
            "label_span",
            "label",
            "no later bar changes it: it tells the past, not an outcome",
            None,
            "label.of(changed_after(bars, 0, rng)) == label.of(bars)",
        )
    else:
        yield passed("label_span", "label", f"{labelled} labels end where they say, in their session")


def _ends_badly(bars: SessionBars, found: Labelled) -> Finding | None:
    """A label without an end, or an end that is not after its decision."""
    rows = np.arange(len(bars.close_at))[:, None]
    bad = np.isfinite(found.y) & ((found.end <= rows) | (found.end >= len(bars.close_at)))
    if not bad.any():
        return None
    row, j = _first(bad)
    what = f"the label of {clock(bars, row)} names row {int(found.end[row, j])} as its end; it is row {row}"
    return failed("label_span", "label", what, where(bars, row, j), "label.of(bars).end")


def _looks_further(bars: SessionBars, before: Labelled, after: Labelled, row: int) -> Finding | None:
    """A label that had ended at minute `row`, and is another when the bars after it are."""
    settled = (before.end >= 0) & (before.end <= row)
    same = (before.y == after.y) & (before.outcome_bps == after.outcome_bps)
    bad = settled & ~same
    if not bad.any():
        return None
    at, j = _first(bad)
    end = int(before.end[at, j])
    what = (
        f"says that it ends at {clock(bars, end)}, and earns {value(float(after.outcome_bps[at, j]))} in "
        f"place of {value(float(before.outcome_bps[at, j]))} bps when bars after {clock(bars, row)} change"
    )
    line = f"label.of(changed_after(bars, {row}, rng)).outcome_bps[{at}, {j}]; .end[{at}, {j}] is {end}"
    return failed("label_span", "label", what, where(bars, at, j), line)


def _first(bad: npt.NDArray[np.bool_]) -> tuple[int, int]:
    row, j = np.unravel_index(int(bad.argmax()), bad.shape)
    return int(row), int(j)
