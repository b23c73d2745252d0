"""The day line by line: in the order in which it happened, filtered, and the whole of each decision."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from served import AT

from api.timeline import Line, Timeline
from kitepilot import events as e
from kitepilot.events import Purpose, Side, TradingState
from kitepilot.ports import EventLog, LogRecord
from kitepilot.topics import DECISIONS, SESSION

SignedIn = Callable[..., TestClient[Litestar]]
S = 1_000_000_000
HEAD: dict[str, Any] = {"source": "t", "run_id": "paper-20261120-0001"}


def signal(number: int, at: int = AT) -> e.SignalRaised:
    return e.SignalRaised(
        source="market-0", seq=number, event_at=at, signal_id=f"S{number}", strategy="rule", token=257,
        tradingsymbol="ALPHA", side=Side.BUY, strength=0.5, interval_s=1, bar_close_at=at, horizon_s=300,
        stop_bps=50, take_profit_bps=80, last_paise=100_000, bid_paise=99_995, ask_paise=100_005,
        features={"vwap_distance": -12.5, "warming": float("nan")}, scores={}, received_at=7,
    )  # fmt: skip


def verdict(number: int, denial: str = "", at: int = AT) -> e.Verdict:
    intent_id = "" if denial else f"I{number}"
    check = e.Check(code="open_positions", passed=not denial, observed=3.0, limit=2.0 if denial else 20.0)
    return e.Verdict(
        **HEAD, seq=number, event_at=at, verdict_id=f"V{number}", signal_id=f"S{number}", strategy="rule",
        token=257, tradingsymbol="ALPHA", purpose=Purpose.ENTRY, side=Side.BUY, quantity=10,
        limit_price_paise=100_005, approved=not denial, denial=denial, intent_id=intent_id,
        state=TradingState.ACTIVE, checks=(check,), profile_version=1,
    )  # fmt: skip


def note(number: int, reason: str, at: int = AT) -> e.StateChanged:
    halted = TradingState.HALTED
    return e.StateChanged(**HEAD, seq=number, event_at=at, previous=halted, state=halted, reason=reason)


def record(topic: str, offset: int) -> LogRecord:
    return LogRecord(topic=topic, partition=0, offset=offset, key=b"", value=b"", appended_at=0)


def lines(timeline: Timeline, **chosen: Any) -> list[Line]:
    return [line for _, line in timeline.newest(**chosen)]


def test_lines_stand_in_the_order_of_the_day_however_the_topics_were_read() -> None:
    told = [
        (record(topic.name, offset), event)
        for offset in range(20)
        for topic, event in (
            (SESSION, signal(offset, AT + offset * S)),
            (DECISIONS, verdict(offset, at=AT + offset * S)),
        )
    ]
    shuffled = list(told)
    random.Random(7).shuffle(shuffled)
    found = []
    for order in (told, shuffled):
        timeline = Timeline()
        for each in order:
            timeline.hear(*each)
        found.append([line.id for line in lines(timeline)])
        assert [line.kind for line in lines(timeline)] == ["verdict", "signal"] * 20
    assert found[0] == found[1]


def test_what_is_kept_is_bounded() -> None:
    timeline = Timeline(kept=5)
    for offset in range(50):
        timeline.hear(record(SESSION.name, offset), signal(offset, AT + offset))
    assert len(timeline) == 5
    assert [line.body["signal_id"] for line in lines(timeline)] == ["S49", "S48", "S47", "S46", "S45"]


@pytest.fixture
def told_day(signed_in: SignedIn, log: EventLog) -> TestClient[Litestar]:
    """Two wishes, one refused, and a note; the reader who asks."""
    wishes = [signal(1), signal(2, AT + S)]
    said = [verdict(1), verdict(2, "open_positions", AT + S), note(3, "alarm test", AT + 2 * S)]
    log.append(SESSION.name, [e.encode(each, emitted_at=AT) for each in wishes])
    log.append(DECISIONS.name, [e.encode(each, emitted_at=AT) for each in said])
    client = signed_in("reader")
    read_until(client, 5)
    return client


def read_until(client: TestClient[Litestar], count: int) -> None:
    for _ in range(10_000):
        if len(client.get("/api/v1/timeline").json()["items"]) >= count:
            return
    raise AssertionError("the log's tail was not read")


def test_the_day_is_filtered_and_read_on_by_cursor(told_day: TestClient[Litestar]) -> None:
    kinds = [line["kind"] for line in told_day.get("/api/v1/timeline").json()["items"]]
    assert kinds == ["note", "verdict", "signal", "verdict", "signal"]
    first = told_day.get("/api/v1/timeline", params={"limit": 2}).json()
    rest = told_day.get("/api/v1/timeline", params={"cursor": first["next"]}).json()
    assert [line["kind"] for line in first["items"] + rest["items"]] == kinds
    assert rest["next"] is None
    refused = told_day.get("/api/v1/timeline", params={"refused": True}).json()["items"]
    assert [line["body"]["denial"] for line in refused] == ["open_positions"]
    notes = told_day.get("/api/v1/timeline", params={"kind": ["note", "alert"]}).json()["items"]
    assert [line["body"]["reason"] for line in notes] == ["alarm test"]
    assert not told_day.get("/api/v1/timeline", params={"symbol": "BRAVO"}).json()["items"]


def test_a_cursor_of_another_list_is_refused(told_day: TestClient[Litestar]) -> None:
    told = told_day.get("/api/v1/timeline", params={"cursor": "WyJvcmRlcnMiLDFd"})
    assert (told.status_code, told.json()["code"]) == (404, "bad_cursor")


def test_a_refused_wish_is_explained_with_the_numbers_that_refused_it(told_day: TestClient[Litestar]) -> None:
    told = told_day.get("/api/v1/timeline/S2").json()
    assert (told["approved"], told["denial"], told["lines"]) == (False, "open_positions", [])
    assert told["checks"] == [{"code": "open_positions", "passed": False, "observed": 3.0, "limit": 2.0}]
    assert told["features"] == {"vwap_distance": -12.5}, "what is not known yet is left out"
    assert told_day.get("/api/v1/timeline/nobody").json()["code"] == "not_found"
