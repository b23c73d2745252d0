"""The storm of benchmarks/storm.py, short: our limits meet no 429 where no limits meet many."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import storm

SPEED = 5.0


@pytest.mark.slow
def test_half_a_minute_of_storm_meets_no_429_and_without_limits_it_does(tmp_path: Path) -> None:
    with storm.sandbox(tmp_path) as run:
        ours = asyncio.run(storm.blow(run, "KitePilot", SPEED, 0.5, lambda _: None))
    with storm.sandbox(tmp_path) as run:
        none = asyncio.run(storm.blow(run, "none", SPEED, 0.1, lambda _: None))
    assert storm.refused(ours) == 0, ours
    assert {kind for kind, count in ours.items() if count} == {
        "orders answered", "quote answered", "candle answered", "other answered"
    }  # fmt: skip
    assert storm.refused(none) > 0, "the sandbox does refuse"
