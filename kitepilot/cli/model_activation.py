"""A word in the tick partition: a run that is up follows another of its models from there on."""

from __future__ import annotations

import time
from pathlib import Path

from kitepilot.cli import risk_change
from kitepilot.market.ticks import model_record
from kitepilot.models.plan import read_plan
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import DECISIONS, TICKS


def tell(home: Path, model_id: str, why: str) -> str:
    """Say it to the run that is up, and wait for its word; what came of it, in words.

    Raises:
        LogError: the log does not take it; the registry has changed all the same.
    """
    from infra.eventlog import open_log

    run = risk_change.running(home)
    if run is None:
        return "no run is up: the next one opens with it"
    plan = read_plan(run.folder / "models")
    if plan is None or model_id not in plan.models:
        return f"{run.run_id} does not hold it and goes on as it is: the next run opens with it"
    log = open_log(run)
    try:
        return _said(log, run, model_id, why)
    finally:
        log.close()


def _said(log: EventLog, run: Run, model_id: str, why: str) -> str:
    since, now = log.end_offset(DECISIONS.name), time.time_ns()
    log.append(TICKS.name, [model_record(model_id, why, now)])
    answer = risk_change.heard(log, since, run.run_id, f"model {model_id} is followed ")
    if answer:
        return f"{run.run_id}: {answer}"
    return (
        f"{run.run_id} was told and has not answered within {risk_change.TAKEN_WITHIN_S:.0f} s: see "
        "`kitepilot logs market`; the next run opens with it in any case"
    )
