"""The owner's words about strategies in the tick partition of the run that is up: on, off, another text."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kitepilot.cli import risk_change
from kitepilot.cli.own_strategies import path_of, source_of
from kitepilot.cli.supervise import SupervisionError
from kitepilot.config import ConfigError
from kitepilot.kernels.shard import FEATURE_NAMES
from kitepilot.market.ticks import KIND_STRATEGY, own_record
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.strategies.arriving import texts_of
from kitepilot.strategies.own import digest
from kitepilot.strategies.plugins import PluginError, make_strategy
from kitepilot.topics import DECISIONS, TICKS

LOOK_EVERY_S = 1.0


def switch(home: Path, name: str, verb: str) -> str:
    """`on` or `off`; the run's own word for it.

    Raises:
        SupervisionError: no run is up, or it does not answer. ConfigError: not one of its strategies.
    """
    run = _running(home)
    _require_among(run, name)
    return _told(run, name, [f"{verb} {name}"])


def reload(home: Path, name: str) -> str:
    """Go on with the text that the file has now.

    Raises:
        As `switch`; ConfigError also: there is no such file, or it is no strategy.
    """
    run = _running(home)
    _require_among(run, name)
    return _told(run, name, texts_of(name, usable(home, run, name)))


def usable(home: Path, run: Run, name: str) -> str:
    """The file's text, after it was made into a strategy once. Raises `ConfigError`."""
    source = source_of(home, name)
    if source is None:
        raise ConfigError(f"{path_of(home, name)} is not there; an installed one changes with its package")
    try:
        make_strategy(name, run.config.strategies.parameters.get(name, {}), FEATURE_NAMES, source)
    except PluginError as err:
        raise ConfigError(f"{err}; the run goes on with the text it has") from err
    return source


def say(log: EventLog, texts: Sequence[str]) -> None:
    """One message, so that all its records have one place in the order."""
    now = time.time_ns()
    log.append(TICKS.name, [b"".join(own_record(KIND_STRATEGY, 0, now, text) for text in texts)])


class HotReload:
    """Called in the loop of a paper day: says it when the file of one of its strategies has changed."""

    def __init__(
        self, run: Run, notice: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._run = run
        self._notice = notice
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._seen = {name: digest(text) for name, text in run.config.strategies.sources.items()}

    def __call__(self, log: EventLog) -> None:
        """Look once a second; a text that is no strategy is told once and not taken.

        One that is saved while `flags.strategy_hot_reload` is off waits for the next.
        """
        if self._monotonic() - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = self._monotonic()
        for name in self._seen:
            self._look_at(name, log)

    def _look_at(self, name: str, log: EventLog) -> None:
        try:
            source = source_of(self._run.home, name)
            if source is None or digest(source) == self._seen[name]:
                return
            self._seen[name] = digest(source)
            if not self._hot(log):
                return
            say(log, texts_of(name, usable(self._run.home, self._run, name)))
            self._notice(f"strategy {name}: the market goes on with the text saved just now")
        except ConfigError as err:
            self._notice(f"strategy {name} is not taken: {err}")

    def _hot(self, log: EventLog) -> bool:
        """The flag as it is in force now. Raises ConfigError, LogError."""
        from infra import reloads

        command_id, _ = reloads.last_said(self._run, log)
        return reloads.in_force(self._run, command_id).flags.strategy_hot_reload


def _running(home: Path) -> Run:
    run = risk_change.running(home)
    if run is None:
        raise SupervisionError("no run is up: the next one begins with the file as it is then")
    return run


def _require_among(run: Run, name: str) -> None:
    enabled = run.config.strategies.enabled
    if name not in enabled:
        raise ConfigError(f"{name} is not among the strategies of {run.run_id}: {', '.join(enabled)}")


def _told(run: Run, name: str, texts: Sequence[str]) -> str:
    from infra.eventlog import open_log

    log = open_log(run)
    try:
        since = log.end_offset(DECISIONS.name)
        say(log, texts)
        answer = risk_change.heard(log, since, run.run_id, f"strategy {name} is ")
    finally:
        log.close()
    if not answer:
        raise SupervisionError(
            f"{run.run_id} was told and has not answered within {risk_change.TAKEN_WITHIN_S:.0f} s: "
            "see `kitepilot logs market`"
        )
    return f"{run.run_id}: {answer}"
