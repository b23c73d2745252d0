"""Starts processes of a run as its supervisor would, for the tests of this folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kitepilot import config as configuration
from kitepilot.run import RUN_FOLDER_VARIABLE, Run
from kitepilot.topics import TOPICS

SERVE = (
    "from kitepilot.run import current; from infra.clickhouse.server import main; "
    "raise SystemExit(main(current()))"
)

#: Coverage's own: a confined process cannot write its data beside the checkout, and says so at length.
COVERAGE_VARIABLE = "COVERAGE_PROCESS_CONFIG"


def unmeasured() -> dict[str, str]:
    """The environment of a process whose standard error a test reads."""
    return {name: value for name, value in os.environ.items() if name != COVERAGE_VARIABLE}


def new_run(home: Path, url: str, run_id: str = "paper-20261120-0001") -> Run:
    """A run as the command line leaves it: folder, config.yaml, start offsets."""
    config = configuration.override(configuration.Config(), **{"storage.clickhouse_url": url})
    run = Run(run_id, home / "runs" / run_id, config)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(configuration.dump(config))
    (run.folder / "start_offsets.json").write_text(json.dumps({topic.name: 0 for topic in TOPICS}))
    return run


def start(run: Run, code: str, process: str, within_s: float = 60) -> subprocess.Popen[str]:
    """A process of the run, doing its work."""
    run.ready_file(process).unlink(missing_ok=True)
    started = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {RUN_FOLDER_VARIABLE: str(run.folder)},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: run.ready_file(process).exists() or started.poll() is not None, within_s)
    if started.poll() is not None:
        raise AssertionError(f"{process} ended with {started.returncode}: {started.communicate()[1][-2000:]}")
    return started


def wait_until(condition: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s")
        time.sleep(0.01)
