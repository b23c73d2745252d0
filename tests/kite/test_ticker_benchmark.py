"""The benchmark of the ticker client runs, and both clients receive what the server sends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_measures_both_clients_and_ends_with_one_json_line() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/ticker.py"), "--quick"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    [row] = figures["rows"]
    assert all(row[client]["ticks_per_s"] > 0 < row[client]["p50_ms"] for client in ("ours", "kite"))
    assert figures["decode"]["ours"] > figures["decode"]["kite"]
