"""The owner's words to a run that trades: flatten, halt, reduce, resume; each has a way that needs no other.

`flatten` goes through the decisions, and through the watchdog when they do not answer or the log does not.
`resume` lowers the watchdog's fence, and only over an account that the broker twice says is flat.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot.cli.supervise import SupervisionError, Supervisor
from kitepilot.config import ConfigError
from kitepilot.ports import Broker, EventLog, LogError
from kitepilot.risk import liquidation
from kitepilot.run import Run
from kitepilot.topics import DECISIONS, SESSION

ANSWER_WITHIN_S = 10.0  # from the decisions, before the watchdog is asked
FLAT_WITHIN_S = 60.0
FENCE_WITHIN_S = 10.0
LOOK_EVERY_S = 0.1
BETWEEN_LOOKS_S = 1.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Patience:
    """How long to wait for each answer, in machine seconds."""

    answer_s: float = ANSWER_WITHIN_S
    flat_s: float = FLAT_WITHIN_S
    fence_s: float = FENCE_WITHIN_S


def running(home: Path) -> Run:
    """The newest run of this home, announced or in containers.

    Raises:
        ConfigError: there is none.
    """
    folder = Supervisor(home).run_folder() or home / "runs" / "current"
    if not (folder / "parameters.json").exists():
        raise ConfigError(f"no run in {home} that trades: `kitepilot status` shows what runs")
    folder = folder.resolve()
    return Run(folder.name, folder, configuration.load(folder / "config.yaml"))


def say(log: EventLog, name: str) -> int:
    """Append one command of the owner's to `session`; returns the machine time (ns) it was said at."""
    now = time.time_ns()
    said = e.Commanded(
        source=f"owner-{os.getpid()}-{now}",
        seq=0,
        event_at=now,
        command_id=f"owner-{os.getpid()}-{now}-{name}",
        command=name,
        by=getpass.getuser(),
    )
    log.append(SESSION.name, [e.encode(said, emitted_at=now)])
    return now


def command(run: Run, name: str, opener: Callable[[Run], EventLog]) -> None:
    """Say a word to the decisions. Raises `LogError`."""
    with _opened(run, opener) as log:
        say(log, name)


def flatten(
    run: Run,
    opener: Callable[[Run], EventLog],
    tell: Say,
    *,
    now: bool,
    reason: str,
    patience: Patience | None = None,
) -> str:
    """Flat by the decisions, or by the watchdog where they do not answer or `now` is asked; says by whom.

    Raises:
        SupervisionError: nobody is seen to have closed everything; says what to do.
    """
    wait = patience or Patience()
    if not now:
        try:
            if _through_decisions(run, opener, tell, wait):
                return "the decisions"
            tell(f"the decisions did not answer within {wait.answer_s:.0f} s: asking the watchdog")
        except (LogError, OSError) as err:
            tell(f"the log cannot be reached ({err}): asking the watchdog")
    _through_watchdog(run, tell, wait, reason)
    return "the watchdog"


def resume(run: Run, broker: Broker, opener: Callable[[Run], EventLog], tell: Say) -> bool:
    """Lower the fence if it stands, then let the decisions trade again; whether a fence was lowered.

    Raises:
        SupervisionError: the fence stands and the account is not flat. BrokerReadError: nobody can say.
        LogError: the fence is down and the decisions could not be told.
    """
    from infra.fence import Fence

    fence = Fence(run.folder)
    lowered = False
    if fence.stands():
        for look in range(2):
            time.sleep(BETWEEN_LOOKS_S * look)
            _require_flat(broker)
        lowered = fence.down()
        tell("the account is flat by the broker's books; the fence is down")
    command(run, "resume", opener)
    return lowered


def _require_flat(broker: Broker) -> None:
    trades, orders = broker.trades(), broker.orders()
    stakes = liquidation.stakes(orders, trades, broker.positions())
    open_ = [f"{stake.quantity} {stake.tradingsymbol}" for stake in stakes if stake.quantity]
    open_ += [f"order {row.order_id} ({row.venue_status})" for row in liquidation.live_of_ours(orders)]
    if open_:
        raise SupervisionError(
            f"not resumed: the broker's books show {', '.join(open_[:5])}; the watchdog closes what is ours "
            "while its fence stands: wait, or close it by hand"
        )


def _through_decisions(run: Run, opener: Callable[[Run], EventLog], tell: Say, wait: Patience) -> bool:
    """Whether the decisions answered and everything was closed; False when they said nothing at all.

    Raises:
        SupervisionError: they answered, and positions stand.
    """
    with _opened(run, opener) as log:
        reader = log.reader({(DECISIONS.name, 0): log.end_offset(DECISIONS.name)})
        say(log, "flatten")
        tell("said to the decisions; waiting until nothing is open")
        began, answered, seen = time.monotonic(), False, "no account yet"
        try:
            while (waited := time.monotonic() - began) < wait.flat_s:
                if not answered and waited > wait.answer_s:
                    return False
                for record in reader.poll(2_000):
                    event = _decoded(record.value)
                    answered = answered or _obeyed(event)
                    if answered and isinstance(event, e.AccountMarked):
                        if not event.open_positions and not event.working_orders:
                            return True
                        seen = f"{event.open_positions} positions, {event.working_orders} orders working"
                time.sleep(LOOK_EVERY_S)
        finally:
            reader.close()
    raise SupervisionError(
        f"not seen flat within {wait.flat_s:.0f} s ({seen}): the decisions go on trying; look at Kite's "
        "positions, or `kitepilot flatten --now`"
    )


def _through_watchdog(run: Run, tell: Say, wait: Patience, reason: str) -> None:
    """Leave a wish, wait for the fence and then for the watchdog's word that all is flat."""
    from broker_adapter.watchdog import journal
    from infra.fence import Fence, Wish, ask

    fence, at = Fence(run.folder), time.time_ns()
    before = len(journal.read(run.folder / journal.FILE))
    stood = fence.stands()
    ask(run.folder, Wish(command_id=f"owner-{at}", by=getpass.getuser(), reason=reason, at=at))
    tell("asked the watchdog; it trades alone from here")
    _await(fence.stands, wait.fence_s, "the watchdog does not answer: `kitepilot logs watchdog`; use Kite")
    lines = journal.read

    def flat() -> bool:
        found = lines(run.folder / journal.FILE)
        kinds = [line.kind for line in (found if stood else found[before:])]
        return "flat" in kinds and "sending" not in kinds[len(kinds) - kinds[::-1].index("flat") :]

    _await(flat, wait.flat_s, "the watchdog has not seen the account flat: look at Kite's positions")


def _await(condition: Callable[[], bool], within_s: float, otherwise: str) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise SupervisionError(f"{otherwise} ({within_s:.0f} s)")
        time.sleep(LOOK_EVERY_S)


def _obeyed(event: e.AnyEvent | None) -> bool:
    return isinstance(event, e.StateChanged) and event.reason.startswith("flatten by")


def _decoded(value: bytes) -> e.AnyEvent | None:
    try:
        return e.decode(value)
    except e.UndecodableError:
        return None


@contextlib.contextmanager
def _opened(run: Run, opener: Callable[[Run], EventLog]) -> Iterator[EventLog]:
    log = opener(run)
    try:
        yield log
    finally:
        log.close()
