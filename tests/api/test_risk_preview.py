"""A change of the limits is told before it is made: what it says, and what it may not."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from kitepilot import events as e
from kitepilot.config import Config
from kitepilot.events import DecisionParameters
from kitepilot.ports import EventLog
from kitepilot.topics import SESSION

SignedIn = Callable[..., TestClient[Litestar]]
AT = 1_795_150_800_000_000_000  # 2026-11-20 10:30:00 IST
WITHIN = 10_000  # questions
PATH = "/api/v1/risk/preview"


@pytest.fixture
def begun(signed_in: SignedIn, log: EventLog) -> TestClient[Litestar]:
    """A run that has begun with the configuration's own profile."""
    profile = msgspec.structs.replace(Config().risk.profile(), version=1)
    started = e.RunStarted(
        source="runner",
        seq=0,
        event_at=AT,
        run_id="paper-20261120-0001",
        mode="paper",
        config_hash="c0ffee",
        parameters=DecisionParameters(
            session_date="2026-11-20",
            open_at=AT,
            close_at=AT,
            instruments=(),
            profile=profile,
            strategies=("rule",),
        ),
    )
    log.append(SESSION.name, [e.encode(started, emitted_at=AT)])
    client = signed_in("service")
    for _ in range(WITHIN):
        if client.post(PATH, json={}).status_code == 200:
            return client
    raise AssertionError("the run's start was not read")


def test_before_the_run_there_is_nothing_to_change(signed_in: SignedIn) -> None:
    told = signed_in("service").post(PATH, json={})
    assert (told.status_code, told.json()["code"]) == (409, "conflict")


def test_a_change_is_told_in_the_owners_words_with_what_it_needs(begun: TestClient[Litestar]) -> None:
    tighter = begun.post(PATH, json={"changes": ["open_positions=3", "blocked=INFY"]}).json()
    assert tighter["changes"] == ["open_positions 20 -> 3", "blocked none named -> INFY"]
    assert (tighter["raised"], tighter["refusal"]) == (False, "")
    (limit,) = [each for each in tighter["limits"] if each["name"] == "open_positions"]
    assert (limit["present"], limit["wanted"], limit["ceiling"]) == (20, 3, 20)


def test_what_the_configuration_does_not_allow_is_said_before_it_is_tried(
    begun: TestClient[Litestar],
) -> None:
    looser = begun.post(PATH, json={"changes": ["daily_loss=1,00,000"]}).json()
    assert looser["raised"]
    assert looser["refusal"].startswith("looser than the configuration: daily_loss")


@pytest.mark.parametrize(
    ("word", "raised"),
    [("open_positions=3", False), ("blocked=INFY", False), ("sizing.notional_rupees=50000", True)],
)
def test_a_fresh_code_is_announced_for_just_what_asks_for_one(
    begun: TestClient[Litestar], word: str, raised: bool
) -> None:
    """Another sizing counts as looser: nobody can say that it opens less. The change itself judges so."""
    assert begun.post(PATH, json={"changes": [word]}).json()["raised"] is raised


@pytest.mark.parametrize("word", ["open_position=3", "daily_loss=much", "what", "order_quantity=1.5"])
def test_words_that_are_no_change_are_refused_in_one_line(begun: TestClient[Litestar], word: str) -> None:
    told = begun.post(PATH, json={"changes": [word]})
    assert (told.status_code, told.json()["code"]) == (422, "refused")
    assert told.json()["detail"]
