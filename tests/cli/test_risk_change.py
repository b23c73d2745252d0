"""A change of the limits reaches the run that is up: sent on its log, taken or refused by its decisions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from infra.eventlog import open_log
from kitepilot.cli import risk_change
from kitepilot.cli.background import state_lines
from kitepilot.cli.supervise import SupervisionError
from kitepilot.config import Config
from kitepilot.events import DecisionParameters, RiskProfile, RunStarted, encode
from kitepilot.market.calendar import announced_at
from kitepilot.ports import EventLog
from kitepilot.risk.admission import admit
from kitepilot.risk.decide import decide
from kitepilot.risk.state import DeskState
from kitepilot.risk.states import RULES, Rule
from kitepilot.risk.versions import numbered
from kitepilot.run import Run
from kitepilot.topics import TOPICS

CONFIG = Config()
AT = announced_at(CONFIG.session.date)


class Decisions:
    """The fold behind a log, on a thread, as the decision process runs it."""

    def __init__(self, run: Run, log: EventLog) -> None:
        self._run, self._log = run, log
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow)

    def __enter__(self) -> Decisions:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        state: DeskState | None = None
        reader = self._log.reader({("session", 0): 0})
        while not self._over.is_set():
            for record in reader.poll(10, 0.05):
                state, decided = decide(state, admit(record.value))
                self._log.append("decisions", [encode(each) for each in decided])
        reader.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run("paper-20261120-0001", tmp_path / "runs" / "paper-20261120-0001", CONFIG)
    run.folder.mkdir(parents=True)
    log = open_log(run)
    log.create_topics(TOPICS)
    started = RunStarted(
        source="cli",
        seq=0,
        event_at=AT,
        run_id=run.run_id,
        mode="paper",
        config_hash="c",
        parameters=DecisionParameters(
            session_date=CONFIG.session.date,
            open_at=AT,
            close_at=AT,
            instruments=(),
            profile=CONFIG.risk.profile(),
            strategies=(),
        ),
    )
    log.append("session", [encode(started)])
    with Decisions(run, log):
        yield run
    log.close()


def version(number: int, **limits: int) -> RiskProfile:
    profile = numbered(CONFIG.risk.profile(), number)
    return msgspec.structs.replace(profile, limits=msgspec.structs.replace(profile.limits, **limits))


def test_the_run_says_that_it_took_the_version(run: Run) -> None:
    told = risk_change.tell(run, version(2, open_positions=8), "asha", "thin market")
    assert told == "risk profile 2 in force: thin market; by asha"


def test_a_version_that_the_run_refuses_is_an_error_with_its_reason(run: Run) -> None:
    with pytest.raises(
        SupervisionError, match=r"refused by .*open_positions 21 \(the configuration allows 20\)"
    ):
        risk_change.tell(run, version(2, open_positions=21), "asha", "more")


@pytest.mark.parametrize("rule", RULES, ids=lambda each: each.name)
def test_the_status_names_the_rule_and_what_to_do(rule: Rule) -> None:
    account = {
        "trading_state": rule.lowers_to.value,
        "trading_state_reason": f"{rule.name}: why",
        "trading_state_rule": rule.name,
    }
    assert state_lines(account) == [
        f"trading: {rule.lowers_to.value} ({rule.name}: why)",
        f"  what to do: {rule.to_do}",
    ]


def test_an_active_day_has_nothing_to_do() -> None:
    account = {"trading_state": "active", "trading_state_reason": "resume by cli"}
    assert state_lines(account) == ["trading: active (resume by cli)"]
