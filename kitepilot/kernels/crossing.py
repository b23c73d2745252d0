"""Two exponential averages of the minute closes, and the wishes that their crossings lead to.

One kernel for one close and for a whole session: rows are consecutive closes, columns instruments. What it
remembers is in `averages` float64[2, n] (fast, slow) and `memory` int64[4, n] (closes seen, the side the
averages stand on, whether a wish of ours may still stand, the side to be wished at the next close).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.compiled import kernel

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.int8]

SEEN, SIDE, STANDS, NEXT = 0, 1, 2, 3
NONE, BUY, SELL, LEAVE = 0, 1, -1, 2


@kernel
def _wish(memory: Ints, row: int, crossed: bool) -> int:
    """A reversal takes two closes: leave at the first, the other side at the second."""
    if crossed:
        if memory[STANDS, row]:
            memory[STANDS, row] = 0
            memory[NEXT, row] = memory[SIDE, row]
            return LEAVE
        memory[NEXT, row] = memory[SIDE, row]
    asked = int(memory[NEXT, row])
    if asked != NONE:
        memory[NEXT, row] = NONE
        memory[STANDS, row] = 1
    return asked


@kernel
def crossings(
    last: Ints, fast_span: float, slow_span: float, averages: Floats, memory: Ints, out: Marks
) -> None:
    """Wishes int8[m, n] for the closes int64[m, n] (paise, 0: no price yet) into `out`.

    Averages begin at the first close; crossings count from the close after `slow_span` closes on.
    """
    fast_share = 2.0 / (fast_span + 1.0)
    slow_share = 2.0 / (slow_span + 1.0)
    for minute in range(last.shape[0]):
        for row in range(last.shape[1]):
            out[minute, row] = NONE
            close = float(last[minute, row])
            if close <= 0.0:
                continue
            seen = memory[SEEN, row]
            memory[SEEN, row] = seen + 1
            if seen == 0:
                averages[0, row] = close
                averages[1, row] = close
                continue
            fast = averages[0, row] + fast_share * (close - averages[0, row])
            slow = averages[1, row] + slow_share * (close - averages[1, row])
            averages[0, row] = fast
            averages[1, row] = slow
            before = memory[SIDE, row]
            if fast > slow:
                memory[SIDE, row] = BUY
            elif fast < slow:
                memory[SIDE, row] = SELL
            crossed = before != NONE and memory[SIDE, row] != before and seen >= slow_span
            out[minute, row] = _wish(memory, row, crossed)
