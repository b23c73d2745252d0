"""A session that nobody uses: told of before it ends, and ended though the page stays open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa
from running_console import Console, Person, wait_for

from api.identity.presence import HEADER
from api.identity.sessions import IDLE_NS
from infra.postgres.embedded import database_url
from infra.postgres.tables import user_sessions, users

if TYPE_CHECKING:
    from playwright.sync_api import Page

Opened = Callable[..., "Page"]
LIVE = "document.documentElement.dataset.link === 'live'"
SECOND = 1_000_000_000
pytestmark = pytest.mark.timeout(900, func_only=True)  # the day and its start have bounds of their own


@pytest.fixture(scope="module")
def reader(console: Console) -> Person:
    return console.enrol("reader")


@pytest.fixture
def seen_ago(console: Console, reader: Person) -> Iterator[Callable[[float], None]]:
    """`seen_ago(s)`: nobody has used the reader's sessions for so long, as the book of record has it."""
    engine = sa.create_engine(database_url(console.paper.current()), poolclass=sa.NullPool)

    def set_back(seconds: float) -> None:
        whose = sa.select(users.c.user_id).where(users.c.email == reader.email)
        moved = user_sessions.update().where(user_sessions.c.user_id.in_(whose))
        with engine.begin() as db:
            db.execute(moved.values(seen_at_ns=user_sessions.c.seen_at_ns - int(seconds * SECOND)))

    yield set_back
    engine.dispose()


@pytest.fixture
def cookies(console: Console, reader: Person) -> list[dict[str, Any]]:
    with closing(console.sign_in(reader)) as client:
        return [{"name": n, "value": v, "url": console.url} for n, v in client.cookies.items()]


def test_a_page_that_streams_keeps_no_session_that_nobody_used(
    opened: Opened, cookies: list[dict[str, Any]], seen_ago: Callable[[float], None]
) -> None:
    page = opened("/", cookies=cookies)
    wait_for(page, LIVE)
    seen_ago(IDLE_NS / SECOND)
    wait_for(page, "document.getElementById('expired').open")


def told_end(console: Console, cookies: list[dict[str, Any]]) -> float:
    """In how many seconds the session ends, asked by nobody."""
    held = {each["name"]: each["value"] for each in cookies}
    reply = httpx.get(
        f"{console.url}/api/v1/session", cookies=held, headers={HEADER: "1"}, timeout=60, trust_env=False
    )
    return float(reply.json()["ends_in_s"])


def test_before_the_end_the_page_asks_whether_somebody_is_there(
    console: Console, opened: Opened, cookies: list[dict[str, Any]], seen_ago: Callable[[float], None]
) -> None:
    page = opened("/", cookies=cookies, clock=True)
    wait_for(page, LIVE)
    shown = "!document.getElementById('ending').hidden"
    assert not page.evaluate(shown)
    page.clock.fast_forward("01:01")  # nobody is there: what it asks from here on is no use of the session
    seen_ago(28.5 * 60)
    while told_end(console, cookies) > 91:  # what the API remembers is some seconds old
        page.wait_for_timeout(200)
    page.clock.fast_forward("27:29")  # to the look that is due, and is answered once
    wait_for(page, shown)
    assert "signed out in" in page.locator("#ending-text").inner_text()
    page.locator("#ending-stay").press("Enter")
    wait_for(page, "document.getElementById('ending').hidden")
    assert page.locator("#expired").is_hidden()
