"""Which days can be looked at again, and where each run's records lie: the event log, or the archive."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kitepilot import config as configuration
from kitepilot.cli.code import code_of
from kitepilot.cli.supervise import Supervisor
from kitepilot.config import Config
from kitepilot.models.plan import ModelPlan, read_plan
from kitepilot.ports import EventLog, LogError
from kitepilot.run import Run


class NoSuchDayError(LogError):
    """The day or the run is not there; says which are."""


@dataclass(frozen=True)
class KnownRun:
    """One run of this home: `folder` while it is kept, `archive` once its day was concluded."""

    run_id: str
    session_date: str
    starts: dict[str, int]
    config_path: Path
    folder: Path | None
    archive: Path | None

    def config(self) -> Config:
        """Raises `ConfigError` when this version cannot read the configuration of then."""
        return configuration.load(self.config_path)

    def model_plan(self) -> ModelPlan | None:
        """Which offline models the run scored with; None for a run of an earlier KitePilot."""
        own = read_plan(self.folder / "models") if self.folder else None
        return own or (read_plan(self.archive) if self.archive else None)

    def run(self, home: Path) -> Run:
        return Run(self.run_id, home / "runs" / self.run_id, self.config())

    @property
    def recorded_config_hash(self) -> str:
        """As it was recorded; a later version of KitePilot may fill in other defaults and hash otherwise."""
        from infra.session_archive import read_card

        if self.archive is not None:
            return read_card(self.archive).config_hash
        return configuration.config_hash(self.config())

    @property
    def log_kind(self) -> str:
        return self.config().log.kind

    @property
    def concluded(self) -> bool:
        return self.folder is not None and (self.folder / "result.json").exists()


def known_runs(home: Path) -> list[KnownRun]:
    """All runs of this home that left records, in the order in which they began."""
    from infra.session_archive import kept_folders, read_card

    archives = {folder.name: folder for folder in kept_folders(home)}
    found: dict[str, KnownRun] = {}
    for run_id, archive in archives.items():
        card = read_card(archive)
        starts = {name: topic.start for name, topic in card.topics.items()}
        folder = home / "runs" / run_id
        here = folder if (folder / "start_offsets.json").exists() else None
        found[run_id] = KnownRun(run_id, card.session_date, starts, archive / "config.yaml", here, archive)
    for offsets in (home / "runs").glob("*-*-*/start_offsets.json"):
        folder = offsets.parent
        if folder.is_symlink() or folder.name in found:
            continue
        path = folder / "config.yaml"
        date = configuration.load(path).session.date
        starts = json.loads(offsets.read_text())
        found[folder.name] = KnownRun(folder.name, date, starts, path, folder, None)
    return sorted(found.values(), key=lambda each: (each.session_date, each.run_id))


def find_run(home: Path, date: str, run_id: str | None) -> KnownRun:
    """The run named, else the newest of the day.

    Raises:
        NoSuchDayError: there is none, with the days or runs there are; or it is running.
    """
    runs = known_runs(home)
    of_day = [each for each in runs if each.session_date == date]
    if not of_day:
        raise NoSuchDayError(f"no run of {date} in {home}; {_days_told(runs)}")
    chosen = [each for each in of_day if run_id in (None, each.run_id)]
    if not chosen:
        there = ", ".join(each.run_id for each in of_day)
        raise NoSuchDayError(f"no run {run_id!r} of {date} in {home}; there are: {there}")
    supervisor = Supervisor(home)
    running = supervisor.run_folder() if supervisor.alive() else None
    if running is not None and running.name == chosen[-1].run_id:
        raise NoSuchDayError(f"{chosen[-1].run_id} is still running: replay it after `kitepilot down`")
    return chosen[-1]


def _days_told(runs: Sequence[KnownRun]) -> str:
    days = sorted({each.session_date for each in runs})
    if not days:
        return "there are no recorded days yet: `kitepilot paper` makes one"
    return f"there are: {', '.join(days[-10:])}" + (f" and {len(days) - 10} earlier" if days[10:] else "")


def ends_in_log(known: KnownRun, runs: Sequence[KnownRun], log: EventLog) -> dict[str, int]:
    """Where the run ends on each topic: as its archive says, else where the next run began."""
    from infra.session_archive import read_card

    if known.archive is not None:
        return {name: topic.end for name, topic in read_card(known.archive).topics.items()}
    ends = {topic: log.end_offset(topic) for topic in known.starts}
    later = [
        each.starts
        for each in runs
        if each.run_id != known.run_id
        and each.log_kind == known.log_kind
        and each.starts["session"] > known.starts["session"]
    ]
    return {topic: min([end, *(starts[topic] for starts in later)]) for topic, end in ends.items()}


def holds(log: EventLog, known: KnownRun, ends: dict[str, int], topics: Sequence[str]) -> str:
    """What the log no longer has of the run; "" when it has all of `topics`."""
    for topic in topics:
        begin, end = log.begin_offset(topic), log.end_offset(topic)
        if begin > known.starts[topic] or end < ends[topic]:
            return f"{topic} {known.starts[topic]} to {ends[topic]} (the log has {begin} to {end})"
    return ""


@contextmanager
def reading_log(run: Run) -> Iterator[EventLog]:
    """The event log of a run of this home; an embedded Kafka that is down is started for the reading.

    Raises:
        LogError: it cannot be started, or does not answer.
    """
    from infra.eventlog import open_log

    with _kafka_up(run):
        log = open_log(run)
        try:
            yield log
        finally:
            log.close()


@contextmanager
def _kafka_up(run: Run) -> Iterator[None]:
    from kitepilot.cli import processes as table

    if table.KAFKA not in table.stores(run.config) or Supervisor(run.home).alive():
        yield
        return
    from infra.kafka.jars import KafkaUnavailableError, provide_jars
    from infra.kafka.server import KafkaServer, loopback_port

    folder = run.home / "kafka"
    try:
        port = loopback_port(run.config.log.bootstrap_servers)
        server = KafkaServer(folder, port, provide_jars(folder / "libs"))
        server.start()
    except KafkaUnavailableError as err:
        raise LogError(f"the event log of {run.run_id} is on Kafka: {err}") from err
    try:
        yield
    finally:
        server.stop()


def recorded_by(known: KnownRun) -> tuple[str, str]:
    """(version, hash) of the code that recorded the run; empty where nobody noted it."""
    from infra.session_archive import read_card

    if known.archive is not None:
        card = read_card(known.archive)
        return card.code_version, card.code_hash
    return code_of(known.folder) if known.folder else ("", "")
