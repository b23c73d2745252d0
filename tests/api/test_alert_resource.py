"""Alerts over HTTP: what the process that calls people remembers, and the word that somebody knows."""

from __future__ import annotations

from typing import Any

import pytest
from served import AT

from infra.alerts import state_file
from kitepilot import events as e
from kitepilot.alerts import desk
from kitepilot.alerts.notices import Notice
from kitepilot.ports import EventLog
from kitepilot.run import Run


@pytest.fixture
def standing(run: Run) -> desk.Desk:
    """A halt that wants somebody, and a feed that came back."""
    made, policy = desk.Desk(), desk.Policy()
    for notice in (
        Notice("feed_gap", "feed", "no ticks", AT),
        Notice("halted", "alarm", "an order alarm", AT),
        Notice("feed_gap", "feed", "", AT + 10**9, over=True),
    ):
        desk.take(made, notice, policy)
    state_file.write(run.folder, state_file.State(offsets={}, desk=made), AT)
    return made


def said(log: EventLog) -> list[e.AnyEvent]:
    reader = log.reader({("session", 0): 0})
    found = [e.decode(record.value) for record in reader.poll(10_000)]
    reader.close()
    return found


def acknowledge(client: Any, key: str, idempotency_key: str = "") -> Any:
    headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
    return client.post("/api/v1/alerts/acknowledge", json={"key": key}, headers=headers)


@pytest.mark.usefixtures("standing")
def test_what_wants_somebody_stands_first_with_what_to_do(signed_in: Any) -> None:
    told = signed_in("reader").get("/api/v1/alerts").json()
    assert [(each["key"], each["state"]) for each in told["items"]] == [
        ("halted:alarm", "open"),
        ("feed_gap:feed", "over"),
    ]
    first = told["items"][0]
    assert (first["severity"], first["acknowledged"]["utc"]) == ("critical", None)
    assert first["to_do"]
    assert told["saved"]["ist"]


def test_without_a_process_that_calls_there_is_no_alert_and_no_time_of_one(signed_in: Any) -> None:
    told = signed_in("reader").get("/api/v1/alerts").json()
    assert (told["items"], told["saved"]["utc"]) == ([], None)


def test_what_cannot_be_read_is_not_told_as_nothing(signed_in: Any, run: Run) -> None:
    (run.folder / state_file.FILE).write_text("{")
    reply = signed_in("reader").get("/api/v1/alerts")
    assert (reply.status_code, reply.json()["code"]) == (503, "unavailable")


@pytest.mark.usefixtures("standing")
def test_an_operator_says_that_he_knows_and_a_reader_does_not(signed_in: Any, log: EventLog) -> None:
    assert acknowledge(signed_in("reader"), "halted:alarm").status_code == 403
    assert acknowledge(signed_in("operator"), "halted:nothing").status_code == 404
    assert said(log) == []
    operator = signed_in("operator")
    first, again = (acknowledge(operator, "halted:alarm", "k1") for _ in range(2))
    assert (first.status_code, first.json()) == (202, again.json())
    (command,) = said(log)
    assert isinstance(command, e.Commanded)
    assert (command.command, command.argument) == ("alert_ack", "halted:alarm")
    assert command.by == "operator@example.test"
