"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes is the machine's affair: speed is claimed by benchmarks, not by tests.
settings.register_profile("kitepilot", deadline=None)
settings.load_profile("kitepilot")
