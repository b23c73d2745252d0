"""A few minutes of a small seeded market as `ticks` messages, for tests of the market flow."""

from __future__ import annotations

from datetime import date

import numpy as np

from kitepilot.config import RiskSection
from kitepilot.events import DecisionParameters, InstrumentTerms
from kitepilot.market.calendar import ist_ns
from kitepilot.market.ticks import KIND_CLOCK, KIND_FEED, RECORD_BYTES, RECORD_DTYPE, own_record

DAY = date(2026, 11, 20)
OPEN_AT = ist_ns(DAY, "09:15")
CLOSE_AT = ist_ns(DAY, "15:30")
TOKENS = tuple(exchange_token * 256 + 1 for exchange_token in (2_885, 1_594, 1_333, 11_536))
TICK_PAISE = 5
S = 1_000_000_000
HALF_S = S // 2


def parameters() -> DecisionParameters:
    terms = tuple(
        InstrumentTerms(
            token=token,
            tradingsymbol=f"KP{number}",
            tick_size_paise=TICK_PAISE,
            lot_size=1,
            closing_auction=False,
            entry_cutoff_at=CLOSE_AT,
            square_off_at=CLOSE_AT,
            force_flat_at=CLOSE_AT,
            continuous_close_at=CLOSE_AT,
        )
        for number, token in enumerate(TOKENS)
    )
    return DecisionParameters(
        session_date=DAY.isoformat(),
        open_at=OPEN_AT,
        close_at=CLOSE_AT,
        instruments=terms,
        profile=RiskSection().profile(),
        strategies=("vwap_reversion", "micro_momentum", "score_follower"),
    )


def tape(minutes: float, seed: int = 7, lead_s: int = 5) -> list[bytes]:
    """Messages from `lead_s` before the open: a frame of packets and a clock every half second."""
    rng = np.random.default_rng(seed)
    n = len(TOKENS)
    level = rng.integers(20_000, 60_000, n)
    volume = np.zeros(n, dtype=np.int64)
    start_at = OPEN_AT - lead_s * S
    messages = [own_record(KIND_FEED, start_at, start_at, "up"), own_record(KIND_CLOCK, start_at, start_at)]
    for step in range(int(minutes * 120) + 2 * lead_s):
        at = start_at + step * HALF_S
        moved = np.flatnonzero(rng.random(n) < 0.8)
        level = np.maximum(level + rng.integers(-6, 7, n), 4_000)
        if at >= OPEN_AT:
            volume = volume + rng.integers(0, 400, n)
        frame = _frame(rng, moved, level, volume, at)
        messages += [frame] if frame else []
        messages.append(own_record(KIND_CLOCK, at + HALF_S, at + HALF_S + 3_000_000))
    return messages


def _frame(rng: np.random.Generator, moved, level, volume, at: int) -> bytes:
    records = np.zeros(len(moved), dtype=RECORD_DTYPE)
    records["received_at"] = at + 2_000_000
    packet = records["packet"]
    price = level[moved] * TICK_PAISE
    packet["token"] = np.array(TOKENS)[moved]
    packet["last_price"] = price
    packet["last_quantity"] = rng.integers(1, 50, len(moved))
    packet["average_price"] = price
    packet["volume"] = volume[moved]
    for field in ("open", "high", "low", "close"):
        packet[field] = price
    packet["last_trade_time"] = at // S
    packet["exchange_time"] = at // S
    for side, sign in (("bids", -1), ("asks", 1)):
        for depth in range(5):
            packet[side]["price"][:, depth] = price + sign * TICK_PAISE * (depth + 1)
            packet[side]["quantity"][:, depth] = rng.integers(1, 900, len(moved))
            packet[side]["orders"][:, depth] = 1
    return records.tobytes()


def broken(messages: list[bytes]) -> list[bytes]:
    """The same messages with bad input among them: torn bytes, an unknown token, a price off the grid."""
    bad = np.frombuffer(
        bytearray(next(m for m in messages[60:] if len(m) > RECORD_BYTES)), dtype=RECORD_DTYPE
    )
    stranger, off_grid = bad[:1].copy(), bad[1:2].copy()
    stranger["packet"]["token"] = 999 * 256 + 1
    off_grid["packet"]["last_price"] += 1
    return [*messages[:61], b"torn" * 10, stranger.tobytes() + off_grid.tobytes(), *messages[61:]]
