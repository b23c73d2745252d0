"""Runs one flow as a process: recovery, an orderly end on SIGTERM, quiet garbage collection.

    kitepilot.run.Run + Dataflow -> exit code

One worker per process (more than one is slower for cheap items), one recovery folder per flow and run.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
from datetime import timedelta
from pathlib import Path

from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir

from flows.connectors.lifecycle import PROCESS
from kitepilot.ports import LogError
from kitepilot.run import Run

EPOCH = timedelta(seconds=1)


def run_flow(flow: Dataflow, run: Run, name: str, epoch: timedelta = EPOCH) -> int:
    """Run `flow` until SIGTERM, SIGINT or the end of its inputs; 0 if it ended in order, 1 on a log failure.

    The run's ready file `name` appears when the source has opened its reader. State and offsets are
    committed each `epoch` under `<run>/recovery/<name>`; a process that was killed re-reads at most that.
    Any other error in a step propagates with its trace: the supervisor starts the process again.
    """
    from bytewax.run import cli_main

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for libraries that are not loaded yet
    PROCESS.drain_on_signals()
    PROCESS.call_when_built(lambda: run.mark_ready(name))
    folder = prepared_recovery(run.recovery_folder / name)
    recovery = RecoveryConfig(folder, timedelta(0))  # type: ignore[no-untyped-call]
    # what was built at start lives as long as the process: the collector need not walk it again
    gc.collect()
    gc.freeze()
    try:
        cli_main(flow, epoch_interval=epoch, recovery_config=recovery)  # type: ignore[no-untyped-call]
    except Exception as err:
        failure = log_failure(err)
        if failure is None:
            raise
        sys.stderr.write(f"{name}: {failure}\n")
        return 1
    return 0


def prepared_recovery(folder: Path) -> Path:
    """`folder` with one recovery partition in it, made whole or not at all on first use."""
    if not folder.is_dir():
        draft = folder.with_name(f"{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        init_db_dir(draft, 1)  # type: ignore[no-untyped-call]
        draft.rename(folder)
    return folder


def log_failure(err: BaseException | None) -> LogError | None:
    """The `LogError` that caused `err`, if one did: it already says what, where and what to do."""
    while err is not None:
        if isinstance(err, LogError):
            return err
        err = err.__cause__ or err.__context__
    return None
