"""One order over HTTP: its whole story, as far as the record holds it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_day_book import fill, intent, signal, started, update, verdict

from api.resources.order_cancel import refusal
from api.run_shelf import RunShelf
from kitepilot import events as e
from kitepilot.audit.story import LAST_TICKS, _ticks_before
from kitepilot.market.ticks import RECORD_DTYPE
from kitepilot.ports import EventLog


@pytest.fixture
def told(log: EventLog) -> None:
    log.append("session", [e.encode(each) for each in (started(), signal(), update(), fill())])
    log.append("decisions", [e.encode(verdict()), e.encode(verdict(1, "spread"))])
    log.append("intents", [e.encode(intent())])


@pytest.mark.parametrize("name", ["I0", "V0", "S0"])
def test_an_order_is_told_from_the_wish_on(signed_in: Any, told: None, name: str) -> None:
    reply = signed_in("reader").get(f"/api/v1/orders/{name}").json()
    assert [each["what"] for each in reply["timeline"]] == ["bar", "signal", "verdict", "intent"]
    assert reply["story"]["intent"]["intent_id"] == "I0"
    assert any(text.startswith("ticks") for text in reply["missing"]), "what is not there is named"


def test_a_wish_that_was_refused_is_told_too(signed_in: Any, told: None) -> None:
    reply = signed_in("reader").get("/api/v1/orders/V1").json()
    assert reply["timeline"][-1]["detail"] == "refused: spread" and reply["order"] is None


def test_an_id_that_nobody_knows_is_not_found(signed_in: Any, told: None) -> None:
    for path in ("/api/v1/orders/nobody", "/api/v1/orders/I0?run=paper-20261119-0001"):
        reply = signed_in("reader").get(path)
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found")


def test_no_order_is_cancelled_and_each_is_told_why(signed_in: Any, told: None, log: EventLog) -> None:
    log.append("intents", [e.encode(intent(1, e.Purpose.EXIT)), e.encode(intent(2))])
    operator, why = signed_in("operator"), {}
    deadline = time.monotonic() + 60
    for name in ("I0", "I1", "I2"):
        while (reply := operator.post(f"/api/v1/orders/{name}/cancel", json={})).status_code == 404:
            assert time.monotonic() < deadline, "not read from the log"
            time.sleep(0.02)
        assert (reply.status_code, reply.json()["code"]) == (409, "conflict")
        why[name] = reply.json()["detail"]
    assert why["I0"] == "The order has ended: filled."
    assert why["I1"].startswith("The order is an exit")
    assert why["I2"].startswith("The order is immediate-or-cancel")
    assert operator.post("/api/v1/orders/nobody/cancel", json={}).status_code == 404
    assert signed_in("reader").post("/api/v1/orders/I2/cancel", json={}).status_code == 403


@pytest.mark.parametrize("purpose", list(e.Purpose))
@pytest.mark.parametrize("status", list(e.OrderStatus))
def test_every_order_in_every_state_has_its_reason(purpose: e.Purpose, status: e.OrderStatus) -> None:
    said = refusal(intent(0, purpose), status)
    assert ("has ended" in said) == status.terminal
    if not status.terminal:
        assert ("no exit is taken back" in said) == (purpose is not e.Purpose.ENTRY)


def test_the_ticks_before_a_decision_are_found_by_the_logs_index_as_by_reading_all_of_it(
    log: EventLog,
) -> None:
    """Instruments of which one is heard in every tenth message, one in every two hundredth."""
    draw, received = np.random.default_rng(7), []
    first = log.end_offset("ticks")
    for number in range(900):
        message = np.zeros(3, dtype=RECORD_DTYPE)
        message["received_at"] = time.time_ns()
        message["packet"]["token"] = draw.choice([256, 300, 812], 3, p=[0.96, 0.035, 0.005])
        message["packet"]["volume"] = number
        log.append("ticks", [message.tobytes()])
        received.append(int(message["received_at"][0]))
    by_index = RunShelf("r", "", log, {"ticks": first}, {"ticks": log.end_offset("ticks")}, "", log)
    from_start = replace(by_index, index=None)
    for at in (received[0], *draw.choice(received, 12).tolist(), received[-1] + 10**9):
        for token in (256, 300, 812):
            found = _ticks_before(token, at, by_index)
            assert found == _ticks_before(token, at, from_start)
            assert all(each.received_at <= at for each in found)
    assert len(_ticks_before(256, received[-1], by_index)) == LAST_TICKS
