"""What of its file a run that is up can take: what decides nothing and judges no order.

Every order names the configuration its run was opened with, and a replay reads that one. What is taken since
stands beside it, with a hash of its own: docs/adr/0016. All of a file is taken or nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kitepilot import config as configuration
from kitepilot import configured_from
from kitepilot.config import Config, ConfigError

COMMAND = "config_reload"  # on `session`; its argument is the hash of what is in force from there
ALERTS = "alerts."  # read by the process that tells people, and by nothing else
#: Each decides who may say a word to the run, or whether one is said; the word itself is on the log.
FLAGS = frozenset({"flags.resume_by_api", "flags.models_by_api", "flags.strategy_hot_reload"})


class Difference(msgspec.Struct, frozen=True):
    """A key in which the file says otherwise than it did. `before` is what is in force."""

    key: str
    before: Any
    after: Any

    @property
    def taken(self) -> bool:
        """Whether a run that is up can take it."""
        return takes(self.key)

    @property
    def narrows(self) -> bool:
        """Whether it only makes smaller what can be done: it asks for no fresh one-time code."""
        return self.key in FLAGS and self.after is False


class Reload(msgspec.Struct, frozen=True):
    """A configuration that was asked for. `file`: what the file said; `config`: what is in force by it.

    `since`: where the log's `session` ended before the word was said, so that nobody looks for it earlier.
    """

    file: dict[str, Any]
    config: dict[str, Any]
    since: int

    def same(self, other: Reload) -> bool:
        """Whether the other asks for the same."""
        return (self.file, self.config) == (other.file, other.config)


def takes(key: str) -> bool:
    """Whether a run that is up can take another value of `key`.

    >>> takes("alerts.quiet"), takes("flags.resume_by_api"), takes("risk.daily_loss_rupees")
    (True, True, False)
    """
    return key.startswith(ALERTS) or key in FLAGS


def differences(in_force: Config, said: Config, says: Config) -> list[Difference]:
    """Between what the file `said` when it was read last and what it `says`, in the order of the sections.

    What the command line chose over the file stays as long as the file says nothing else about it.
    """
    standing, now = configured_from.keys(in_force), configured_from.keys(says)
    return [Difference(key, standing[key], now[key]) for key in configured_from.changed(said, says)]


def taken(in_force: Config, found: list[Difference]) -> Config:
    """`in_force` with what was found, all of it.

    Raises:
        ConfigError: one of the keys cannot be taken, or the values do not go together.
    """
    if refused := [each.key for each in found if not each.taken]:
        raise ConfigError(f"not while the run is up: {', '.join(refused)}")
    tree = msgspec.to_builtins(in_force)
    for each in found:
        section, _, name = each.key.partition(".")
        tree[section][name] = each.after
    return configuration.build(tree, "what was read again")


def beside(opened: Config, config: Config) -> Config:
    """`config`, once it is sure that it decides as the run's own does. Raises ConfigError: it does not."""
    wrong = [key for key in configured_from.changed(opened, config) if not takes(key)]
    if wrong:
        raise ConfigError(f"it would decide otherwise than the run's own: {', '.join(wrong)}")
    return config
