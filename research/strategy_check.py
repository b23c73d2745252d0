"""Does a strategy keep the rules? It is called over a made-up session, twice, and its answers are compared.

    check(lambda: MyIdea({}), FEATURE_NAMES) -> Checked

What can be seen from outside is looked for: answers that raise or are out of bounds, that differ from one
time to the next (the clock, a random number), that forget over a restart, or that write to what they see.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kitepilot.strategies.port import MarketView, Strategy, Wish

MINUTES = 375
INSTRUMENTS = 12
SECONDS = 900  # of a 1 s strategy's session: a quarter of an hour shows what there is to see
OPEN_NS = 1_795_146_300_000_000_000  # 2026-11-20 09:15 IST
NS = 1_000_000_000


@dataclass(frozen=True)
class Checked:
    """What a strategy did. `problems` is empty when it kept the rules; times are microseconds a call."""

    closes: int
    wishes: int
    instruments: int  # that it wished for at least once
    typical_us: float
    slowest_us: float
    problems: tuple[str, ...]


def check(make: Callable[[], Strategy], names: Sequence[str], seed: int = 1) -> Checked:
    """Call the strategy over one session of random features, again, and once with a restart in the middle."""
    views = list(_views(make().interval_s, tuple(names), seed))
    first = _called(make, views)
    problems = [first.trouble] if first.trouble else []
    if not problems:
        if _called(make, views).wishes != first.wishes:
            problems.append(
                "the same market gave other wishes the second time: the clock, or a random number?"
            )
        elif _called(make, views, restart_at=len(views) // 2).wishes != first.wishes:
            problems.append(
                "after snapshot and restore it wishes otherwise: its memory is not in its snapshot"
            )
    flat = [wish for wishes in first.wishes for wish in wishes]
    return Checked(
        closes=len(views),
        wishes=len(flat),
        instruments=len({wish.row for wish in flat}),
        typical_us=float(np.median(first.spent)) * 1e6 if first.spent else 0.0,
        slowest_us=max(first.spent, default=0.0) * 1e6,
        problems=tuple(problems),
    )


@dataclass
class _Called:
    wishes: list[list[Wish]]
    spent: list[float]
    trouble: str = ""


def _called(make: Callable[[], Strategy], views: list[MarketView], restart_at: int = -1) -> _Called:
    strategy, called = make(), _Called([], [])
    for place, view in enumerate(views):
        if place == restart_at:
            blob = strategy.snapshot()
            strategy = make()
            strategy.restore(blob)
        began = time.perf_counter()
        try:
            wishes = list(strategy.on_close(view))
        except Exception as err:  # a user's code raises what it likes
            called.trouble = f"at close {place + 1} it raised {type(err).__name__}: {err}"
            return called
        called.spent.append(time.perf_counter() - began)
        wrong = [wish for wish in wishes if not 0 <= wish.row < len(view.tokens)]
        if wrong:
            called.trouble = f"at close {place + 1} it wished for row {wrong[0].row} of {len(view.tokens)}"
            return called
        called.wishes.append(wishes)
    return called


def _views(interval_s: int, names: tuple[str, ...], seed: int) -> Iterator[MarketView]:
    """Closes with features drawn over wide ranges, NaN while warming up and here and there later."""
    rng = np.random.default_rng(seed)
    count = MINUTES if interval_s == 60 else SECONDS
    prices = np.full(INSTRUMENTS, 100_000.0)
    tokens = (np.arange(INSTRUMENTS, dtype=np.int64) + 1_000) * 256 + 1
    scale = np.exp(rng.normal(1.5, 1.5, len(names)))
    for step in range(count):
        prices = np.maximum(100.0, prices * np.exp(rng.normal(0.0, 8e-4, INSTRUMENTS)))
        last = np.round(prices / 5).astype(np.int64) * 5
        features = rng.standard_t(3, (INSTRUMENTS, len(names))) * scale
        features[rng.random(features.shape) < (0.9 if step < 5 else 0.01)] = np.nan
        if "minutes_since_open" in names:
            features[:, names.index("minutes_since_open")] = (step + 1) * interval_s / 60.0
        score = rng.random(INSTRUMENTS)
        arrays = (features, last, score)
        for each in arrays:
            each.flags.writeable = False
        yield MarketView(
            interval_s=interval_s,
            close_at=OPEN_NS + (step + 1) * interval_s * NS,
            tokens=tokens,
            tradingsymbols=tuple(f"SYN{row:03d}" for row in range(INSTRUMENTS)),
            names=names,
            features=features,
            scores={"blend": score} if interval_s == 60 else {},
            last_paise=last,
            bid_paise=last - 5,
            ask_paise=last + 5,
        )
