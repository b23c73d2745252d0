"""The project's own market: one seeded day of full-mode packets, the same bytes every time.

See docs/reference/synthetic-market.md for the model and how close it comes to recorded data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox.feed import synthetic_kernel as kernel
from broker_adapter.sandbox.feed.day_plan import SECOND, Plan, make_plan
from broker_adapter.sandbox.feed.port import DepthOrigin, FeedError, FeedInstrument, Packets, Slice
from broker_adapter.sandbox.feed.slicing import cut
from broker_adapter.sandbox.feed.universe import MAX_INSTRUMENTS, generator, make_cast
from kitepilot.market import calendar
from kitepilot.market.ticks import PACKET_DTYPE

MAX_UPDATES_PER_S: Final = 50.0
MIN_UPDATES_PER_S: Final = 0.01


class SyntheticMarket:
    """A day of `instruments` invented shares; `updates_per_s` is the mean rate of a usual one.

    Raises:
        FeedError: a count or a rate outside its bounds.
        kitepilot.market.calendar errors: a closed or unknown day.
    """

    depth: DepthOrigin = "synthetic"
    indices: tuple[FeedInstrument, ...] = ()

    def __init__(self, session: date, seed: int, instruments: int = 50, updates_per_s: float = 1.5) -> None:
        if not 1 <= instruments <= MAX_INSTRUMENTS:
            raise FeedError(f"market.instruments is {instruments}; it must be 1 to {MAX_INSTRUMENTS}")
        if not MIN_UPDATES_PER_S <= updates_per_s <= MAX_UPDATES_PER_S:
            raise FeedError(
                f"market.updates_per_s is {updates_per_s};"
                f" it must be {MIN_UPDATES_PER_S} to {MAX_UPDATES_PER_S}"
            )
        if not 0 <= seed < 2**63:
            raise FeedError(f"market.seed is {seed}; it must be 0 to 2**63 - 1")
        self.session: Final = calendar.session(session)
        self._seed = seed
        self._updates_per_s = updates_per_s
        self._cast = make_cast(seed, session, instruments)
        self.instruments: Final = self._cast.instruments
        self.description: Final = (
            f"synthetic market, seed {seed}, {session}, {instruments} instruments,"
            f" {updates_per_s:g} updates/s each, synthetic depth"
        )

    def plan(self) -> Plan:
        """The day's fixed inputs, fresh: jumps, halts, stalls, opening state."""
        return make_plan(self._cast, self.session, self._seed, self._updates_per_s)

    def slices(self, start_at: int | None = None) -> Iterator[Slice]:
        """See `MarketFeed.slices`: from the pre-open to the session's close."""
        first, last = self.session.pre_open_at, self.session.close_at
        return cut(self.chunks(), first, last, start_at)

    def packets_of(self, token: int) -> Iterator[Packets]:
        """See `MarketFeed.packets_of`: the others' day is not made, so it costs a share of `chunks`."""
        for row, one in enumerate(self.instruments):
            if one.token == token:
                for _, packets, _ in self.chunks(3_600, [row]):
                    yield packets, []

    def chunks(
        self, chunk_s: int = 60, rows: Sequence[int] | None = None
    ) -> Iterator[tuple[int, npt.NDArray[np.void], npt.NDArray[np.int64]]]:
        """(until, PACKET_DTYPE[k], sent_at int64[k]) per `chunk_s` seconds of session time, in send order.

        The concatenation of all chunks does not depend on `chunk_s`. `rows` makes the packets of these
        instruments alone, by their place in `instruments`. Cheaper than `slices` for training.
        """
        made = np.arange(len(self.instruments)) if rows is None else np.array(rows, np.int64)
        plan = self.plan()
        per_chunk = chunk_s * SECOND // plan.step_ns
        words = np.empty((2 * per_chunk * len(made) + 2, kernel.PACKET_WORDS), np.uint32)
        sent = np.empty(len(words), np.int64)
        held_words, held_sent = words[:0].copy(), sent[:0].copy()
        key = np.uint64(generator(self._seed, 4, self.session.date.toordinal()).integers(2**63))
        for first in range(0, plan.steps, per_chunk):
            until = min(first + per_chunk, plan.steps)
            count = _advance(plan, made, key, first, until, words, sent)
            all_words = np.concatenate([held_words, words[:count]])
            all_sent = np.concatenate([held_sent, sent[:count]])
            order = np.argsort(all_sent, kind="stable")
            end = plan.session.pre_open_at + until * plan.step_ns
            ready = len(order) if until == plan.steps else int(np.count_nonzero(all_sent < end))
            yield end, _packets(all_words[order[:ready]]), all_sent[order[:ready]]
            held = np.sort(order[ready:])  # back in the order they were made, which settles ties
            held_words, held_sent = all_words[held], all_sent[held]


def _advance(
    plan: Plan,
    rows: npt.NDArray[np.int64],
    key: np.uint64,
    first: int,
    until: int,
    words: npt.NDArray[np.uint32],
    sent: npt.NDArray[np.int64],
) -> int:
    shocks = np.zeros((len(plan.facts) + 1, until - first))
    for step, row, size in plan.jumps:
        if first <= step < until:
            shocks[row, step - first] += size
    return int(
        kernel.advance(
            key,
            first,
            until,
            plan.session.pre_open_at,
            plan.step_ns,
            rows,
            plan.traits,
            plan.facts,
            plan.floats,
            plan.ints,
            plan.market,
            plan.curves,
            shocks,
            plan.stalls,
            words,
            sent,
        )
    )


def _packets(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.void]:
    """Native 32-bit words to Kite's big-endian packets."""
    return np.ascontiguousarray(words.astype(">u4")).view(PACKET_DTYPE)[:, 0]
