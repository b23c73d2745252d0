"""A shard: ticks of some instruments in, closed bars, features and quotes out. One code for stream and batch.

Time advances only by clock records: a bar of the second [s, s + 1) closes when the clock reaches
s + 1 + grace. The output depends on the records and their order alone, not on how they are cut into calls,
nor on snapshots and restores between them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from kitepilot.kernels import layout as at
from kitepilot.kernels.bars import skip_to, take_minute
from kitepilot.kernels.features import (
    FEATURE_DOCS,
    FEATURE_NAMES,
    FEATURES,
    SECOND_NAMES,
    SECONDS,
    close_second,
)
from kitepilot.kernels.minute_layout import FLOW
from kitepilot.kernels.minutes import MINUTES, MinuteShard
from kitepilot.kernels.snapshot_error import SnapshotError
from kitepilot.kernels.state import State, pack, unpack
from kitepilot.kernels.ticks import absorb, token_table
from kitepilot.market.ticks import (
    KIND_MODEL,
    KIND_STRATEGY,
    RECORD_BYTES,
    RECORD_DTYPE,
    SEGMENT_INDICES,
    read_own_record,
)

__all__ = [
    "FEATURE_DOCS",
    "FEATURE_NAMES",
    "SECOND_NAMES",
    "BarClose",
    "FeedRecord",
    "ModelRecord",
    "Rejected",
    "Shard",
    "ShardSpec",
    "SnapshotError",
    "StrategyRecord",
]

Ints = npt.NDArray[np.int64]
SEGMENT_MASK = 0xFF
MINUTE_NS = 60 * at.NS
_OWN_REASONS = (at.CLOCK_JUMP, at.BAD_OWN_RECORD)


@dataclass(frozen=True, eq=False)
class ShardSpec:
    """The instruments of one shard and their session. Arrays int64[n]; times ns UTC; prices paise.

    `open_at` and `close_at` bound each instrument's continuous session. An instrument is an index when
    `token & 0xFF` is 9; its tick size is not looked at.

    Raises:
        ValueError: no instruments, unequal lengths, a repeated or zero token, a tick size below 1 paisa, a
            session that ends before it begins or spans IST dates, a grace outside 0..60 s.
    """

    tokens: Ints
    tick_size_paise: Ints
    open_at: Ints
    close_at: Ints
    grace_ns: int

    def __post_init__(self) -> None:
        for name in ("tokens", "tick_size_paise", "open_at", "close_at"):
            column = np.ascontiguousarray(getattr(self, name), dtype=np.int64)
            if column.shape != np.shape(self.tokens) or column.ndim != 1:
                raise ValueError(f"{name} has shape {column.shape}; all columns are int64[n] of equal length")
            object.__setattr__(self, name, column)
        problem = self._problem()
        if problem:
            raise ValueError(f"not a shard: {problem}")

    def _problem(self) -> str:
        tokens = self.tokens
        tradable = tokens & SEGMENT_MASK != SEGMENT_INDICES
        days = {int(at_ns) // at.NS + at.IST_OFFSET_S for at_ns in (*self.open_at, *(self.close_at - 1))}
        checks = (
            (len(tokens) == 0, "it has no instruments"),
            (bool(np.any((tokens <= 0) | (tokens >= 2**32))), "a token is not a positive 32-bit number"),
            (len(np.unique(tokens)) != len(tokens), "a token is there twice"),
            (bool(np.any(self.tick_size_paise[tradable] < 1)), "a tick size is below 1 paisa"),
            (bool(np.any(self.close_at <= self.open_at)), "a session ends before it begins"),
            (len({second // at.DAY_S for second in days}) > 1, "its sessions are not all on one IST date"),
            (not 0 <= self.grace_ns <= at.MAX_GRACE_NS, f"grace {self.grace_ns} ns is outside 0..60 s"),
        )
        return next((text for wrong, text in checks if wrong), "")

    def terms(self) -> Ints:
        """int64[n, TERMS] for the kernels; times in whole epoch seconds."""
        terms = np.zeros((len(self.tokens), at.TERMS), dtype=np.int64)
        terms[:, at.TICK_SIZE] = np.maximum(self.tick_size_paise, 1)
        terms[:, at.OPEN_S] = self.open_at // at.NS
        terms[:, at.CLOSE_S] = self.close_at // at.NS
        days = (self.open_at // at.NS + at.IST_OFFSET_S) // at.DAY_S
        terms[:, at.DAY_START_S] = days * at.DAY_S - at.IST_OFFSET_S
        terms[:, at.IS_INDEX] = (self.tokens & SEGMENT_MASK) == SEGMENT_INDICES
        return terms

    def identity(self) -> bytes:
        """What a snapshot must agree with."""
        columns = (self.tokens, self.tick_size_paise, self.open_at, self.close_at)
        return b"".join(column.tobytes() for column in columns) + self.grace_ns.to_bytes(8, "little")


@dataclass(frozen=True, eq=False, slots=True)
class BarClose:
    """All bars of one interval that closed together.

    `rows` int64[m] are the instruments (positions in the spec) that have a bar; `open` .. `tick_count` are
    int64[m], prices in paise. `features` float64[n, F] has a row for ALL instruments, NaN while warming up; a
    1 m close carries those of its last second, 1 s closes the minute features of the last 1 m
    close. `last_paise`, `bid_paise`, `ask_paise`, `quoted_at` (exchange time, ns) int64[n] are the newest
    quotes known when the bar closed, 0 where there is none; `changed` bool[n] tells which instruments had an
    accepted packet since the 1 s close before.
    """

    interval_s: int
    close_at: int  # ns UTC, end of the bar
    received_at: int  # machine clock (ns) of the clock record that closed it
    rows: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    tick_count: Ints
    features: npt.NDArray[np.float64]
    last_paise: Ints
    bid_paise: Ints
    ask_paise: Ints
    quoted_at: Ints
    changed: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Records that could not be used, whole, since the last clock record. `payload` is count x 192 bytes."""

    reason: str
    payload: bytes
    count: int
    detail: str


@dataclass(frozen=True, slots=True)
class FeedRecord:
    """The ingester's word about the feed; `state` is the first word of `text`: up | down."""

    state: str
    event_at: int
    received_at: int
    text: str


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """The owner's word to follow another model; `model_id` is the first word of the text, the rest is why."""

    model_id: str
    reason: str
    received_at: int


@dataclass(frozen=True, slots=True)
class StrategyRecord:
    """The owner's word about a strategy, or a piece of one: see `kitepilot.strategies.arriving`."""

    text: str
    received_at: int


Output = BarClose | Rejected | FeedRecord | ModelRecord | StrategyRecord


@dataclass
class _Refused:
    """Refused records waiting for the next clock record, by reason in order of first appearance."""

    records: list[tuple[int, bytes]] = field(default_factory=list)

    def drain(self) -> list[Output]:
        grouped: dict[int, list[bytes]] = {}
        for reason, record in self.records:
            grouped.setdefault(reason, []).append(record)
        self.records.clear()
        return [_rejected(reason, records, "") for reason, records in grouped.items()]


def _rejected(reason: int, records: list[bytes], detail: str) -> Rejected:
    name = at.REASONS[reason]
    return Rejected(name, b"".join(records), len(records), detail or f"{len(records)} x {name}")


class _Minutes:
    """The minute features of a shard: computed at each 1 m close from its bars, held until the next."""

    def __init__(self, spec: ShardSpec) -> None:
        n = len(spec.tokens)
        self.shard = MinuteShard(n)
        self.shard.begin_session(spec.open_at, spec.close_at, spec.tokens & SEGMENT_MASK != SEGMENT_INDICES)
        self.held = np.full((n, MINUTES), np.nan)
        self._bars = np.zeros((5, n), dtype=np.int64)
        self._present = np.zeros(n, dtype=np.bool_)
        self._flow = np.zeros((FLOW, n))

    def on_close(self, close_at: int, minutes: int, out: Ints, state: State) -> npt.NDArray[np.float64]:
        """The 1 m bars in `out` -> minute features float64[n, F], NaN for a row without a bar."""
        take_minute(minutes, out, state.inst, state.sums, self._bars, self._present, self._flow)
        self.shard.tell_previous_close(state.inst[:, at.PREVIOUS])
        opened, high, low, close, volume = self._bars[:, None]
        found = self.shard.on_minutes(
            np.array([close_at]), opened, high, low, close, volume, self._present[None], self._flow[None]
        )
        self.held = np.ascontiguousarray(found[0])
        return self.held


class Shard:
    """State of all instruments of one shard. Not thread-safe; only `on_records` changes it."""

    def __init__(self, spec: ShardSpec) -> None:
        self.spec = spec
        self._terms = spec.terms()
        self._table = token_table(spec.tokens)
        self._state = State.empty(len(spec.tokens))
        self._state.clock[at.GRACE_NS] = spec.grace_ns
        self._minutes = _Minutes(spec)
        self._refused = _Refused()

    @property
    def counts(self) -> dict[str, int]:
        """Records so far by reason; every record counts once, `volume_reset` on top of its `ok`."""
        return dict(zip(at.REASONS, self._state.counts.tolist(), strict=True))

    @property
    def watermark(self) -> int:
        """Session time (ns UTC) of the newest accepted clock record; -1 before the first."""
        return int(self._state.clock[at.WATERMARK_NS])

    def on_records(self, records: npt.NDArray[Any]) -> list[Output]:
        """Take records (`RECORD_DTYPE`, one or many messages) in order; what closed or was refused, in order.

        Refused records are held back to the next clock record and then published together by reason.
        """
        state = self._state
        if records.dtype is not RECORD_DTYPE:  # np.concatenate, for one, quietly turns it to native order
            records = records.astype(RECORD_DTYPE)
        words = _words(records)
        outputs: list[Output] = []
        index = 0
        while True:
            index, why = absorb(
                words,
                index,
                bool(self._refused.records),
                self._terms,
                self._table,
                state.inst,
                state.slots,
                state.packets,
                state.clock,
                state.counts,
            )
            if why == at.END:
                return outputs
            self._stopped(why, records[index : index + 1].tobytes(), outputs)
            index += 1

    def snapshot(self) -> bytes:
        """The whole state as one versioned blob; a restored shard goes on bit for bit."""
        minutes = self._minutes
        return pack(
            self._state,
            self.spec.identity(),
            self._refused.records,
            minutes.shard.snapshot(),
            minutes.held,
        )

    @classmethod
    def restore(cls, spec: ShardSpec, blob: bytes) -> Shard:
        """The shard that made `blob`.

        Raises:
            SnapshotError: not a snapshot, another version, or of other instruments, sessions or grace.
        """
        shard = cls(spec)
        found = unpack(blob, spec.identity(), len(spec.tokens))
        shard._state, shard._refused.records, minutes, shard._minutes.held = found
        shard._minutes.shard.restore(minutes)
        return shard

    def _stopped(self, why: int, record: bytes, outputs: list[Output]) -> None:
        if why in (at.CLOCK_DUE, at.CLOCK_LEAPT):
            outputs.extend(self._refused.drain())
            self._on_clock(why, record, outputs)
        elif why == at.FEED_RECORD:
            outputs.append(_own(record))
        else:
            self._refused.records.append((why, record))
            if len(self._refused.records) >= at.MAX_PENDING:
                outputs.extend(self._refused.drain())

    def _on_clock(self, why: int, record: bytes, outputs: list[Output]) -> None:
        clock = self._state.clock
        received_at = int.from_bytes(record[:8], "big")
        due = int((clock[at.WATERMARK_NS] - clock[at.GRACE_NS]) // at.NS)
        last = min(due, int(clock[at.NEXT_S]) + at.JUMP_S) if why == at.CLOCK_LEAPT else due
        if why == at.CLOCK_LEAPT:
            text = f"the clock leapt forward; {due - last} one-second bars after it are skipped"
            outputs.append(_rejected(at.CLOCK_JUMP, [record], text))
        while clock[at.NEXT_S] < last:
            self._close(received_at, outputs)
        if last < due:
            skip_to(due, self._state.inst, self._state.sums, clock)

    def _close(self, received_at: int, outputs: list[Output]) -> None:
        state = self._state
        n = len(self.spec.tokens)
        out = np.empty((at.OUT, n), dtype=np.int64)
        features = np.empty((n, FEATURES))
        seconds, minutes = close_second(
            self._terms,
            state.inst,
            state.slots,
            state.closes,
            state.flows,
            state.sums,
            state.clock,
            self._minutes.held,
            out,
            features,
        )
        close_at = int(state.clock[at.NEXT_S]) * at.NS
        if close_at % MINUTE_NS == 0:
            features[:, SECONDS:] = self._minutes.on_close(close_at, minutes, out, state)
        stamp = (close_at, received_at)
        outputs.append(_bar_close(1, stamp, out[at.O_SECOND :, :seconds], features, out))
        if minutes:
            outputs.append(_bar_close(60, stamp, out[at.O_MINUTE :, :minutes], features, out))


def _words(records: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """Records as uint32[m, 48] in the machine's byte order."""
    wire = np.ascontiguousarray(records).view(np.dtype(">u4"))
    return wire.astype(np.uint32).reshape(-1, at.WORDS)


def _bar_close(
    interval_s: int, stamp: tuple[int, int], bars: Ints, features: npt.NDArray[np.float64], out: Ints
) -> BarClose:
    return BarClose(
        interval_s=interval_s,
        close_at=stamp[0],
        received_at=stamp[1],
        rows=bars[0],
        open=bars[1],
        high=bars[2],
        low=bars[3],
        close=bars[4],
        volume=bars[5],
        tick_count=bars[6],
        features=features,
        last_paise=out[at.O_LAST],
        bid_paise=out[at.O_BID],
        ask_paise=out[at.O_ASK],
        quoted_at=out[at.O_QUOTED_AT],
        changed=out[at.O_CHANGED] != 0,
    )


def _own(record: bytes) -> Output:
    if len(record) != RECORD_BYTES:
        raise ValueError(f"a tick record has {RECORD_BYTES} bytes, this has {len(record)}")
    try:
        kind, event_at, received_at, text = read_own_record(record)
    except ValueError as err:
        return _rejected(at.BAD_OWN_RECORD, [record], f"own record: {err}")
    if kind == KIND_MODEL:
        model_id, _, reason = text.partition(" ")
        return ModelRecord(model_id, reason, received_at)
    if kind == KIND_STRATEGY:
        return StrategyRecord(text, received_at)
    state = text.replace(":", " ").split(" ", 1)[0] if text else ""
    return FeedRecord(state, event_at, received_at, text)
