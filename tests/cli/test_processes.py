"""Who gives way when the processors are busy."""

import os
import subprocess
import sys

import pytest

from kitepilot.cli import processes as table

SETTLE = "import os, sys; from kitepilot.cli import processes as t; t.settle_in(t.by_name(sys.argv[1])); "


@pytest.mark.parametrize("process", (*table.ALL, *table.ON_DEMAND), ids=lambda process: process.name)
def test_only_what_no_order_waits_for_gives_way_to_the_path_of_an_order(process: table.Process) -> None:
    command = [sys.executable, "-c", f"{SETTLE}print(os.nice(0), os.sched_getscheduler(0))", process.name]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    niceness, policy = map(int, shown.stdout.split())
    gives_way = process in (
        table.ALERTS,
        table.ARCHIVE,
        table.AUDIT,
        table.CLICKHOUSE,
        table.API,
        *table.ON_DEMAND,
    )
    assert (niceness > os.nice(0)) == gives_way
    assert (policy == os.SCHED_BATCH) == gives_way
