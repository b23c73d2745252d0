"""The run's file, read again: what it says otherwise, and what of that a run that is up can take.

Every order names the configuration its run was opened with, which stays. What is taken stands beside it from
its word on `session` on, for this process too: what is not on the log is not in force, whoever was killed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import msgspec

from api.commands import Accepted, unknown
from api.control import ControlDesk
from api.effects import Effect, Effects
from api.problems import Flaw, Problem
from api.settings import remedy
from api.voice import OutcomeUnknownError
from infra import reloads
from infra.alerts import state_file
from infra.audit.acts import record_act
from kitepilot import config as configuration
from kitepilot import configured_from, reloading
from kitepilot import events as e
from kitepilot.audit.acts import RELOAD_ASKED
from kitepilot.config import Config, ConfigError, FlagsSection, config_hash, without_passwords
from kitepilot.ports import EventLog, LogError, LogRecord
from kitepilot.reloading import Difference, Reload
from kitepilot.run import Run
from kitepilot.topics import SESSION

HEARD_WITHIN_S = 2.0
KEPT = 1_000
_LOG = logging.getLogger("kitepilot.api")


@dataclass(frozen=True)
class Asked:
    """`seen`: the hash of the file that was looked at, "" for whichever it is; `fresh`: a code was given."""

    by: str
    address: str
    reason: str
    seen: str
    fresh: bool


@dataclass(frozen=True)
class Standing:
    """What is in force since `command_id` ("": since the run was opened), and what the file said then."""

    config: Config
    said: Config | None
    command_id: str = ""
    offset: int = -1


class Reloading:
    """A listener of the view, before those who tell effects. Look-ups read single attributes."""

    def __init__(self, run: Run, log: EventLog, control: ControlDesk, effects: Effects) -> None:
        self._run, self._log, self._control, self._effects = run, log, control, effects
        self._turn = threading.Lock()  # one reload at a time
        self._heard: OrderedDict[str, int] = OrderedDict()  # command id -> offset, oldest first
        self._news = threading.Condition()
        self._standing = self._at_the_start()
        effects.waits[reloading.COMMAND] = self._awaited

    @property
    def config(self) -> Config:
        """In force now."""
        return self._standing.config

    @property
    def flags(self) -> FlagsSection:
        """In force now."""
        return self._standing.config.flags

    def hear(self, record: LogRecord, event: e.AnyEvent) -> None:
        """Take one message."""
        if isinstance(event, e.Commanded) and event.command == reloading.COMMAND:
            with self._news:
                self._take(event.command_id, record.offset)
                self._news.notify_all()

    def settle(self) -> None:
        """Nothing waits for the end of a batch."""

    def look(self) -> tuple[Config, list[Difference]]:
        """What the file says by now, and in what that is another than it said.

        Raises:
            Problem: conflict, the run was opened without a file; refused, the file is no configuration.
        """
        try:
            opened = configured_from.read(self._run.folder)
            if opened is None:
                raise Problem("conflict", "This run was opened without a configuration file.")
            standing = self._standing
            said = standing.said or configuration.build(opened.config)
            says = configuration.load(Path(opened.path))
        except ConfigError as err:
            raise Problem("refused", without_passwords(str(err))) from err
        return says, reloading.differences(standing.config, said, says)

    def make(self, asked: Asked, command_id: str) -> Accepted:
        """Take what the file says: all of it, or nothing. In a thread: it waits for the log.

        Raises:
            Problem: conflict, refused, step_up_required, unavailable, log_unreachable, outcome_unknown.
        """
        with self._turn:
            if command_id in self._heard:
                return Accepted(command_id)
            says, found = self.look()
            if asked.seen and asked.seen != config_hash(says):
                raise Problem("conflict", "The file says otherwise than when it was looked at: look again.")
            self._require_takeable(found)
            if not found:
                return self._as_it_was(asked, command_id)
            if not asked.fresh and not all(each.narrows for each in found):
                raise Problem("step_up_required", "Only a flag that is switched off asks for no fresh code.")
            return self._say(asked, says, reloading.taken(self.config, found), command_id)

    def _require_takeable(self, found: list[Difference]) -> None:
        if all(each.taken for each in found):
            return
        flaws = [Flaw(each.key, _becomes(each)) for each in found]
        raise Problem(
            "conflict",
            f"The run keeps the configuration {self._run.config_hash} that its orders name, and a file is "
            "taken whole or not at all: nothing was taken.",
            errors=flaws,
        )

    def _as_it_was(self, asked: Asked, command_id: str) -> Accepted:
        at, digest = time.time_ns(), config_hash(self.config)
        words = [f"the file says what it said: configuration {digest} stays in force"]
        self._effects.done_elsewhere(
            Effect(command_id, reloading.COMMAND, digest, asked.by, at, words, decided_at=at)
        )
        return Accepted(command_id, "here")

    def _say(self, asked: Asked, says: Config, config: Config, command_id: str) -> Accepted:
        """Written, then in the audit, then said: the word alone brings it into force."""
        try:
            since = self._log.end_offset(SESSION.name)
            wanted = Reload(msgspec.to_builtins(says), msgspec.to_builtins(config), since)
            if not reloads.keep(self._run, command_id, wanted) and reloads.said(
                self._run, self._log, command_id
            ):
                return Accepted(command_id)
            self._record(asked, config, command_id)
            by = f"{asked.by}: {asked.reason}" if asked.reason else asked.by
            self._control.reconfigure(command_id, config_hash(config), by)
        except OutcomeUnknownError as err:
            raise unknown(command_id) from err
        except LogError as err:
            raise Problem("log_unreachable", "The log does not take it: nothing was taken.") from err
        except reloads.AnotherError as err:
            raise Problem("key_reused", f"{err}.") from err
        except (ConfigError, OSError) as err:
            raise Problem("unavailable", "It cannot be kept in the run's folder: nothing was taken.") from err
        with self._news:
            self._news.wait_for(lambda: command_id in self._heard, HEARD_WITHIN_S)
        return Accepted(command_id)

    def _record(self, asked: Asked, config: Config, command_id: str) -> None:
        record_act(
            self._run.home,
            RELOAD_ASKED,
            subject=self._run.config_hash,
            run_id=self._run.run_id,
            by=f"{asked.by} from {asked.address}",
            command_id=command_id,
            in_force=config_hash(config),
            reason=asked.reason,
            config=configuration.canonical(config).decode(),
        )

    def _take(self, command_id: str, offset: int) -> None:
        self._heard.setdefault(command_id, offset)
        if len(self._heard) > KEPT:
            self._heard.popitem(last=False)
        if offset <= self._standing.offset:
            return
        try:
            self._standing = self._since(command_id, offset)
        except ConfigError as err:
            _LOG.error("%s is on the log and not taken: %s", command_id, err)

    def _since(self, command_id: str, offset: int) -> Standing:
        config, wanted = reloads.in_force(self._run, command_id), reloads.asked(self._run, command_id)
        said = configuration.build(wanted.file) if wanted else None
        return Standing(config, said, command_id, offset)

    def _at_the_start(self) -> Standing:
        """What was in force when a process before this one ended. What cannot be read permits nothing."""
        try:
            command_id, offset = reloads.last_said(self._run, self._log)
            return self._since(command_id, offset) if command_id else Standing(self._run.config, None)
        except ConfigError as err:
            _LOG.error("every flag is off: what is in force cannot be read: %s", err)
            closed = {f"flags.{name}": False for name in FlagsSection.__struct_fields__}
            return Standing(configuration.override(self._run.config, **closed), None)

    def _awaited(self, effect: Effect) -> str:
        """Who has not taken it yet, "" when all have. Alerts that never ran take what they find."""
        try:
            kept = state_file.read(self._run.folder)
        except (OSError, msgspec.DecodeError):
            return "alerts"
        if kept is None or self._heard.get(kept.configured, -1) >= self._heard.get(effect.command_id, 0):
            return ""
        return "alerts"


def _becomes(found: Difference) -> str:
    return "could be taken now, by itself" if found.taken else remedy(found.key)
