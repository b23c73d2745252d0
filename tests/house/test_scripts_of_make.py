"""What `make` starts beside the tests finds what it shares with them, from any folder and without pytest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def sharing_scripts() -> list[str]:
    """Scripts that `make` starts by their path and that reach for modules of another folder."""
    rules = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"(?:tests|benchmarks)/[\w/]+\.py", rules))
    for names in re.findall(r"for b in ([\w ]+);", rules):
        named |= {f"benchmarks/{name}.py" for name in names.split()}
    return sorted(name for name in named if "sys.path" in (ROOT / name).read_text())


@pytest.mark.parametrize("script", sharing_scripts())
def test_a_script_of_make_starts(script: str, tmp_path: Path) -> None:
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(ROOT / script), "--help"],
        cwd=tmp_path,
        env=plain,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
