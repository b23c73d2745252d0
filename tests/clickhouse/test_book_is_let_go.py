"""The server that an analysis starts for itself ends with it, at any moment and however it goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from clickhouse_process import new_run, wait_until
from loopback_ports import free_port

from kitepilot.run import RUN_FOLDER_VARIABLE

pytestmark = [pytest.mark.stack]
ANALYSE = """
import pathlib, time
from infra.analytics.book import answering
from kitepilot.cli.after_close import breaking_off
from kitepilot.run import current
with breaking_off(), answering(current()):
    (current().folder / "answers").touch()
    time.sleep(600)
"""


@pytest.mark.parametrize("moment", ["while it starts", "once it answers"])
@pytest.mark.parametrize("how", ["asked", "killed"])
def test_no_server_outlives_the_analysis_that_started_it(tmp_path: Path, moment: str, how: str) -> None:
    run = new_run(tmp_path, f"http://127.0.0.1:{free_port()}", "analytics")
    (tmp_path / "clickhouse" / "data").mkdir(parents=True)
    analysis = subprocess.Popen(
        [sys.executable, "-c", ANALYSE],
        env=os.environ | {RUN_FOLDER_VARIABLE: str(run.folder)},
        start_new_session=True,
    )
    begun: list[psutil.Process] = []
    wait_until(lambda: bool(begun.extend(psutil.Process(analysis.pid).children()) or begun), 120)
    if moment == "once it answers":
        wait_until((run.folder / "answers").exists, 120)
    if how == "asked":
        analysis.terminate()
        analysis.wait(60)
        assert not any(_runs(each) for each in begun)  # a run may begin at once
    else:
        analysis.kill()
        analysis.wait(60)
        wait_until(lambda: not any(_runs(each) for each in begun), 60)


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
