"""`kitepilot acknowledge`: the owner's word, once a live session, that orders may go out."""

from __future__ import annotations

import time
from pathlib import Path

from kitepilot.cli import risk_change, watch
from kitepilot.cli.supervise import SupervisionError
from kitepilot.config import ConfigError


def acknowledge(home: Path) -> str:
    """Say it to the run that is up and wait for the decisions to have heard it; what they say.

    Raises:
        ConfigError: nothing is running. SupervisionError: not heard in time.
    """
    from infra.eventlog import open_log
    from kitepilot.topics import DECISIONS

    run = risk_change.running(home)
    if run is None:
        raise ConfigError("nothing is running: `kitepilot up` first, then `kitepilot acknowledge`")
    log = open_log(run)
    try:
        since, now = log.end_offset(DECISIONS.name), time.time_ns()
        watch.command(log, now, now, "acknowledge")
        heard = risk_change.heard(log, since, run.run_id, "live orders acknowledged")
    finally:
        log.close()
    if not heard:
        raise SupervisionError(
            f"said, and not heard by {run.run_id} within {risk_change.TAKEN_WITHIN_S:.0f} s: "
            "see `kitepilot logs decisions`"
        )
    return heard
