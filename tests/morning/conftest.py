"""Fixtures of the morning's tests; what they are made of is in `morning_desk`."""

from __future__ import annotations

from morning_desk import (
    command,
    free_ports,
    live_config,
    memory_keyring,
    own_home,
    person,
    prepared,
    stubborn,
    venue,
)

__all__ = [
    "command",
    "free_ports",
    "live_config",
    "memory_keyring",
    "own_home",
    "person",
    "prepared",
    "stubborn",
    "venue",
]
