"""`down` on a live run: flat first; what is not seen flat is not stopped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.eventlog import open_log
from kitepilot import config as configuration
from kitepilot.cli.closing import close_day
from kitepilot.cli.flatten import Patience, flatten, is_flat
from kitepilot.cli.supervise import SupervisionError, Supervisor
from kitepilot.config import Config
from kitepilot.events import Commanded, DecisionParameters, decode
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import TOPICS

ASKED = 1_795_150_000_000_000_000  # 2026-11-20 10:16:40 IST
CLOSE = ASKED + 5 * 3600 * 10**9


def status(
    at: int, positions: int = 0, working: int = 0, lag: dict[str, int] | None = None
) -> dict[str, Any]:
    utc = datetime.fromtimestamp(at / 1e9, UTC).isoformat(timespec="milliseconds") if at else None
    return {
        "open_positions": positions,
        "working_orders": working,
        "session_time": {"utc": utc, "ist": utc},
        "lag": {"session": 0, "decisions": 0} if lag is None else lag,
    }


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    run = Run("live-20261120-0001", tmp_path / "runs" / "live-20261120-0001", Config())
    run.folder.mkdir(parents=True)
    opened = open_log(run)
    opened.create_topics(TOPICS)
    yield opened
    opened.close()


def commands(log: EventLog) -> list[Commanded]:
    reader = log.reader({("session", 0): 0})
    try:
        return [event for r in reader.poll(100) if isinstance(event := decode(r.value), Commanded)]
    finally:
        reader.close()


def hasty(within_s: float = 5.0) -> Patience:
    """Waiting moves the clock and nothing else."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    return Patience(within_s, sleep, lambda: clock[0])


def test_it_waits_until_the_positions_are_gone_and_no_order_works(log: EventLog) -> None:
    seen = [
        status(ASKED - 10**9),  # flat, but before it was asked
        status(ASKED + 10**9, positions=2, working=2),
        status(ASKED + 2 * 10**9, working=1),
        status(ASKED + 3 * 10**9),
    ]
    answers = iter(seen)
    flatten(log, lambda: next(answers), CLOSE, ASKED, hasty())
    assert next(answers, None) is None
    assert [said.command for said in commands(log)] == ["flatten", "halt"]


def test_what_is_not_seen_flat_is_not_stopped(log: EventLog) -> None:
    with pytest.raises(SupervisionError, match=r"1 positions open, 0 orders working.*--leave-positions"):
        flatten(log, lambda: status(ASKED + 10**9, positions=1), CLOSE, ASKED, hasty())
    with pytest.raises(SupervisionError, match=r"does not answer \(KeyError\)"):
        flatten(log, dict, CLOSE, ASKED, hasty())


def test_saying_it_again_is_heard_again(log: EventLog) -> None:
    """Consumers drop a number they have seen of a producer: the second time needs new ones."""
    for now in (ASKED, ASKED + 10**9):
        flatten(log, lambda now=now: status(now + 10**9), CLOSE, now, hasty())
    said = commands(log)
    assert [c.command for c in said] == ["flatten", "halt"] * 2
    assert len({(c.source, c.seq) for c in said}) == 4
    assert len({c.command_id for c in said}) == 4


@given(
    at=st.sampled_from([0, ASKED - 10**9, ASKED + 10**9, CLOSE, CLOSE + 10**9]),
    positions=st.integers(min_value=0, max_value=2),
    working=st.integers(min_value=0, max_value=2),
)
def test_flat_is_nothing_open_as_of_now_or_of_the_sessions_end(at: int, positions: int, working: int) -> None:
    known = at == 0 or at > ASKED  # never marked: never decided
    assert is_flat(status(at, positions, working), CLOSE, ASKED) == (known and not positions and not working)
    for unread in ({}, {"session": 0, "decisions": 1}):  # the API has just started
        assert not is_flat(status(0, lag=unread), CLOSE, ASKED)
    if not positions and not working:
        assert is_flat(status(CLOSE), CLOSE, CLOSE + 3600 * 10**9)  # asked in the evening


def test_a_day_that_cannot_be_concluded_is_one_clear_line_and_everything_is_stopped(tmp_path: Path) -> None:
    """Nobody supervises this home any more, and no store answers."""
    config = configuration.override(Config(), mode="live")
    run = Run("live-20261120-0001", tmp_path / "runs" / "live-20261120-0001", config)
    run.folder.mkdir(parents=True)
    open_log(run).create_topics(TOPICS)
    parameters = DecisionParameters(
        session_date="2026-11-20",
        open_at=ASKED,
        close_at=CLOSE,
        instruments=(),
        profile=config.risk.profile(),
        strategies=(),
    )
    (run.folder / "parameters.json").write_bytes(msgspec.json.encode(parameters))
    with pytest.raises(SupervisionError, match=r"live-20261120-0001 is stopped and NOT reconciled: .*Kite's"):
        close_day(run, Supervisor(tmp_path), leave_positions=True)
