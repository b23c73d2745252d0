"""One running day and one browser for all tests of the console."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from console_models import Models, made_models
from controls import Hands
from running_console import WITHIN_S, Console, Person, Watched, chromium, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
DAY = pytest.StashKey[Console]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """The day goes on, if tests of others were between ours."""
    if day := item.session.stash.get(DAY, None):
        day.go_on()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Once no test of ours is next, the day takes no processor from those that follow."""
    ours_is_next = nextitem is not None and nextitem.path.is_relative_to(HERE)
    day = item.session.stash.get(DAY, None)
    if day and not ours_is_next:
        day.stand_still()


@pytest.fixture(scope="session")
def console(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A small paper day that trades while the tests look at it."""
    if chromium() is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with running(tmp_path_factory.mktemp("console") / "home") as found:
        request.session.stash[DAY] = found
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Gone with its module: while its driver runs, no other test of this process has an event loop."""
    program = chromium()
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: `make bootstrap`")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def owner(console: Console) -> Person:
    return console.enrol("owner")


@pytest.fixture(scope="session")
def owners_cookies(console: Console, owner: Person) -> list[dict[str, Any]]:
    """Of a session of the owner's, for a browser."""
    return console.cookies(owner)


@pytest.fixture(scope="session")
def models(console: Console, tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The day itself trades without a model."""
    return made_models(console.paper.current(), tmp_path_factory.mktemp("models"))


Opened = Callable[..., "Page"]


@pytest.fixture
def hands() -> Hands:
    """What is seen and pressed in the pages that a test opens."""
    return Hands()


@pytest.fixture
def opened(
    request: pytest.FixtureRequest,
    console: Console,
    browser: Browser,
    owners_cookies: list[dict[str, Any]],
    hands: Hands,
) -> Iterator[Opened]:
    """`opened("/", width=, height=, scheme=, language=)`: a page that the owner looks at.

    `cookies=[]` for a stranger; `clock=True` for a page whose clock the test puts forward.

    The test fails when a page raised an error or asked anything of another host, and when what stands on it
    or was pressed is not as the table of controls has it.
    """
    watched = Watched()
    with ExitStack() as stack:

        def open_page(path: str, *, width: int = 1440, height: int = 900, **more: Any) -> Page:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=more.get("scheme", "dark"),
                locale=more.get("language", "en-IN"),
            )
            context.add_cookies(more.get("cookies", owners_cookies))
            context.set_default_timeout(WITHIN_S * 1e3)
            stack.callback(context.close)
            hands.over(context)
            page = context.new_page()
            stack.callback(hands.look, page)
            if more.get("clock"):
                page.clock.install()
            watched.watch(page, console.url)
            page.goto(f"{console.url}{path}", wait_until="domcontentloaded")
            return page

        yield open_page
    assert not watched.faults
    assert not (faults := hands.faults(request.node.originalname)), "\n".join(faults)


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: `$KITEPILOT_SCREENSHOTS`, to look at them; else nowhere that lasts."""
    given = os.environ.get("KITEPILOT_SCREENSHOTS")
    folder = Path(given) if given else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
