"""Commands while the log hangs: told in time what became of them, and none waits behind another."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from served import TOKEN
from test_api import signed
from test_commands import give, said

from api.control import Asked, ControlDesk
from infra.eventlog import segment
from kitepilot.config import Config
from kitepilot.ports import EventLog, LogError
from kitepilot.run import Run

MORE_THAN_THREADS = 60
PATIENT_S = 600.0  # what an append waits for the lock in these tests: longer than any of them


@contextmanager
def held(run: Run, topic: str = "session") -> Iterator[None]:
    """Another writer has the log's `topic`, and does not let go of it."""
    (path,) = run.home.rglob(f"{topic}-0/*.sqlite")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "BUSY_TIMEOUT_S", PATIENT_S)


def when_said(log: EventLog, count: int) -> list[Any]:
    deadline = time.monotonic() + 60
    while len(commands := said(log)) < count:
        assert time.monotonic() < deadline, commands
        time.sleep(0.02)
    return commands


def test_while_the_log_hangs_nobody_waits_and_a_flatten_goes_to_the_watchdog(
    signed_in: Any, log: EventLog, run: Run
) -> None:
    client = signed_in("operator")
    with held(run):
        hung = give(client, "/halt", "k1")
        assert (hung.status_code, hung.json()["code"]) == (503, "outcome_unknown")
        assert hung.headers["x-command-id"] in hung.json()["detail"]
        after = give(client, "/halt", "k2")
        assert (after.status_code, after.json()["code"]) == (503, "log_unreachable")
        for _ in range(3):
            flat = give(client, "/flatten")
            assert (flat.status_code, flat.json()["through"]) == (202, "watchdog")
        assert (run.folder / "flatten.asked.json").exists()
        assert said(log) == [], "all of it while the other writer had the log"
    (late,) = when_said(log, 1)
    assert late.command_id == hung.headers["x-command-id"]
    assert give(client, "/halt", "k1").json()["command_id"] == late.command_id
    assert give(client, "/trading/stop").status_code == 202
    assert [each.command for each in when_said(log, 3)] == ["halt", "halt", "reduce"], "k2 was withdrawn"


def test_the_holder_of_the_homes_token_does_not_wait_either(client: Any, log: EventLog, run: Run) -> None:
    def ask(name: str) -> tuple[int, str]:
        headers = {"authorization": f"Bearer {TOKEN}"}
        reply = client.post(f"/control/{name}", json={"command_id": name}, headers=headers)
        return reply.status_code, reply.json()["status"]

    with held(run):
        assert [ask("halt"), ask("reduce")] == [(503, "unknown"), (503, "refused")]
        assert ask("flatten") == (200, "watchdog")
    assert [each.command for each in when_said(log, 1)] == ["halt"]


class DoubtfulLog:
    """Takes the first append and says that it did not: a broker whose answer was lost."""

    def __init__(self, log: EventLog) -> None:
        self._log, self._lost = log, False

    def append(self, topic: str, values: list[bytes]) -> int:
        offset = self._log.append(topic, values)
        if not self._lost:
            self._lost = True
            raise LogError("no answer")
        return offset


def test_a_command_after_one_whose_answer_was_lost_is_not_taken_for_its_repetition(log: EventLog) -> None:
    """Readers drop a number of a source that they have read: the next command must not carry the same."""
    desk = ControlDesk(Run("r", Path(), Config()), DoubtfulLog(log), "t")  # type: ignore[arg-type]  # half a log
    assert desk.obey("halt", Asked("a"))[0] == 503
    assert desk.obey("reduce", Asked("b"))[0] == 200
    desk.close()
    assert len({(each.source, each.seq) for each in said(log)}) == 2


async def test_postbacks_that_hang_in_the_log_keep_nobody_from_reading(
    app: Litestar, run: Run, log: EventLog
) -> None:
    transport = httpx.ASGITransport(app=app)
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
        with held(run, "postbacks"):
            sent = [
                asyncio.create_task(client.post("/broker/postbacks", content=signed(str(number))))
                for number in range(MORE_THAN_THREADS)
            ]
            async with asyncio.timeout(60):
                assert (await client.get("/api/v1/reports")).status_code == 200
            assert not any(each.done() for each in sent)
        replies = await asyncio.gather(*sent)
    assert {(each.status_code, each.json()["status"]) for each in replies} == {(200, "taken")}


def test_a_postback_that_the_log_does_not_take_is_asked_for_again(
    client: TestClient[Litestar], log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise LogError("disk full")

    body = signed()
    with monkeypatch.context() as at_once:
        at_once.setattr(type(log), "append", full)
        reply = client.post("/broker/postbacks", content=body)
        assert (reply.status_code, reply.json()) == (503, {"status": "log_unreachable"})
    assert client.post("/broker/postbacks", content=body).json() == {"status": "taken"}
