"""The audit at a day's end: everything taken up, sealed and read through; and how it stands meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from infra.audit.acts import acts_log, log_names, record_act
from infra.audit.reading import AuditBook, open_book
from infra.audit.seal_key import open_key
from infra.audit.sealing import SealFileError, file_of, repair_files, seal_run
from infra.audit.trail import Place, Trail, TrailError
from infra.audit.verification import ScopeError, verify_book
from infra.key_urls import SecretError
from infra.postgres.embedded import PostgresError, database_url
from kitepilot.audit.acts import RUN_ENDED, RUN_STOPPED
from kitepilot.audit.entries import FOLLOWED
from kitepilot.ports import EventLog, LogError
from kitepilot.run import Run
from kitepilot.topics import ACTS

WITHIN_S = 120.0
LOOK_EVERY_S = 0.1
TROUBLES = (
    TrailError,
    SealFileError,
    SecretError,
    ScopeError,
    PostgresError,
    LogError,
    psycopg.Error,
    OSError,
)
#: Of a day's result: what the audit keeps as figures of their own. The rest is in its JSON text.
FIGURES = ("reconciled", "open_positions", "orders", "fills", "net_pnl_paise", "decisions_hash")


class BehindError(TrailError):
    """The audit has not taken up in time what was said."""


def seal_day(run: Run, log: EventLog, result: Mapping[str, Any]) -> dict[str, Any]:
    """Record how the day ended, seal it, verify it. Never raises for what the audit lacks: it says so.

    Returns `records` of the run, `sealed`, `verified`, `seal` (its file), `trouble` ("" when all is well) and
    all of that in a `line`.
    """
    figures = {name: result[name] for name in FIGURES}
    return _sealed(run, log, RUN_ENDED, {**figures, "result": json.dumps(result, default=str)})


def seal_stopped(run: Run, log: EventLog) -> dict[str, Any]:
    """As `seal_day`, for a run that is taken down without a conclusion."""
    return _sealed(run, log, RUN_STOPPED, {})


def _sealed(run: Run, log: EventLog, act: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"records": 0, "sealed": False, "verified": False, "seal": "", "trouble": ""}
    try:
        record_act(run.home, act, subject=run.run_id, run_id=run.run_id, **facts)
        url = database_url(run)
        with open_book(url) as book:
            await_taken(book, ends(run, log), WITHIN_S)
            seal_here(url, run)
            seals = book.seals()
            last = seals[-1].read()
            found |= {"sealed": True, "seal": str(file_of(run.home, last))}
            verdict = verify_book(book, run.home, run_id=run.run_id)
            found["records"] = book.extent_of(run.run_id).rows
            found["verified"] = verdict.flaw is None
            found["trouble"] = str(verdict.flaw or "")
    except TROUBLES as err:
        found["trouble"] = (str(err).splitlines() or [type(err).__name__])[0]
    found["line"] = _line(found)
    return found


def seal_here(url: str, run: Run) -> int:
    """Seal whatever is not yet sealed, under this run's name; returns the new seal's number, 0 for none.

    Raises:
        SecretError: no key. SealFileError: a file in the home contradicts. TrailError: no database.
    """
    key = open_key(run.config, run.home)
    trail = Trail(url)
    try:
        seal = seal_run(
            trail,
            key,
            run.home,
            run_id=run.run_id,
            session_date=run.config.session.date,
            now=time.time_ns(),
        )
    finally:
        trail.close()
    with open_book(url) as book:
        repair_files(run.home, book.seals())
    return seal.read().number if seal else 0


def ends(run: Run, log: EventLog) -> dict[Place, int]:
    """Where the followed topics, and the acts, end now."""
    name, acts_name = log_names(run.home, run.config.log.kind)
    acts = acts_log(run.home)
    try:
        found = {(name, topic.name): log.end_offset(topic.name) for topic in FOLLOWED}
        return {**found, (acts_name, ACTS.name): acts.end_offset(ACTS.name)}
    finally:
        acts.close()


def await_taken(book: AuditBook, wanted: Mapping[Place, int], within_s: float = WITHIN_S) -> None:
    """Until the audit has read everything up to these offsets, as long as it gets on.

    Raises:
        BehindError: it read nothing for `within_s`; names the topics.
    """
    least, deadline = -1, 0.0
    while behind := lag(book, wanted):
        if least < 0 or sum(behind.values()) < least:
            least, deadline = sum(behind.values()), time.monotonic() + within_s
        if time.monotonic() > deadline:
            raise BehindError(
                f"the audit is behind by {behind} records and has read none for {within_s:.0f} s: "
                "see `kitepilot logs audit`"
            )
        time.sleep(LOOK_EVERY_S)


def lag(book: AuditBook, wanted: Mapping[Place, int]) -> dict[str, int]:
    """How many records of each topic wait, those of none left out."""
    reached = book.next_offsets(sorted({log for log, _ in wanted}))
    behind = {place[1]: end - reached.get(place, 0) for place, end in wanted.items()}
    return {topic: count for topic, count in behind.items() if count > 0}


def audit_state(run: Run, log: EventLog) -> dict[str, Any]:
    """How the audit stands, for `kitepilot status`; `trouble` where it cannot be asked."""
    try:
        with open_book(database_url(run)) as book:
            seals = book.seals()
            last = seals[-1].read() if seals else None
            return {
                "records": book.last_seq(),
                "behind": sum(lag(book, ends(run, log)).values()),
                "last_seal": last.number if last else 0,
                "last_seal_date": last.session_date if last else "",
                "unsealed": book.last_seq() - (last.last_seq if last else 0),
            }
    except (*TROUBLES, msgspec.MsgspecError) as err:
        return {"trouble": (str(err).splitlines() or [type(err).__name__])[0]}


def audit_line(state: Mapping[str, Any]) -> str:
    """`1,204 records, 3 behind, seal 7 of 2026-11-20, 1,020 not sealed yet`."""
    if not state or "trouble" in state:
        return str(state.get("trouble", "not heard of yet"))
    seal = f"seal {state['last_seal']} of {state['last_seal_date']}" if state["last_seal"] else "no seal yet"
    return (
        f"{state['records']:,} records, {state['behind']:,} behind, {seal}, "
        f"{state['unsealed']:,} not sealed yet"
    )


def _line(found: Mapping[str, Any]) -> str:
    """`1,204 records, sealed, verified`, or what is wrong."""
    if found["trouble"]:
        return f"{found['records']:,} records; {found['trouble']}"
    return f"{found['records']:,} records, sealed, verified"


def newest_run(home: Path) -> Path | None:
    """The folder of the newest run that began on the topics."""
    begun = (home / "runs").glob("*-*-*/start_offsets.json")
    return max((path.parent for path in begun), key=lambda folder: folder.stat().st_mtime, default=None)
