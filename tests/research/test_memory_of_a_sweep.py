"""A sweep over more sessions takes no more memory: the short form of `benchmarks/research_memory.py`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_sweep_of_sixty_sessions_takes_the_memory_of_five() -> None:
    ran = subprocess.run(
        [sys.executable, "benchmarks/research_memory.py", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
