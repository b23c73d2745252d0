"""The owner's words: flat by the decisions, by the watchdog where they are dead; resume only when flat."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker_adapter.watchdog.journal import Journal
from infra.eventlog import open_log
from infra.fence import Fence, Raised, asked
from kitepilot import events as e
from kitepilot.cli import owner
from kitepilot.cli.supervise import SupervisionError
from kitepilot.config import Config, ConfigError
from kitepilot.orders.intents import intent_id, tag
from kitepilot.ports import EventLog, LogError, OrderReport, PositionReport
from kitepilot.run import Run
from kitepilot.topics import DECISIONS, SESSION, TOPICS

QUICK = owner.Patience(answer_s=1.0, flat_s=20.0, fence_s=20.0)
said: list[str] = []


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = tmp_path / "runs" / "paper-20261120-0001"
    folder.mkdir(parents=True)
    (folder / "start_offsets.json").write_text(json.dumps({t.name: 0 for t in TOPICS}))
    made = Run(folder.name, folder, Config())
    log = open_log(made)
    log.create_topics(TOPICS)
    log.close()
    return made


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Somebody else's process, as a thread."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def commands(log: EventLog) -> list[e.Commanded]:
    reader = log.reader({(SESSION.name, 0): 0})
    found = [e.decode(record.value) for record in reader.poll(1_000)]
    reader.close()
    return [each for each in found if isinstance(each, e.Commanded)]


def account(number: int, positions: int) -> e.AccountMarked:
    return e.AccountMarked(
        source="decisions", seq=number, event_at=number, run_id="r", state=e.TradingState.REDUCING,
        realised_paise=0, unrealised_paise=0, charges_paise=0, open_positions=positions,
        gross_exposure_paise=0, working_orders=0, oldest_working_at=0, orders=0, fills=0,
    )  # fmt: skip


def decisions(run: Run, open_at_first: int) -> Callable[[threading.Event], None]:
    """Obey what is on `session`, then close one position with each mark."""

    def live(over: threading.Event) -> None:
        log = open_log(run)
        try:
            while not commands(log) and not over.wait(0.02):
                pass
            (command,) = commands(log)
            obeyed = e.StateChanged(
                source="decisions", seq=0, event_at=0, run_id="r", previous=e.TradingState.ACTIVE,
                state=e.TradingState.REDUCING, reason=f"{command.command} by {command.by}",
            )  # fmt: skip
            log.append(DECISIONS.name, [e.encode(obeyed, emitted_at=0)])
            for left in range(open_at_first, -1, -1):
                log.append(DECISIONS.name, [e.encode(account(10 - left, left), emitted_at=0)])
        finally:
            log.close()

    return live


def watchdog(run: Run) -> Callable[[threading.Event], None]:
    """Grant a wish: the fence first, then word that all is flat."""

    def live(over: threading.Event) -> None:
        while (wish := asked(run.folder)) is None:
            if over.wait(0.02):
                return
        journal = Journal(run.folder, run.run_id)
        Fence(run.folder).up(Raised(at=1, reason=wish.reason, by=wish.by))
        journal.write("flat", 2, 2)
        journal.close()

    return live


def test_a_flatten_waits_until_the_decisions_have_closed_everything(run: Run) -> None:
    with beside(decisions(run, open_at_first=3)):
        by = owner.flatten(run, open_log, said.append, now=False, reason="", patience=QUICK)
    assert by == "the decisions" and not Fence(run.folder).stands() and asked(run.folder) is None


def test_decisions_that_do_not_answer_are_passed_by(run: Run) -> None:
    with beside(watchdog(run)):
        by = owner.flatten(run, open_log, said.append, now=False, reason="enough", patience=QUICK)
    assert by == "the watchdog"
    raised = Fence(run.folder).raised()
    assert raised is not None and raised.reason == "enough"


def test_a_log_that_is_gone_is_passed_by_at_once(run: Run) -> None:
    def gone(_: Run) -> EventLog:
        raise LogError("the broker does not answer")

    with beside(watchdog(run)):
        by = owner.flatten(run, gone, said.append, now=False, reason="enough", patience=QUICK)
    assert by == "the watchdog"


def test_now_says_nothing_to_the_decisions(run: Run) -> None:
    with beside(watchdog(run)):
        by = owner.flatten(run, open_log, said.append, now=True, reason="enough", patience=QUICK)
    log = open_log(run)
    assert by == "the watchdog" and commands(log) == []
    log.close()


def test_a_watchdog_that_does_not_answer_is_one_line_that_says_what_to_do(run: Run) -> None:
    patience = owner.Patience(answer_s=0.1, flat_s=0.2, fence_s=0.2)
    with pytest.raises(SupervisionError, match="use Kite"):
        owner.flatten(run, open_log, said.append, now=True, reason="", patience=patience)


class Books:
    """A broker with one order of ours, and as many shares as it is told."""

    def __init__(self, *held: int) -> None:
        self.held = list(held)

    def trades(self) -> list[Any]:
        return []

    def orders(self) -> list[OrderReport]:
        name = tag(intent_id("r", "s", 1, 2, 3, e.Purpose.ENTRY))
        filled = self.held[0]
        return [
            OrderReport(
                "1", name, "INFY", 1, e.Side.BUY, 9, filled, 0, e.OrderStatus.FILLED, "CANCELLED", "", 1
            )
        ]

    def positions(self) -> list[PositionReport]:
        quantity = self.held.pop(0) if len(self.held) > 1 else self.held[0]
        return [PositionReport("INFY", 1, quantity)]


@pytest.mark.parametrize("held", [(3,), (0, 3)])
def test_the_fence_is_not_lowered_over_a_position(
    run: Run, held: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "BETWEEN_LOOKS_S", 0.0)
    Fence(run.folder).up(Raised(at=1, reason="silence", by="watchdog"))
    with pytest.raises(SupervisionError, match="3 INFY"):
        owner.resume(run, Books(*held), open_log, said.append)  # type: ignore[arg-type]
    assert Fence(run.folder).stands()


def test_over_a_flat_account_the_fence_falls_and_the_decisions_may_trade_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "BETWEEN_LOOKS_S", 0.0)
    Fence(run.folder).up(Raised(at=1, reason="silence", by="watchdog"))
    assert owner.resume(run, Books(0), open_log, said.append)  # type: ignore[arg-type]
    assert not Fence(run.folder).stands()
    log = open_log(run)
    assert [each.command for each in commands(log)] == ["resume"]
    log.close()


def test_without_a_run_there_is_nobody_to_speak_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run in"):
        owner.running(tmp_path)
