"""A live day's end: flat, the flows stopped, the day proven as a paper day is, and only then the stores."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from broker_adapter.kite.client import KiteBroker
from kitepilot.cli import after_close, outcome, own_api, reconcile, sealing
from kitepilot.cli.flatten import flatten
from kitepilot.cli.paper import ARCHIVE_WITHIN_S, PRODUCERS
from kitepilot.cli.supervise import SupervisionError, Supervisor
from kitepilot.cli.venue import BrokerVenue
from kitepilot.cli.watch import speaker, stderr_console
from kitepilot.ports import EventLog, LogError
from kitepilot.run import Run
from kitepilot.topics import TOPICS

Say = Callable[[str], None]


def close_day(run: Run, supervisor: Supervisor, *, leave_positions: bool) -> dict[str, Any]:
    """Flatten (unless told not to), stop everything in order, conclude in between; the result object.

    Raises:
        SupervisionError: not seen flat, and everything runs on, halted; or everything is stopped, and one of
            the stores could not be asked, so the day is not concluded.
    """
    from infra.eventlog import open_log

    say, log = speaker(stderr_console()), open_log(run)
    try:
        parameters, now = run.parameters(), time.time_ns()
        if not leave_positions:
            say(f"{run.run_id}: flattening")
            flatten(log, partial(own_api.status, run.home, run.config), parameters.close_at, now)
        try:
            result = _conclude(run, supervisor, log, say, interrupted=now < parameters.close_at)
        finally:
            say("stopping everything")
            supervisor.shutdown()
        after_close.start(run, result, say)
        return result
    finally:
        log.close()


def close_paper(run: Run, supervisor: Supervisor) -> None:
    """Stop a paper run that is not followed to its end: its audit is sealed while the stores still run."""
    from infra.eventlog import open_log

    say, log = speaker(stderr_console()), open_log(run)
    try:
        supervisor.stop_processes(PRODUCERS)
        say(f"audit: {sealing.seal_stopped(run, log)['line']}")
    finally:
        supervisor.shutdown()
        log.close()
    after_close.start(run, {"interrupted": True}, say)  # whether it reached its close is not known here


def _conclude(
    run: Run, supervisor: Supervisor, log: EventLog, say: Say, *, interrupted: bool
) -> dict[str, Any]:
    say("stopping the flows; then comparing all books with the broker's")
    with _stores_asked(run):
        supervisor.stop_processes(PRODUCERS)
        try:
            outcome.await_archive(run, {t.name: log.end_offset(t.name) for t in TOPICS}, ARCHIVE_WITHIN_S)
        except SupervisionError as err:
            say(f"{err}")  # what is missing there is a difference by name
        venue = BrokerVenue(run, KiteBroker(run), partial(reconcile.earlier_tags, run))
        return outcome.conclude(run, log, venue, interrupted=interrupted)


@contextlib.contextmanager
def _stores_asked(run: Run) -> Iterator[None]:
    """A store or supervisor that does not answer leaves the day unproven: one line, not a stack trace."""
    from clickhouse_connect.driver.exceptions import ClickHouseError
    from sqlalchemy.exc import SQLAlchemyError

    from infra.clickhouse.client import ClickHouseUnreachableError
    from infra.postgres.embedded import PostgresError

    try:
        yield
    except (
        *(LogError, SQLAlchemyError, PostgresError, ClickHouseError, ClickHouseUnreachableError, OSError),
    ) as err:
        why = (str(err).splitlines() or [type(err).__name__])[0]
        raise SupervisionError(
            f"{run.run_id} is stopped and NOT reconciled: {why}; compare its orders with Kite's "
            f"(logs in {run.folder / 'logs'})"
        ) from err
