"""What every message carries: who said it, its number, and both clocks."""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every message carries."""

    source: str
    seq: int
    event_at: int
    emitted_at: int = 0
