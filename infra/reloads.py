"""Configurations asked for while a run is up: one small file each, in force by its word on `session` alone.

<run>/reloads/<command id>.json is written whole before the word is said. A process killed in between leaves a
file that nothing follows; once the word is durable the file is there, whoever is killed.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from infra import replaced_file
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot import reloading
from kitepilot.config import Config, ConfigError
from kitepilot.ports import EventLog, LogError
from kitepilot.reloading import Reload
from kitepilot.run import Run
from kitepilot.topics import SESSION

FOLDER = "reloads"
BATCH = 2_000
POLL_S = 0.5
MOST_EMPTY = 20  # polls in a row
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_WORD = reloading.COMMAND.encode()


class AnotherError(ConfigError):
    """This command asked for something else before."""


def keep(run: Run, command_id: str, wanted: Reload) -> bool:
    """Durably, readable to its owner alone: an address in it may hold a password. False: it was there.

    Raises:
        AnotherError: it asked for something else before. ConfigError, OSError: it cannot be kept.
    """
    path = _path(run, command_id)
    if path.exists():
        if not _read(path).same(wanted):
            raise AnotherError(f"{command_id} asked for another configuration before")
        return False
    path.parent.mkdir(mode=0o700, exist_ok=True)
    replaced_file.replace(path, msgspec.json.encode(wanted))
    return True


def asked(run: Run, command_id: str) -> Reload | None:
    """What a command asked for; None where it asked for nothing. Raises ConfigError: damaged."""
    path = _path(run, command_id)
    return _read(path) if path.exists() else None


def in_force(run: Run, command_id: str) -> Config:
    """The configuration since that command, the run's own for "".

    Raises:
        ConfigError: there is no such file, it is damaged, or it would decide otherwise than the run's own.
    """
    if not command_id:
        return run.config
    config = configuration.build(_read(_path(run, command_id)).config, command_id)
    return reloading.beside(run.config, config)


def last_said(run: Run, log: EventLog) -> tuple[str, int]:
    """(the command whose configuration is in force, its offset on `session`); ("", -1) for the run's own.

    The log is only read where something was ever asked for. Raises LogError, ConfigError.
    """
    paths = list((run.folder / FOLDER).glob("*.json"))
    kept = {path.stem: _read(path).since for path in paths}
    for since in sorted(set(kept.values()), reverse=True):
        if found := _last_word(log, since, set(kept)):
            return found
    return "", -1


def said(run: Run, log: EventLog, command_id: str) -> bool:
    """Whether the word of a command that was kept is on the log. Raises LogError, ConfigError."""
    return _last_word(log, _read(_path(run, command_id)).since, {command_id}) is not None


def _last_word(log: EventLog, since: int, known: set[str]) -> tuple[str, int] | None:
    reader, end = log.reader({(SESSION.name, 0): since}), log.end_offset(SESSION.name)
    found, empty = None, 0
    try:
        while reader.positions()[(SESSION.name, 0)] < end:
            records = reader.poll(BATCH, POLL_S)
            empty = 0 if records else empty + 1
            if empty > MOST_EMPTY:
                raise LogError(f"{SESSION.name} cannot be read up to {end}: what is in force is not known")
            for record in records:
                if _WORD in record.value and (command_id := _command(record.value)) in known:
                    found = command_id, record.offset
    finally:
        reader.close()
    return found


def _command(value: bytes) -> str:
    try:
        event = e.decode(value)
    except e.UndecodableError:
        return ""
    if isinstance(event, e.Commanded) and event.command == reloading.COMMAND:
        return event.command_id
    return ""


def _path(run: Run, command_id: str) -> Path:
    if not _NAME.fullmatch(command_id):
        raise ConfigError(f"{command_id!r} is not the name of a command")
    return run.folder / FOLDER / f"{command_id}.json"


def _read(path: Path) -> Reload:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Reload)
    except (OSError, msgspec.DecodeError) as err:
        raise ConfigError(f"{path} cannot be read: {err}") from err
