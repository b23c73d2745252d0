"""How much of a label is its own: overlapping labels tell the same minutes again and count less.

Average uniqueness as in M. Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 4: the
mean, over the bars a label looks at, of one over the number of labels that look at the same bar.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def average_uniqueness(end: Ints) -> Floats:
    """Labels of one session -> how unique each is, in (0, 1].

    `end` int64[m, n] is the last row that the label decided at row i looks at, -1 where there is none; it
    looks at the rows after i up to that one. Instruments are on their own. NaN where there is no label.

    >>> average_uniqueness(np.array([[2], [2], [-1]])).ravel().tolist()
    [0.75, 0.5, nan]
    """
    m, n = end.shape
    start = np.arange(m)[:, None]
    has = end > start
    rows, columns = np.nonzero(has)
    steps = np.zeros((m + 1, n), dtype=np.int64)
    np.add.at(steps, (rows + 1, columns), 1)
    np.add.at(steps, (end[has] + 1, columns), -1)
    sharing = np.cumsum(steps[:m], axis=0)
    own = np.cumsum(np.where(sharing > 0, 1.0 / np.maximum(sharing, 1), 0.0), axis=0)
    last = np.where(has, end, 0)
    mean = (np.take_along_axis(own, last, axis=0) - own) / np.maximum(last - start, 1)
    return np.where(has, mean, np.nan)


def weights(uniqueness: Floats) -> Floats:
    """float64[r] above 0 -> the same with mean 1."""
    return uniqueness / uniqueness.mean() if len(uniqueness) else uniqueness
