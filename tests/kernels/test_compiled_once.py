"""Kernels are compiled once per version of their sources, and the benchmark that times them runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kernel_tape import bits, messy_session, run, spec

from kitepilot.kernels.compile import compile_all
from kitepilot.kernels.features import close_second
from kitepilot.kernels.layout import source_digest
from kitepilot.kernels.shard import Shard
from kitepilot.kernels.ticks import absorb

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("compiled", [absorb, close_second])
def test_a_change_in_any_kernel_source_makes_the_disk_cache_stale(compiled: object) -> None:
    """numba itself looks at one file only. This leans on its internals, so their change must show here."""
    assert compiled._cache._cache_file._source_stamp == source_digest()


def test_once_compiled_a_process_pays_little() -> None:
    compile_all()
    assert compile_all() < 1.0


def test_no_kernel_reads_outside_its_arrays(tmp_path: Path) -> None:
    """A messy session with bounds checked: the same bits, and no IndexError."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from kernel_tape import *\n"
        "outputs = run(Shard(spec()), messy_session(7, seconds=400))\n"
        "sys.stdout.buffer.write(b'\\n--\\n'.join(bits(out) for out in outputs))\n"
    )
    env = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    env.pop(
        "COVERAGE_PROCESS_CONFIG", None
    )  # it would trace the compiler, and sees nothing of what is compiled
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        env=env,
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2_000:]
    here = b"\n--\n".join(bits(out) for out in run(Shard(spec()), messy_session(7, seconds=400)))
    assert done.stdout == here


def test_the_benchmark_closes_the_same_bars_and_ends_with_one_json_line() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/kernels.py"), "--quick"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["ratio_300"] > 1.0
    assert {f"ticks_per_s_{size}" for size in (50, 300, 1000)} <= figures.keys()
