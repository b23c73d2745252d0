"""Values of a shard's instruments -> the place of each among the others.

Narrow buckets put the values nearly in order and an insertion sort finishes it: with 300 of them 2.5 times as
quick as comparing each with each. Where most values share a bucket (one of them far from all others) the sort
gives up, and each is compared with each after all; so the worst market costs little more than that.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kitepilot.kernels.compiled import kernel

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
NAN = np.nan
SORTED_FROM = 100  # instruments; comparing fewer with each other is quicker
BUCKETS = 4  # for each value
STEPS = 8  # of the insertion sort for each value, then it gives up
NARROWEST, WIDEST = 1e-9, 1e15  # between the lowest and the highest value, for buckets to tell them apart


def room_for(n: int) -> int:
    """Whole numbers that `rank` needs room for."""
    return 2 * n + BUCKETS * n + 1


@kernel
def _count_upto(values: Floats, out: Floats) -> None:
    """How many values are not above each one, itself included; four at a time, as vector instructions.

    Its cost does not depend on what the values are.
    """
    n = values.size
    fours = n - n % 4
    for row in range(n):
        out[row] = 0.0
    for other in range(0, fours, 4):
        a, b, c, d = values[other], values[other + 1], values[other + 2], values[other + 3]
        for row in range(n):
            value = values[row]
            first = (1.0 if a <= value else 0.0) + (1.0 if b <= value else 0.0)
            second = (1.0 if c <= value else 0.0) + (1.0 if d <= value else 0.0)
            out[row] += first + second
    for other in range(fours, n):
        for row in range(n):
            out[row] += 1.0 if values[other] <= values[row] else 0.0


@kernel
def _counted_rank(values: Floats, ties: Floats, out: Floats) -> None:
    """Of any values; its cost grows with the square of their number. `ties` is room for n."""
    _count_upto(values, out)
    known = 0.0
    for row in range(out.size):
        ties[row] = 0.0
    for row in range(out.size):  # rows with equal values, and no others, have equal counts
        if out[row] > 0.0:
            known += 1.0
            ties[int(out[row]) - 1] += 1.0
    for row in range(out.size):
        if out[row] > 0.0:
            place = out[row] - 0.5 * (ties[int(out[row]) - 1] + 1.0)
            out[row] = place / (known - 1.0) if known > 1.0 else 0.5
        else:
            out[row] = NAN


@kernel
def _drop_in_buckets(values: Floats, low: float, width: float, bucket: Ints, begins: Ints) -> None:
    """Each row's bucket, the last one for NaN; and in begins[b] where the rows of bucket b begin.

    A greater value is never in a lower bucket: subtraction and multiplication round monotonically.
    """
    last = begins.size - 1
    scale = (last - 1) / width
    for place in range(begins.size):
        begins[place] = 0
    for row in range(values.size):
        value = values[row]
        bucket[row] = int((value - low) * scale if not np.isnan(value) else float(last))
        begins[bucket[row]] += 1
    total = 0
    for place in range(begins.size):
        held = begins[place]
        begins[place] = total
        total += held


@kernel
def _order(values: Floats, bucket: Ints, begins: Ints, sorted_: Floats, order: Ints) -> int:
    """Values and their rows in order of bucket, the unknown last. The answer is how many are known."""
    known = begins[begins.size - 1]
    for row in range(values.size):
        place = begins[bucket[row]]
        sorted_[place] = values[row]
        order[place] = row
        begins[bucket[row]] = place + 1
    return int(known)


@kernel
def _sort_the_rest(sorted_: Floats, order: Ints, known: int) -> bool:
    """Insertion sort of what is nearly in order; False where it would take too long and was given up."""
    left = STEPS * known
    for begin in range(1, known):
        value, row, place = sorted_[begin], order[begin], begin
        if sorted_[begin - 1] <= value:
            continue
        while place > 0 and sorted_[place - 1] > value:
            sorted_[place], order[place] = sorted_[place - 1], order[place - 1]
            place -= 1
        sorted_[place], order[place] = value, row
        left -= begin - place
        if left < 0:
            return False
    return True


@kernel
def _places(sorted_: Floats, order: Ints, known: int, out: Floats) -> None:
    begin = 0
    while begin < known:
        end = begin + 1
        while end < known and sorted_[end] == sorted_[begin]:
            end += 1
        for tied in range(begin, end):
            out[order[tied]] = 0.5 * float(begin + end - 1)
        begin = end
    for unknown in range(known, out.size):
        out[order[unknown]] = NAN
    for row in range(out.size):
        out[row] /= known - 1.0


@kernel
def _sorted_rank(values: Floats, low: float, width: float, sorted_: Floats, room: Ints, out: Floats) -> bool:
    n = values.size
    bucket, order, begins = room[:n], room[n : 2 * n], room[2 * n :]
    _drop_in_buckets(values, low, width, bucket, begins)
    known = _order(values, bucket, begins, sorted_, order)
    done = _sort_the_rest(sorted_, order, known)
    if done:
        _places(sorted_, order, known, out)
    return done


@kernel
def rank(values: Floats, scratch: Floats, room: Ints, out: Floats) -> None:
    """Place of each known value among the others: 0 lowest, 1 highest, NaN where the value is.

    Ties share the middle of their places; a row alone is in the middle of all. `scratch` is room for n and
    `room` for `room_for(n)`. Both ways give the same bits.
    """
    low, high = np.inf, -np.inf
    for row in range(values.size):
        low = values[row] if values[row] < low else low
        high = values[row] if values[row] > high else high
    width, done = high - low, False
    if values.size >= SORTED_FROM and NARROWEST < width < WIDEST:
        done = _sorted_rank(values, low, width, scratch, room, out)
    if not done:
        _counted_rank(values, scratch, out)
