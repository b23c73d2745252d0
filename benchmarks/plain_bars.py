"""The bars in plain Python, one record at a time: the reference the compiled kernels are measured and tested
against. Same rules, written from the rules and not from the kernels; no features.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field

from kitepilot.kernels.shard import ShardSpec
from kitepilot.market.ticks import KIND_CLOCK, KIND_FEED, RECORD_BYTES

NS = 1_000_000_000
IST_S = 19_800
_HEAD = struct.Struct(">QII")  # received_at, token, last price (kind in a record of ours)
_EVENT_AT = struct.Struct(">Q")
_TRADABLE = struct.Struct(">I4xI20xII12xI")  # last quantity .. volume .. close, last trade .. exchange time
_INDEX = struct.Struct(">12xI4xI")  # previous close .. exchange time

Bar = tuple[int, int, int, int, int, int, int]  # row, open, high, low, close, volume, tick count


@dataclass
class _Open:
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    ticks: int = 0


@dataclass
class _Instrument:
    row: int
    tick_size: int
    open_s: int
    close_s: int
    index: bool
    last: int = 0
    volume: int = 0
    baseline: int = -1
    started: bool = False
    falls: int = 0
    close: int = 0  # of the last bar
    quoted_s: int = 0
    packet: bytes = bytes(184)
    seconds: dict[int, _Open] = field(default_factory=dict)
    minute: _Open | None = None


class PlainBars:
    """`take(records)` -> [(interval_s, close_at, bars)] as `Shard.on_records` gives them; counts."""

    def __init__(self, spec: ShardSpec) -> None:
        columns = (spec.tokens, spec.tick_size_paise, spec.open_at // NS, spec.close_at // NS)
        rows = enumerate(zip(*(column.tolist() for column in columns), strict=True))
        self.instruments = {
            token: _Instrument(row, tick, opens, closes, token & 0xFF == 9)
            for row, (token, tick, opens, closes) in rows
        }
        self.grace_ns = spec.grace_ns
        self.day = (int(spec.open_at[0]) // NS + IST_S) // 86_400
        self.watermark = -1
        self.next_s = 0
        self.counts: Counter[str] = Counter()
        self.closed: list[tuple[int, int, list[Bar]]] = []

    def take(self, message: bytes) -> list[tuple[int, int, list[Bar]]]:
        self.closed = []
        for start in range(0, len(message), RECORD_BYTES):
            _, token, word = _HEAD.unpack_from(message, start)
            if token:
                self.counts[self._tick(message, start, token, word)] += 1
            elif word == KIND_CLOCK:
                self._clock(_EVENT_AT.unpack_from(message, start + 16)[0])
            else:
                self.counts["feed" if word == KIND_FEED else "bad_own_record"] += 1
        return self.closed

    def _tick(self, message: bytes, start: int, token: int, price: int) -> str:  # noqa: PLR0911, PLR0912
        it = self.instruments.get(token)
        if it is None:
            return "unknown_token"
        packet = message[start + 8 : start + RECORD_BYTES]
        if packet == it.packet:
            return "duplicate"
        it.packet = packet
        if self.watermark < 0:
            return "no_clock"
        quantity = volume = traded = 0
        if it.index:
            previous, second = _INDEX.unpack_from(message, start + 16)
        else:
            quantity, volume, previous, traded, second = _TRADABLE.unpack_from(message, start + 16)
        if second == 0:
            return "not_today" if any(packet[44:]) else "not_full"
        if (second + IST_S) // 86_400 != self.day:
            return "not_today"
        if second * NS > self.watermark + 60 * NS:
            return "future"
        if second < it.open_s or 0 < traded < it.open_s:
            if not it.started and second >= it.open_s - 300:
                it.baseline = volume
            return "pre_open"
        if second >= it.close_s:
            return "after_close"
        reference = previous or it.last
        if not 0 < price < 2**31 or (reference and not reference <= price * 3 <= reference * 9):
            return "bad_price"
        if not it.index and price % it.tick_size:
            return "off_grid"
        if second < self.next_s:
            return "late"
        return self._accept(it, price, second, volume, quantity)

    def _accept(self, it: _Instrument, price: int, second: int, volume: int, quantity: int) -> str:
        before = it.volume
        if not it.started:
            before = it.baseline if 0 <= it.baseline <= volume else max(volume - quantity, 0)
        if volume - before > 2**30 and volume >= 2**31:
            return "negative_volume"
        if volume < before:
            it.falls += 1
            if it.falls < 20:
                return "volume_fell"
            self.counts["volume_reset"] += 1
            before = volume
        it.started, it.falls, it.volume = True, 0, volume
        bar = it.seconds.setdefault(second, _Open(price, price, price, price))
        bar.high = max(bar.high, price)
        bar.low = min(bar.low, price)
        bar.close = price
        bar.volume += volume - before
        bar.ticks += 1
        if second >= it.quoted_s:
            it.last, it.quoted_s = price, second
        return "ok"

    def _clock(self, event_at: int) -> None:
        before = self.watermark
        if event_at < before or (event_at // NS + IST_S) // 86_400 != self.day:
            self.counts["clock_jump"] += 1
            return
        self.watermark = event_at
        due = (event_at - self.grace_ns) // NS
        leapt = before >= 0 and event_at - before > 300 * NS
        self.counts["clock_jump" if leapt else "clock"] += 1
        if before < 0:
            self.next_s = due
        last = min(due, self.next_s + 300) if leapt else due
        for second in range(self.next_s, last):
            self._close(second)
        self.next_s = max(self.next_s, last)
        if last < due:
            self.next_s = due
            for it in self.instruments.values():
                it.minute = None

    def _close(self, second: int) -> None:
        seconds: list[Bar] = []
        minutes: list[Bar] = []
        for it in self.instruments.values():
            bar = it.seconds.pop(second, None)
            if bar is None and it.close and it.open_s <= second < it.close_s:
                bar = _Open(it.close, it.close, it.close, it.close)
            if bar is not None:
                it.close = bar.close
                _into_minute(it, bar)
                seconds.append(_row(it.row, bar))
            if (second + 1) % 60 == 0 and it.minute:
                minutes.append(_row(it.row, it.minute))
                it.minute = None
        self.closed.append((1, (second + 1) * NS, seconds))
        if minutes:
            self.closed.append((60, (second + 1) * NS, minutes))


def _row(row: int, bar: _Open) -> Bar:
    return row, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.ticks


def _into_minute(it: _Instrument, bar: _Open) -> None:
    minute = it.minute
    if minute is None:
        it.minute = _Open(bar.open, bar.high, bar.low, bar.close, bar.volume, bar.ticks)
        return
    minute.high = max(minute.high, bar.high)
    minute.low = min(minute.low, bar.low)
    minute.close = bar.close
    minute.volume += bar.volume
    minute.ticks += bar.ticks
