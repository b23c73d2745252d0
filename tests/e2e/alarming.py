"""What a person is called about, made to happen in a running day and waited for at the receiver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from outside import Heard
from paper_house import DAY_WITHIN_S, House, PaperDay

from api.control import TOKEN_FILE

SLOWLY, STANDING = 20.0, 0.001  # session seconds per second
KILLED, SILENT, LOSS, HALT = (
    "process_restarted:audit",
    "dead_man:session",
    "loss_limit:drawdown",
    "halted:halted",
)


@contextmanager
def service(house: House) -> Iterator[httpx.Client]:
    """A program of this home: it sees, stops and says that it has seen."""
    headers = {"authorization": f"Bearer {(house.home / TOKEN_FILE).read_text()}"}
    url = f"http://127.0.0.1:{house.config.api.port}"
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def alarm(paper: PaperDay, heard: Heard) -> None:
    """A process dies; nothing is said; the day's result falls as far as it may; somebody halts."""
    with service(paper.house) as api:
        paper.set_speed(SLOWLY)
        paper.kill("audit")
        await_told(paper, heard, KILLED)
        paper.set_speed(STANDING)
        await_told(paper, heard, SILENT)
        paper.set_speed("max")
        paper.await_true(
            "a position", lambda: api.get("/status").json()["open_positions"] > 0, DAY_WITHIN_S, pause_s=0.05
        )
        paper.set_speed(SLOWLY)
        command(api, "risk/profile", {"set": {"drawdown": "1"}, "reason": "that it is reached"})
        await_told(paper, heard, LOSS)
        command(api, "halt", {"reason": "enough for today"})
        await_told(paper, heard, HALT)
        for key in (LOSS, HALT):
            command(api, "alerts/acknowledge", {"key": key})
            paper.await_true(f"{key} to be acknowledged", lambda key=key: seen(api, heard, key), DAY_WITHIN_S)  # type: ignore[misc]
        paper.set_speed("max")


def await_told(paper: PaperDay, heard: Heard, key: str) -> None:
    def told() -> bool:
        return any(each.key == key for each in heard.told)

    paper.await_true(f"{key} to be told", told, DAY_WITHIN_S)


def command(api: httpx.Client, path: str, body: dict[str, object]) -> None:
    reply = api.post(f"/api/v1/{path}", json=body)
    assert reply.status_code == 202, reply.text


def seen(api: httpx.Client, heard: Heard, key: str) -> bool:
    """Whether the API says that somebody knows of it; who is kept."""
    items = api.get("/api/v1/alerts").json()["items"]
    heard.acknowledged.update(
        {each["key"]: each["acknowledged_by"] for each in items if each["state"] == "seen"}
    )
    return key in heard.acknowledged
