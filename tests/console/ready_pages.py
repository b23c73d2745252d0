"""A page of the console, and what stands on it once its data has come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from running_console import as_text, barriers, wait_for

from api.console.page import LANGUAGE_COOKIE

if TYPE_CHECKING:
    from playwright.sync_api import Page

Opened = Callable[..., "Page"]
DECISIONS = "document.querySelectorAll('#decisions time').length"
#: Where a page says that it was not answered.
TROUBLE = "[...document.querySelectorAll('#said, #refusal, #models .none')].some((each) => each.textContent)"
OPENED_AGAIN = 10
LOOKS: tuple[tuple[Literal["dark", "light"], int, str], ...] = (
    ("dark", 1440, "en-IN"),
    ("light", 1440, "en-IN"),
    ("dark", 390, "en-IN"),
    ("light", 390, "hi-IN"),
)
#: A page, and what stands on it once its data has come.
READY = {
    "/": "document.documentElement.dataset.link === 'live'"
    " && document.querySelectorAll('#positions tr').length > 0",
    "/sign-in": "document.querySelector('#sign-in') !== null",
    "/day": "document.querySelectorAll('#lines time').length > 5",
    "/risk": "document.querySelectorAll('#rows input').length > 20",
    "/chart": f"{DECISIONS} > 0 && !document.querySelector('#play').disabled",
    "/strategies": "document.querySelectorAll('#strategies button').length > 0"
    " && document.querySelectorAll('#models input').length === 4",
    "/research": "document.querySelector('#about-strategy').textContent !== ''",
    "/runs": "document.querySelectorAll('#runs button').length > 0",
    "/alerts": "document.querySelector('#saved').textContent !== ''"
    " && document.querySelector('#alerts tr') !== null",
    "/readiness": "!document.querySelector('#again').disabled",
    "/settings": "document.querySelectorAll('#settings th').length > 100"
    " && document.querySelector('#history tr') !== null",
}


def ready(opened: Opened, path: str, **more: object) -> Page:
    """Opened, and opened again where a store did not answer in time."""
    page = opened(path, **more)
    if path == "/chart":
        choose_what_was_traded(page)
        return page
    for _ in range(OPENED_AGAIN):
        wait_for(page, f"({READY[path]}) || {TROUBLE}")
        if page.evaluate(READY[path]):
            return page
        page.reload(wait_until="domcontentloaded")
    raise AssertionError(page.inner_text("main"))


def held_to_wcag(page: Page, path: str, screenshots: Path) -> None:
    """Dark, light, on a phone and in the second language: no barrier, and nothing runs out of the screen."""
    name = path.strip("/") or "now"
    for scheme, width, language in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        if page.get_attribute("html", "lang") != language:
            page.context.add_cookies([{"name": LANGUAGE_COOKIE, "value": language, "url": page.url}])
            page.reload(wait_until="domcontentloaded")
            wait_for(page, READY[path])
        page.screenshot(path=screenshots / f"{name}-{scheme}-{width}-{language}.png", full_page=True)
        assert not (found := barriers(page)), as_text(found)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width, language)


def choose_what_was_traded(page: Page) -> None:
    """Asked again until there are candles: the book of analysis is some seconds behind the market."""
    wait_for(page, "Boolean(document.querySelector('#symbol').value)")
    asked = "fetch('/api/v1/fills?limit=1').then((reply) => reply.json())"
    page.fill("#symbol", page.evaluate(asked)["items"][0]["tradingsymbol"])
    page.click("#choose button")
    wait_for(
        page,
        f"(() => {{ if ({READY['/chart']}) return true; document.querySelector('#choose').requestSubmit(); "
        "return new Promise((told) => setTimeout(told, 1500, false)); })()",
    )
