"""Tapes for the kernel tests: packets, clocks and whole messy sessions, and the bits of what came out."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import numpy as np

from kitepilot.kernels.shard import BarClose, Rejected, Shard, ShardSpec
from kitepilot.market.ticks import KIND_CLOCK, KIND_FEED, RECORD_DTYPE, own_record, records

NS = 1_000_000_000
OPEN = 1_795_146_300  # 2026-11-20 09:15 IST
ALPHA, BETA, GAMMA, INDEX = 257, 513, 769, 265
TOKENS = (ALPHA, BETA, GAMMA, INDEX)
GRACE = 1_500_000_000


def spec(tokens: Sequence[int] = TOKENS, *, length_s: int = 22_500, grace_ns: int = GRACE) -> ShardSpec:
    n = len(tokens)
    opens = np.full(n, OPEN * NS)
    return ShardSpec(np.array(tokens), np.full(n, 5), opens, opens + length_s * NS, grace_ns)


def clock(second: float, received_at: int = 1) -> bytes:
    """`second` counts from the open."""
    return own_record(KIND_CLOCK, OPEN * NS + round(second * NS), received_at)


def feed(second: float, text: str) -> bytes:
    return own_record(KIND_FEED, OPEN * NS + round(second * NS), 1, text)


def tick(
    second: int,
    price: int,
    volume: int = 0,
    *,
    token: int = ALPHA,
    quantity: int = 0,
    traded: int | None = None,
    previous: int = 10_000,
    book: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> bytes:
    """A record; `second` and `traded` count from the open; `book` is bid, ask and their quantities."""
    record = np.zeros(1, dtype=RECORD_DTYPE)
    packet = record["packet"]
    packet["token"] = token
    packet["last_price"] = price
    if token & 0xFF == 9:  # Kite's index packet: close at 20, exchange time at 28
        packet["total_buy_quantity"] = previous
        packet["open"] = OPEN + second
        return record.tobytes()
    packet["last_quantity"] = quantity
    packet["volume"] = volume
    packet["close"] = previous
    packet["exchange_time"] = OPEN + second
    packet["last_trade_time"] = OPEN + (second if traded is None else traded)
    bid, ask, bid_quantity, ask_quantity = book
    packet["bids"]["price"][0, 0], packet["bids"]["quantity"][0, 0] = bid, bid_quantity
    packet["asks"]["price"][0, 0], packet["asks"]["quantity"][0, 0] = ask, ask_quantity
    return record.tobytes()


def messy_session(
    seed: int, seconds: int = 90, start: int = -8, *, clocks_may_leap: bool = True
) -> list[bytes]:
    """Records of a session with everything that goes wrong on a feed, and a clock every half second."""
    rng = random.Random(seed)
    price = dict.fromkeys(TOKENS, 10_000)
    volume = dict.fromkeys(TOKENS, 1_000)
    out: list[bytes] = []
    shift = 0
    for half in range(2 * start, 2 * seconds):
        for _ in range(rng.randrange(4)):
            token = rng.choice(TOKENS)
            second = half // 2 + shift + rng.choice((0, 0, 0, 0, 0, 1, 2, -1, -2, -5))
            price[token] = max(price[token] + 5 * rng.randrange(-3, 4), 500)
            volume[token] += rng.choice((0, 0, 3, 70, 900))
            mid = price[token]
            book = (mid - 5, mid + 5, rng.randrange(1, 900), rng.randrange(1, 900))
            quantity = rng.randrange(5)
            out.append(tick(second, mid, volume[token], token=token, quantity=quantity, book=book))
            out.extend(_trouble(rng, (second, mid, volume[token]), token, out[-1]))
        if clocks_may_leap and rng.random() < 0.004:
            shift += rng.choice((7, 240, 301, 4_000))
        if rng.random() < 0.97:
            out.append(clock(half / 2 + 0.5 + shift, received_at=half + 10_000))
    out.append(clock(seconds + shift + 10))
    return out


def _trouble(rng: random.Random, now: tuple[int, int, int], token: int, last: bytes) -> list[bytes]:
    second, price, volume = now
    choice = rng.randrange(90)
    wrong = {
        0: lambda: last,
        1: lambda: tick(second, price + 2, volume, token=token),
        2: lambda: tick(second, price, max(volume - 5, 0), token=token),
        3: lambda: tick(second, 0, volume, token=token),
        4: lambda: tick(second, price * 200, volume, token=token),
        5: lambda: tick(-OPEN, price, volume, token=token),
        6: lambda: tick(-86_400, price, volume, token=token),
        7: lambda: tick(second + 100, price, volume, token=token),
        8: lambda: tick(second, price, volume, token=9_999),
        9: lambda: tick(second, price, volume + 1, token=token, traded=-50_000),
        10: lambda: clock(second - 30),
        11: lambda: feed(second, "down: socket closed"),
        12: lambda: own_record(77, 0, 0, "not ours"),
        13: lambda: tick(second, price, 2**32 - 5, token=token),
        14: lambda: last[:8] + last[8:52] + bytes(140),
        15: lambda: tick(23_000, price, volume, token=token),
    }
    return [wrong[choice]()] if choice in wrong else []


def bits(output: object) -> bytes:
    """Every bit of one output."""
    if not isinstance(output, BarClose):
        return repr(output).encode()
    columns = (getattr(output, name) for name in BarClose.__slots__)
    return b"|".join(c.tobytes() if isinstance(c, np.ndarray) else repr(c).encode() for c in columns)


def run(shard: Shard, tape: Iterable[bytes]) -> list[object]:
    return list(shard.on_records(records(b"".join(tape))))


def closes(outputs: Iterable[object], interval_s: int = 1) -> list[BarClose]:
    return [out for out in outputs if isinstance(out, BarClose) and out.interval_s == interval_s]


def refusals(outputs: Iterable[object]) -> dict[str, int]:
    found: dict[str, int] = {}
    for out in outputs:
        if isinstance(out, Rejected):
            found[out.reason] = found.get(out.reason, 0) + out.count
    return found


def bars_of(outputs: Iterable[object], row: int = 0, interval_s: int = 1) -> dict[int, tuple[int, ...]]:
    """Second of the bar's start, from the open -> (open, high, low, close, volume, tick count) of one row."""
    found = {}
    for out in closes(outputs, interval_s):
        for place in np.flatnonzero(out.rows == row):
            columns = (out.open, out.high, out.low, out.close, out.volume, out.tick_count)
            start = out.close_at // NS - interval_s - OPEN
            found[start] = tuple(int(column[place]) for column in columns)
    return found
