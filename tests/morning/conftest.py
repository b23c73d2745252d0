"""Fixtures of the morning's tests; what they are made of is in `morning_desk`."""

from __future__ import annotations

from morning_desk import command, memory_keyring, own_home, person, stubborn, venue

__all__ = ["command", "memory_keyring", "own_home", "person", "stubborn", "venue"]
