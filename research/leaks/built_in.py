"""The built-in features as they stand trial: those of bars on bars, those of ticks on ticks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from broker_adapter.sandbox.feed.port import MarketFeed
from kitepilot.kernels.feature_docs import TICK_BARS
from kitepilot.kernels.features import FEATURE_DOCS, FEATURE_NAMES
from kitepilot.kernels.minutes import MINUTE_NAMES
from research.feature_rows import features_of
from research.features_hash import features_hash
from research.leaks.subjects import Features, of_rows
from research.leaks.tick_checks import TickTrial, batches_of, by_shard, shard_spec

#: Past the warm-up of every feature of one-minute sums of ticks, an hour.
AFTER_OPEN_S = 62 * 60


def bar_features(names: Sequence[str] = FEATURE_NAMES) -> Features | None:
    """Those of `names` that bars alone give; None when there is none among them."""
    warmup = {
        doc.name: doc.warmup_s // 60
        for doc in FEATURE_DOCS
        if doc.name in MINUTE_NAMES and doc.source != TICK_BARS
    }
    chosen = [name for name in names if name in warmup]
    if not chosen:
        return None
    return of_rows(
        features_of, chosen, FEATURE_NAMES, [warmup[name] for name in chosen], features_hash(names)
    )


def tick_features(feed: MarketFeed, day: date) -> TickTrial:
    """All features on the first hour of a feed; those that speak there are judged."""
    return TickTrial(
        names=FEATURE_NAMES,
        in_minutes=frozenset(MINUTE_NAMES),
        warmup_s=tuple(doc.warmup_s for doc in FEATURE_DOCS),
        symbols=tuple(one.tradingsymbol for one in feed.instruments),
        batches=batches_of(feed, day, AFTER_OPEN_S),
        compute=by_shard(shard_spec(feed, day)),
    )
