"""Commands over HTTP: who may give them, once each, on the log, and their effect told by the decisions."""

from __future__ import annotations

import time
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from served import AT

from api.services import made
from kitepilot import events as e
from kitepilot.config import RiskSection
from kitepilot.ports import EventLog
from kitepilot.risk.decide import decide
from kitepilot.run import Run

RUN = "paper-20261120-0001"
HOUR = 3600 * 10**9
STOPS = ["/halt", "/flatten", "/trading/stop", "/strategies/micro_momentum/disable"]
STARTS = ["/resume", "/trading/start", "/strategies/micro_momentum/enable"]


def said(log: EventLog) -> list[e.Commanded]:
    reader = log.reader({("session", 0): 0})
    found = [e.decode(record.value) for record in reader.poll(10_000)]
    reader.close()
    return [each for each in found if isinstance(each, e.Commanded)]


def give(client: TestClient[Litestar], path: str, key: str = "", **body: Any) -> Any:
    headers = {"idempotency-key": key} if key else {}
    return client.post(f"/api/v1{path}", json=body, headers=headers)


@pytest.mark.parametrize("path", STOPS)
def test_an_operator_stops_without_a_fresh_code_and_a_reader_does_not(
    signed_in: Any, log: EventLog, path: str
) -> None:
    assert give(signed_in("reader"), path).status_code == 403
    assert said(log) == []
    assert give(signed_in("operator"), path, reason="odd prices").status_code == 202
    (command,) = said(log)
    assert command.by == "operator@example.test: odd prices"


@pytest.mark.parametrize("path", STARTS)
def test_only_the_owner_with_a_fresh_code_lets_trading_begin(
    signed_in: Any, log: EventLog, path: str
) -> None:
    for client, code in (
        (signed_in("operator", fresh=True), "not_permitted"),
        (signed_in("owner"), "step_up_required"),
    ):
        reply = give(client, path)
        assert (reply.status_code, reply.json()["code"]) == (403, code)
    assert said(log) == []
    assert give(signed_in("owner", fresh=True), path).status_code == 202
    assert len(said(log)) == 1


def test_the_same_key_is_one_command_and_another_body_under_it_is_refused(
    signed_in: Any, log: EventLog
) -> None:
    client = signed_in("operator")
    first, again = give(client, "/halt", "k1"), give(client, "/halt", "k1")
    assert (first.json(), first.status_code) == (again.json(), again.status_code)
    other = give(client, "/flatten", "k1")
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")
    mine = give(signed_in("owner"), "/halt", "k1")
    assert mine.json()["command_id"] != first.json()["command_id"], "a key is its giver's own"
    assert [each.command for each in said(log)] == ["halt", "halt"]


def changed(seq: int, reason: str) -> e.StateChanged:
    state = e.TradingState.HALTED
    head = {"source": "decisions", "seq": seq, "event_at": AT + seq, "run_id": RUN}
    return e.StateChanged(**head, previous=state, state=state, reason=reason)


@pytest.mark.parametrize("path", STARTS)
def test_what_was_decided_while_the_code_was_typed_is_looked_at_before_trading_goes_on(
    app: Litestar, signed_in: Any, log: EventLog, path: str
) -> None:
    """A second halt while halted moves no state, and is a reason not to resume all the same."""
    board, owner = app.state.services.hub.board, signed_in("owner", fresh=True)

    def decides(seq: int, reason: str) -> None:
        log.append("decisions", [e.encode(changed(seq, reason))])
        deadline = time.monotonic() + 60
        while board.last_word != seq:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    decides(3, "halt by asha")
    seen = {"run_id": RUN, "decided": 3}
    decides(4, "halt by ravi: stop, the broker called")
    refused = give(owner, path, seen=seen)
    assert (refused.status_code, refused.json()["code"]) == (409, "moved_on")
    other = give(owner, path, seen={"run_id": "paper-20261119-0001", "decided": 4})
    assert (other.status_code, other.json()["code"]) == (409, "moved_on")
    assert said(log) == []
    taken = give(owner, path, "k", seen=seen | {"decided": 4})
    assert taken.status_code == 202
    decides(5, "resume")
    assert give(owner, path, "k", seen=seen | {"decided": 4}).json() == taken.json(), (
        "a lost reply asks again"
    )
    assert len(said(log)) == 1


def test_a_strategy_that_does_not_run_is_not_found(signed_in: Any, log: EventLog) -> None:
    reply = give(signed_in("operator"), "/strategies/nobodys/disable")
    assert (reply.status_code, reply.json()["code"], said(log)) == (404, "not_found", [])


def started() -> e.RunStarted:
    parameters = e.DecisionParameters(
        session_date="2026-11-20", open_at=AT - HOUR, close_at=AT + 4 * HOUR, instruments=(),
        profile=RiskSection().profile(), strategies=("micro_momentum",),
    )  # fmt: skip
    return e.RunStarted(
        source="runner", seq=0, event_at=AT, run_id=RUN, mode="paper", config_hash="c", parameters=parameters
    )


def answered(log: EventLog) -> None:
    """What the decisions' process would do: fold `session`, append what comes of it."""
    reader, state = log.reader({("session", 0): 0}), None
    for record in reader.poll(10_000):
        state, decided = decide(state, e.decode(record.value))  # type: ignore[arg-type]
        log.append("decisions", [e.encode(each) for each in decided if isinstance(each, e.StateChanged)])
    reader.close()


def told_when(client: TestClient[Litestar], command_id: str, state: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while True:
        reply = client.get(f"/api/v1/commands/{command_id}")
        if reply.status_code == 200 and reply.json()["state"] == state:
            return dict(reply.json())
        assert time.monotonic() < deadline, reply.text
        time.sleep(0.02)


def test_a_command_is_said_until_the_decisions_have_done_it(signed_in: Any, log: EventLog) -> None:
    log.append("session", [e.encode(started())])
    client = signed_in("operator")
    command_id = give(client, "/halt", reason="news").json()["command_id"]
    assert told_when(client, command_id, "said")["decided"] == {"utc": None, "ist": None}
    answered(log)
    done = told_when(client, command_id, "decided")
    assert done["words"] == ["halt by operator@example.test: news"]


def test_a_command_that_the_decisions_refuse_says_so(signed_in: Any, log: EventLog) -> None:
    log.append("session", [e.encode(started())])
    over = e.Commanded(
        source="runner", seq=1, event_at=AT, command_id="end", command="end_of_day", by="the day"
    )
    log.append("session", [e.encode(over)])
    client = signed_in("owner", fresh=True)
    command_id = give(client, "/resume").json()["command_id"]
    answered(log)
    assert told_when(client, command_id, "refused")["words"] == ["resume refused: the day was ended"]


def test_a_command_whose_answer_was_read_before_it_is_decided_all_the_same(run: Run, log: EventLog) -> None:
    """A view that catches up reads the topics one after the other."""
    services = made(run, log, api_secret="", token="t")
    halt = e.Commanded(source="api", seq=0, event_at=AT, command_id="h", command="halt", by="owner")
    log.append("session", [e.encode(started()), e.encode(halt)])
    answered(log)
    reader = log.reader({("session", 0): 0, ("decisions", 0): 0})
    records = sorted(reader.poll(100), key=lambda each: e.decode(each.value) == halt)
    reader.close()
    for record in records:
        services.hub.hear(record, e.decode(record.value))
        services.effects.hear(record, e.decode(record.value))
    services.close()
    effect = services.effects.get("h")
    assert effect is not None and services.effects.state(effect) == "decided"
    assert effect.words == ["halt by owner"]


def test_an_unknown_command_is_not_found(signed_in: Any) -> None:
    reply = signed_in("reader").get("/api/v1/commands/nobody")
    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
