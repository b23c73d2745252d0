"""Readiness over HTTP: the command line's own answer, one at a time, and never a guess."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

from api.readiness import Answer, Check
from kitepilot.run import Run

SignedIn = Callable[..., TestClient[Litestar]]


def checked(client: TestClient[Litestar]) -> dict[str, Any]:
    """Asked for, and waited for."""
    given = client.post("/api/v1/readiness/check", json={})
    assert given.status_code == 202, given.text
    path = f"/api/v1/commands/{given.json()['command_id']}"
    deadline = time.monotonic() + 170
    while (told := client.get(path).json())["state"] == "said":
        assert time.monotonic() < deadline, told
        time.sleep(0.05)
    return dict(told)


def test_the_checks_are_the_command_lines_and_red_without_a_login(
    app: Litestar, signed_in: SignedIn, run: Run
) -> None:
    """The real process over an empty home: nothing is there, and each line says what to do."""
    (run.folder / "config.yaml").write_text(
        "readiness: {ntp_server: ''}\nstorage: {clickhouse_url: 'http://127.0.0.1:9'}\n"
    )
    operator = signed_in("operator")
    before = operator.get("/api/v1/readiness").json()
    assert (before["ready"], before["running"], before["checks"]) == ("unknown", False, [])
    assert checked(operator)["words"] == ["readiness is red"]
    told = operator.get("/api/v1/readiness").json()
    by_name = {each["name"]: each for each in told["checks"]}
    assert by_name["login"]["colour"] == "red" and "kitepilot login" in by_name["login"]["remedy"]
    assert all(each["remedy"] for each in told["checks"] if each["colour"] != "green")
    assert told["measured"]["ist"] and told["trouble"] == ""


def test_two_do_not_measure_at_once_and_a_reader_does_not_at_all(app: Litestar, signed_in: SignedIn) -> None:
    release = threading.Event()

    def slow(_: Sequence[str], __: Run) -> Answer:
        release.wait(170)
        return Answer("green", [Check("disk", "green", "plenty", "")])

    app.state.services.readiness.ask = slow
    operator = signed_in("operator")
    assert operator.post("/api/v1/readiness/check", json={}).status_code == 202
    assert operator.get("/api/v1/readiness").json()["running"]
    again = operator.post("/api/v1/readiness/check", json={})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert signed_in("reader").post("/api/v1/readiness/check", json={}).status_code == 403
    release.set()
    deadline = time.monotonic() + 60
    while operator.get("/api/v1/readiness").json()["running"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert operator.get("/api/v1/readiness").json()["ready"] == "green"


def test_a_command_that_fails_tells_its_line_and_nothing_is_called_ready(
    app: Litestar, signed_in: SignedIn
) -> None:
    said = "import sys; sys.exit('the configuration cannot be read')"
    app.state.services.readiness.words = (sys.executable, "-c", said)
    operator = signed_in("operator")
    assert checked(operator)["words"] == ["the configuration cannot be read"]
    told = operator.get("/api/v1/readiness").json()
    assert (told["ready"], told["trouble"]) == ("unknown", "the configuration cannot be read")
