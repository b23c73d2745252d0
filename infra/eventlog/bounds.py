"""How much one call may carry, the same on every adapter, so a day that fits one log fits the other."""

from __future__ import annotations

from collections.abc import Sequence

from kitepilot.ports import LogError

MIB = 1 << 20
MAX_VALUE_BYTES = 2 * MIB  # a ticks frame of 1 MiB, or a dead letter that wraps one
MAX_APPEND_BYTES = 16 * MIB  # one all-or-nothing append
MAX_APPEND_VALUES = 10_000
MAX_POLL_BYTES = 64 * MIB  # a poll stops here even if `max_records` allows more
MAX_BUFFERED_BYTES = 32 * MIB  # a writer hands on by itself past this


def check_value(topic: str, value: bytes) -> None:
    """Raises `LogError` for a value no adapter accepts."""
    if len(value) > MAX_VALUE_BYTES:
        raise LogError(
            f"a value of {len(value)} bytes for topic {topic!r} is above the bound of {MAX_VALUE_BYTES}; "
            "split it into several records"
        )


def check_append(topic: str, values: Sequence[bytes]) -> None:
    """Raises `LogError` for a call that could not be written all or nothing."""
    if not values:
        raise LogError(f"an append to topic {topic!r} carries no value; there is no offset to return")
    for value in values:
        check_value(topic, value)
    total = sum(map(len, values))
    if total > MAX_APPEND_BYTES or len(values) > MAX_APPEND_VALUES:
        raise LogError(
            f"one append of {len(values)} values, {total} bytes, to topic {topic!r} is above the bound of "
            f"{MAX_APPEND_VALUES} values or {MAX_APPEND_BYTES} bytes; use writer() for bulk"
        )
