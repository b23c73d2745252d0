"""Whole days of the real core, gateway and exchange on simulated time: see docs/explanation/simulation.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from run import play_all, seeds_of
from simulated_day import play

FIRST, DAYS, SLICES = 1_000, 120, 6  # a fixed number: a budget of time would not be the same days twice


@pytest.mark.parametrize("part", range(SLICES))
def test_whatever_goes_wrong_the_invariants_hold(part: int) -> None:
    size = DAYS // SLICES
    _assert_all_hold(list(range(FIRST + part * size, FIRST + (part + 1) * size)))


def test_days_that_were_broken_once_hold() -> None:
    _assert_all_hold(seeds_of("regressions"))


def test_the_same_seed_is_the_same_history_in_another_process() -> None:
    """Nothing comes from the machine: not its clock, not addresses, not the order of sets of strings."""
    script = "from simulated_day import play; print(play(7).digest)"
    root = Path(__file__).parents[2]
    told = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{root}",
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    ]
    assert told == [play(7).digest] * 2


def _assert_all_hold(seeds: list[int]) -> None:
    broken = [report for report in play_all(seeds) if report.violation]
    said = [
        f"seed {report.seed}: {report.violation}\n  again: make simulate SEEDS={report.seed} TRACE=1\n  "
        + "\n  ".join(report.trace[-60:])
        for report in broken
    ]
    assert not broken, "\n".join(said)
