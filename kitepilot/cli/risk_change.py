"""A change of the risk profile: a new version in its history, and in force in the run that is up."""

from __future__ import annotations

import getpass
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from infra.audit.acts import record_act
from infra.postgres.profile_changes import Edit, store
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot.audit.acts import PROFILE_MADE
from kitepilot.cli import risk_book
from kitepilot.cli.supervise import SupervisionError, Supervisor
from kitepilot.config import Config
from kitepilot.events import RiskProfile
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import DECISIONS, SESSION

SOURCE = "cli-risk"  # counted by command id, so its numbers are the clock's
TAKEN_WITHIN_S = 30.0
LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Change:
    """A version that was made. `taken`: the fold's own words, "" where no run is up or it waits."""

    profile: RiskProfile
    changes: list[str]
    overtaken: list[int]  # versions that waited for their time and are now older than this one
    taken: str


def running(home: Path) -> Run | None:
    """The announced run that is up in this home, if one is."""
    supervisor = Supervisor(home)
    folder = supervisor.run_folder()
    if folder is None or not (folder / "parameters.json").exists() or not supervisor.alive():
        return None
    return Run(folder.name, folder, configuration.load(folder / "config.yaml"))


def change(home: Path, chosen: Config, edit: Edit, reason: str, active_from: int | None) -> Change:
    """Make a version and bring it into force; with `active_from` (ns) it waits for the next run's opening.

    Raises:
        ConfigError: nothing changed, or the settings cannot be, or allow more than the configuration does.
        SupervisionError: it is stored, and the run that is up has not taken it; says what to do.
    """
    run = running(home)
    config = run.config if run else chosen
    by = _person()
    with risk_book.opened(home, config) as connection:
        profile, lines, overtaken = store(connection, config, edit, by, reason, active_from)
    record_act(
        home,
        PROFILE_MADE,
        subject=f"{profile.version}",
        run_id=run.run_id if run else "",
        mode=config.mode,
        reason=reason,
        active_from=active_from or 0,
        profile=msgspec.json.encode(profile).decode(),
    )
    taken = tell(run, profile, by, reason) if run and active_from is None else ""
    return Change(profile, lines, overtaken, taken)


def tell(run: Run, profile: RiskProfile, by: str, reason: str) -> str:
    """Append the activation to the run's session and wait for what the fold says of it; its words.

    Raises:
        SupervisionError: it was refused, or nothing was heard in time.
    """
    from infra.eventlog import open_log

    log = open_log(run)
    try:
        since, now = log.end_offset(DECISIONS.name), time.time_ns()
        said = e.ProfileActivated(
            source=SOURCE,
            seq=now,
            event_at=now,
            command_id=f"{SOURCE}-{now}",
            profile=profile,
            by=by,
            reason=reason,
        )
        log.append(SESSION.name, [e.encode(said, emitted_at=now)])
        answer = heard(log, since, run.run_id, f"risk profile {profile.version} ")
    finally:
        log.close()
    if not answer:
        raise SupervisionError(
            f"version {profile.version} is stored and sent, but {run.run_id} has not taken it within "
            f"{TAKEN_WITHIN_S:.0f} s: see `kitepilot logs decisions`, and `kitepilot risk show`"
        )
    if " refused: " in answer:
        raise SupervisionError(f"stored, and refused by {run.run_id}: {answer}")
    return answer


def heard(log: EventLog, since: int, run_id: str, beginning: str) -> str:
    """What the run's fold wrote down that begins so; "" when it stays silent for `TAKEN_WITHIN_S`."""
    reader = log.reader({(DECISIONS.name, 0): since})
    deadline = time.monotonic() + TAKEN_WITHIN_S
    try:
        while time.monotonic() < deadline:
            records = reader.poll(1000)
            for record in records:
                event = e.decode(record.value)
                if (
                    isinstance(event, e.StateChanged)
                    and event.run_id == run_id
                    and event.reason.startswith(beginning)
                ):
                    return event.reason
            if not records:
                time.sleep(LOOK_EVERY_S)
    finally:
        reader.close()
    return ""


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "owner"
