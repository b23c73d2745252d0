"""One session of the synthetic market as the log records that the archive reads, without a stack.

    SyntheticMarket -> ticks messages -> MarketPipeline -> bars, features, marks, account, in log order

The machine's clock is drawn from a seeded generator: a packet is received some milliseconds after it was
sent, a message leaves some milliseconds after the newest record behind it. Codecs of clocks are measured on
this noise, not on a clock that runs like session time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date

import numpy as np

from broker_adapter.sandbox.feed.port import Slice
from broker_adapter.sandbox.feed.synthetic import SyntheticMarket
from kitepilot import events as e
from kitepilot.kernels.shard import ShardSpec
from kitepilot.market.pipeline import MarketPipeline
from kitepilot.market.ticks import KIND_CLOCK, RECORD_DTYPE, own_record
from kitepilot.models.panel import Panel
from kitepilot.ports import LogRecord
from kitepilot.topics import DECISIONS, TICKS

DAY = date(2026, 11, 20)
MODEL = "lightgbm"
_MS = 1_000_000
GRACE_NS = 1_500 * _MS


class SyntheticSession:
    """`records()` gives the session's first `minutes` once; the same seed gives the same bytes."""

    def __init__(self, instruments: int, minutes: int = 375, seed: int = 1) -> None:
        self._market = SyntheticMarket(DAY, seed, instruments)
        self._until = self._market.session.open_at + minutes * 60 * 10**9
        self._rng = np.random.default_rng(seed)
        self._offsets: Counter[str] = Counter()
        self._clock = 0
        self._accounts = 0

    def records(self) -> Iterator[LogRecord]:
        """Ticks as they come, and what the market flow makes of them; one score per feature row."""
        pipeline = self._pipeline()
        for slice_ in self._market.slices():
            if slice_.until > self._until:
                return
            value = self._ticks(slice_)
            yield self._record(TICKS.name, value)
            for topic, event in pipeline.on_message(value):
                yield self._emitted(topic, event)
                if isinstance(event, e.Marked):
                    yield self._emitted(DECISIONS.name, self._account(event))

    def _pipeline(self) -> MarketPipeline:
        shares, session = self._market.instruments, self._market.session
        spec = ShardSpec(
            tokens=np.array([one.token for one in shares], dtype=np.int64),
            tick_size_paise=np.array([one.tick_size_paise for one in shares], dtype=np.int64),
            open_at=np.full(len(shares), session.open_at, dtype=np.int64),
            close_at=np.array([session.continuous_close(one.closing_auction) for one in shares]),
            grace_ns=GRACE_NS,
        )
        return MarketPipeline(spec, [one.tradingsymbol for one in shares], {}, Panel(), None)

    def _ticks(self, slice_: Slice) -> bytes:
        frame = np.zeros(len(slice_.packets), dtype=RECORD_DTYPE)
        frame["packet"] = slice_.packets
        late = (self._rng.exponential(4 * _MS, len(frame)) + _MS).astype(np.int64)
        frame["received_at"] = np.maximum.accumulate(slice_.sent_at + late) if len(frame) else 0
        self._clock = max(self._clock, slice_.until + int(self._rng.exponential(3 * _MS)))
        return frame.tobytes() + own_record(KIND_CLOCK, slice_.until, self._clock)

    def _emitted(self, topic: str, event: e.AnyEvent) -> LogRecord:
        self._clock += int(self._rng.exponential(2 * _MS))
        if isinstance(event, e.FeaturesComputed):
            event = self._scored(event)
        return self._record(topic, e.encode(event, emitted_at=self._clock))

    def _scored(self, event: e.FeaturesComputed) -> e.FeaturesComputed:
        scores = {MODEL: self._rng.beta(2, 5, len(event.tokens)).tolist()}
        return type(event)(
            **{name: getattr(event, name) for name in event.__struct_fields__} | {"scores": scores}
        )

    def _account(self, mark: e.Marked) -> e.AccountMarked:
        """An account with a few positions whose value wanders."""
        self._accounts += 1
        return e.AccountMarked(
            source="decisions",
            seq=self._accounts,
            event_at=mark.event_at,
            run_id="",
            state=e.TradingState.ACTIVE,
            realised_paise=self._accounts // 60 * 100,
            unrealised_paise=int(self._rng.normal(0, 50_000)),
            charges_paise=self._accounts // 60 * 37,
            open_positions=5,
            gross_exposure_paise=30_000_000 + 5 * int(self._rng.integers(0, 10_000)),
            working_orders=0,
            oldest_working_at=0,
            orders=self._accounts // 60,
            fills=self._accounts // 60,
        )

    def _record(self, topic: str, value: bytes) -> LogRecord:
        offset = self._offsets[topic]
        self._offsets[topic] += 1
        return LogRecord(topic, 0, offset, self._clock, b"", value)
