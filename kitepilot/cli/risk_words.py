"""A time as a person writes it -> ns UTC; what is written about limits is `kitepilot.risk.edits`."""

from __future__ import annotations

from datetime import datetime

from kitepilot.config import ConfigError
from kitepilot.market import calendar


def ist_time(text: str) -> int:
    """`2026-11-23` or `2026-11-23 09:15`, IST, -> ns UTC. Raises `ConfigError`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise ConfigError(f'--from {text!r} is not a time like 2026-11-23 or "2026-11-23 09:15"') from err
    return calendar.ist_ns(moment.date(), moment.strftime("%H:%M"))
