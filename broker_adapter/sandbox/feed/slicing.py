"""Cut a stream of timed packets into half-second slices that cover a session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.feed.port import SLICE_NS, Slice
from kitepilot.market.ticks import PACKET_DTYPE

_NOTHING: npt.NDArray[np.void] = np.empty(0, PACKET_DTYPE)
_NEVER: npt.NDArray[np.int64] = np.empty(0, np.int64)


def cut(
    chunks: Iterable[tuple[int, npt.NDArray[np.void], npt.NDArray[np.int64]]],
    first: int,
    last: int,
    start_at: int | None = None,
) -> Iterator[Slice]:
    """Slices from `first` to at least `last`, both session ns; later packets prolong the session.

    `chunks` are (until, packets, sent_at): together in send order, each complete up to its `until`, which
    lies on a slice boundary except for the last chunk's.
    """
    begin = first
    for until, packets, sent_at in chunks:
        end = max(until, int(sent_at[-1]) + 1 if len(sent_at) else until)
        boundaries = np.arange(begin + SLICE_NS, end + SLICE_NS, SLICE_NS)
        ends = np.searchsorted(sent_at, boundaries, side="left")
        start = 0
        for boundary, stop in zip(boundaries.tolist(), ends.tolist(), strict=True):
            if start_at is None or boundary > start_at:
                yield Slice(boundary, packets[start:stop], sent_at[start:stop], [])
            start = stop
            begin = boundary
    while begin < last:
        begin += SLICE_NS
        if start_at is None or begin > start_at:
            yield Slice(begin, _NOTHING, _NEVER, [])
