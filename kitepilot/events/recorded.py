"""What is kept beside the decisions: bars, features, postbacks, and input that could not be used."""

from __future__ import annotations

import msgspec

from kitepilot.events.envelope import Event


class BarsClosed(Event, frozen=True, kw_only=True, tag="bars_closed"):
    """All bars of one interval that closed together; one row per instrument. Prices in paise.

    A bar is identified by (run, token, interval_s, close_at, backfilled). Backfilled bars are the broker's
    own candles of minutes in which the feed was down, fetched later: they are for the record only, never an
    input of features or decisions, and may stand beside a bar made from the ticks that did arrive.
    """

    interval_s: int
    close_at: int
    tokens: list[int]
    open_paise: list[int]
    high_paise: list[int]
    low_paise: list[int]
    close_paise: list[int]
    volume: list[int]
    tick_count: list[int]  # 0 in backfilled bars: the broker does not say
    backfilled: bool = False


class FeaturesComputed(Event, frozen=True, kw_only=True, tag="features_computed"):
    """Features and scores at one bar close; `values`: row-major little-endian float64, one row per token."""

    interval_s: int
    close_at: int
    names: list[str]
    tokens: list[int]
    values: bytes
    scores: dict[str, list[float]]  # model id -> one score per token (NaN while warming up)
    # model id -> share in the blended score
    weights: dict[str, float] = msgspec.field(default_factory=dict)


class PostbackReceived(Event, frozen=True, kw_only=True, tag="postback_received"):
    """An HTTP postback whose checksum was right. A hint about an order, never the truth about it."""

    order_id: str
    status: str
    body: str  # JSON as it came
    received_at: int  # machine clock, ns


class DeadLetter(Event, frozen=True, kw_only=True, tag="dead_letter"):
    """Input that could not be used, kept whole. `count` records of the same reason may share one letter."""

    reason: str  # e.g. unknown_token | off_grid | volume_fell | bad_frame | undecodable | clock_jump
    topic: str
    partition: int
    offset: int
    count: int
    detail: str
    payload: bytes
