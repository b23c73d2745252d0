"""The door of the console: who comes in, who does not, and what is seen when a session ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from running_console import WITHIN_S, Console, Person, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

Opened = Callable[..., "Page"]
LIVE = "document.documentElement.dataset.link === 'live'"
pytestmark = pytest.mark.timeout(900, func_only=True)  # the day and its start have bounds of their own


@pytest.fixture(scope="module")
def operator(console: Console) -> Person:
    return console.enrol("operator")


def test_a_wrong_code_opens_nothing_and_does_not_say_what_was_wrong(opened: Opened, operator: Person) -> None:
    said = []
    for email, password in ((operator.email, operator.password), ("nobody@example.test", "x" * 12)):
        page = opened("/sign-in", cookies=[])
        page.locator("#email").fill(email)
        page.locator("#password").fill(password)
        page.locator("#code").fill("000000")
        page.keyboard.press("Enter")
        wait_for(page, "document.getElementById('said').textContent !== ''")
        said.append(page.locator("#said").inner_text())
    assert said[0] == said[1]


def test_password_and_code_lead_to_the_page_that_was_asked_for(opened: Opened, operator: Person) -> None:
    page = opened("/?from=a-link", cookies=[])
    assert "/sign-in" in page.url
    page.locator("#email").fill(operator.email)
    page.locator("#password").fill(operator.password)
    page.locator("#code").fill(operator.code())
    page.locator("#sign-in .main").click()
    page.wait_for_url("**/?from=a-link", timeout=WITHIN_S * 1e3)
    wait_for(page, LIVE)
    assert operator.email in page.locator("footer").inner_text()
    assert page.locator("#resume").count() == 0, "an operator may stop, not begin"
    page.locator("#sign-out").click()
    page.wait_for_url("**/sign-in", timeout=WITHIN_S * 1e3)
    page.goto(page.url.replace("/sign-in", "/"))
    assert "/sign-in" in page.url


@pytest.mark.parametrize("wanted", ["https://example.test/steal", "/.//example.test/steal"])
def test_a_link_cannot_lead_out_of_the_house(
    console: Console, opened: Opened, operator: Person, wanted: str
) -> None:
    page = opened(f"/sign-in?next={quote(wanted, safe='')}", cookies=[])
    page.locator("#other-way").click()
    page.locator("#email").fill(operator.email)
    page.locator("#password").fill(operator.password)
    page.locator("#recovery").fill(operator.codes.pop())
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/sign-in" not in url, timeout=WITHIN_S * 1e3)
    assert page.url.startswith(f"{console.url}/")


def test_a_session_that_ends_is_seen_on_the_open_page(
    console: Console, opened: Opened, operator: Person
) -> None:
    with closing(console.sign_in(operator)) as client:
        cookies = [{"name": n, "value": v, "url": console.url} for n, v in client.cookies.items()]
        page = opened("/", cookies=cookies)
        wait_for(page, LIVE)
        client.delete("/api/v1/session").raise_for_status()
    wait_for(page, "document.getElementById('expired').open")
    assert "/sign-in?next=" in (page.locator("#expired-sign-in").get_attribute("href") or "")
    wait_for(page, "document.documentElement.dataset.link === 'stale'")
