"""The configuration in force, key by key: values, units, where each came from, how it may change."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from api.problems import Problem
from kitepilot import config as configuration
from kitepilot import configured_from
from kitepilot.config import Config, ConfigError, without_passwords
from kitepilot.run import Run

UNITS = {
    "_rupees": "rupees", "_bps": "bps", "_ms": "ms", "_s": "s", "_min": "min", "_gib": "GiB",
    "_share": "share", "_per_s": "a second", "_per_second": "a second", "_per_minute": "a minute",
    "_per_day": "a day",
    "_sessions": "sessions",
}  # fmt: skip
#: The first beginning that fits counts: how a value comes into force.
REMEDIES = {
    "alerts.": "POST /api/v1/config/reload takes it while the run is up",
    "flags.": "POST /api/v1/config/reload takes it while the run is up",
    "risk.": "limits of a run that is up change by POST /api/v1/risk/profile; the file says the next run's",
    "strategies.": "POST /api/v1/strategies/{name}/enable and disable switch those of this run, "
    "`kitepilot strategies reload` takes an own one's text; the file says the next run's",
    "models.": "models move by POST /api/v1/models/{id}/promote and rollback; the file says the next run's",
    "": "read when a run opens: `kitepilot down`, then `kitepilot up`",
}


class Setting(msgspec.Struct, frozen=True):
    """One key. `source`: default | file | command (the command line, or found out when the run opened) |
    reloaded (read again since).

    Passwords in addresses are `***`; of strategies' texts only the names are told.
    """

    key: str
    value: Any
    default: Any
    unit: str
    source: str


class Section(msgspec.Struct, frozen=True):
    """One section and what it means."""

    name: str
    means: str
    settings: list[Setting]


def sections(run: Run, in_force: Config) -> list[Section]:
    """In the order of the configuration. Raises `Problem`: unavailable, its note of the file is damaged."""
    try:
        said = configured_from.read(run.folder)
        file = configured_from.keys(configuration.build(said.config)) if said else {}
    except ConfigError as err:
        raise Problem("unavailable", str(err)) from err
    values, defaults = configured_from.keys(in_force), configured_from.keys(Config())
    opened = configured_from.keys(run.config)
    found: dict[str, list[Setting]] = {}
    for key, value in values.items():
        source = "default" if value == defaults[key] else "file" if file.get(key) == value else "command"
        source = "reloaded" if value != opened[key] else source
        setting = Setting(key, masked(key, value), masked(key, defaults[key]), unit(key), source)
        found.setdefault(key.partition(".")[0] if "." in key else "", []).append(setting)
    return [Section(name, _means(run.config, name), settings) for name, settings in found.items()]


def unit(key: str) -> str:
    """By the end of its name, the longest that fits.

    >>> unit("risk.daily_loss_rupees"), unit("broker.orders_per_second"), unit("mode")
    ('rupees', 'a second', '')
    """
    fitting = [end for end in UNITS if key.endswith(end)]
    return UNITS[max(fitting, key=len)] if fitting else ""


def remedy(key: str) -> str:
    """How a value of this key comes into force."""
    return next(said for beginning, said in REMEDIES.items() if key.startswith(beginning))


def masked(key: str, value: Any) -> Any:
    """For people: without passwords, and of strategies' texts the names."""
    if key == "strategies.sources":
        return sorted(value)
    return json.loads(without_passwords(json.dumps(value)))


def _means(config: Config, name: str) -> str:
    kind = type(getattr(config, name)) if name else Config
    return " ".join((kind.__doc__ or "").split())
