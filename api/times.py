"""Nanoseconds UTC -> the same instant for machines and for the desk."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

IST = ZoneInfo("Asia/Kolkata")


class Instant(msgspec.Struct, frozen=True):
    """One moment twice, ISO 8601 with offset; both null where there is none yet."""

    utc: str | None = None
    ist: str | None = None


def instant(at_ns: int) -> Instant:
    """Milliseconds are kept; 0 is no moment."""
    if not at_ns:
        return Instant()
    moment = datetime.fromtimestamp(at_ns // 1_000_000 / 1e3, UTC)
    return Instant(moment.isoformat(timespec="milliseconds"), moment.astimezone(IST).isoformat())
