"""The file a run was configured from, as it was then: what a later look at the file is compared with.

<run>/configured_from.json, readable to its owner alone: an address in it may hold a password.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from kitepilot import config as configuration
from kitepilot.config import Config, ConfigError

FILE = "configured_from.json"


class ConfiguredFrom(msgspec.Struct, frozen=True):
    """`path` is absolute; `config` what the file said, without the changes of the command line."""

    path: str
    config: dict[str, Any]


def write(folder: Path, path: Path) -> None:
    """Note in a run's folder what the file at `path` says now. Raises `ConfigError`, `OSError`."""
    said = ConfiguredFrom(str(path.absolute()), msgspec.to_builtins(configuration.load(path)))
    handle = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(said))


def read(folder: Path) -> ConfiguredFrom | None:
    """None where the run was opened without a file. Raises `ConfigError`: damaged."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=ConfiguredFrom)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as err:
        raise ConfigError(f"{folder / FILE} cannot be read: {err}") from err


def keys(config: Config) -> dict[str, Any]:
    """Every key with its value, by its dotted name, in the order of the sections.

    A section within a section is its own keys; a list or a table of names is one value.
    """
    return dict(_flat(config, ""))


def changed(then: Config, now: Config) -> list[str]:
    """The keys in which two configurations differ, in the order of the sections."""
    before, after = keys(then), keys(now)
    return [key for key in dict.fromkeys((*before, *after)) if before.get(key) != after.get(key)]


def _flat(section: msgspec.Struct, path: str) -> Iterator[tuple[str, Any]]:
    for field in msgspec.structs.fields(section):
        value = getattr(section, field.name)
        if isinstance(value, msgspec.Struct):
            yield from _flat(value, f"{path}{field.name}.")
        else:
            yield f"{path}{field.name}", msgspec.to_builtins(value)
