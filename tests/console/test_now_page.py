"""The page Now over a day that trades: what it shows is so, what it stops is stopped, and it says its age."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ready_pages import held_to_wcag, ready
from running_console import CALM_SPEED, Console, Person, as_text, barriers, wait_for
from thin_line import KIB, first_look

if TYPE_CHECKING:
    from playwright.sync_api import Page

Opened = Callable[..., "Page"]
LIVE = "document.documentElement.dataset.link === 'live'"
STALE = "document.documentElement.dataset.link === 'stale'"
#: The clock of that name leaps by eight hours, and a button that acts is pressed before anything else runs.
SLEEPS_AND_IS_PRESSED = """(name) => {
  const clock = window[name], now = clock.now.bind(clock);
  clock.now = () => now() + 8 * 3600e3;
  document.getElementById('old').click();
  const off = document.getElementById('old').disabled; // asked here: the next stream makes it usable again
  return [acted, document.documentElement.dataset.link, document.getElementById('stale').hidden, off];
}"""
#: Pressed again where the decisions had said something while the code was typed.
RESUMED = """document.querySelector('.trading').dataset.state === 'active'
  || (document.getElementById('resume-said').textContent.includes('look again')
    && document.getElementById('resume').click())"""
OLD = "'<button data-acts id=old>x</button>'"
pytestmark = pytest.mark.timeout(900, func_only=True)  # the day and its start have bounds of their own
#: Which element has the focus, by its name for the desk, and whether it shows that it has.
FOCUSED = """() => {
  const at = document.activeElement, style = getComputedStyle(at);
  const other = at.className || at.getAttribute('href') || at.getAttribute('aria-labelledby');
  const name = at.dataset.stop || at.id || other || at.textContent;
  const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  return [at === document.body ? 'BODY' : name, seen];
}"""


def test_what_is_held_stands_on_the_page_with_its_stop(console: Console, opened: Opened) -> None:
    page = opened("/")
    wait_for(page, "document.querySelectorAll('#positions th').length >= 1")
    told = console.snapshot()
    shown = set(page.locator("#positions th").all_inner_texts())
    held = {row["tradingsymbol"] for row in told["positions"]["positions"]}
    assert shown & held
    first = page.locator("#positions tr").first.inner_text()
    assert "bps" in first
    assert "₹" in first
    assert page.locator("[data-now=net]").inner_text().replace("−", "").lstrip("+").startswith("₹")
    assert page.locator("#limits li").count() == len(told["pnl"]["limits"])
    assert page.locator("#signals li b").count() >= 2
    assert "✓" not in page.title()


@pytest.mark.parametrize("path", ["/", "/sign-in"])
def test_a_page_has_no_barrier_that_axe_knows(opened: Opened, screenshots: Path, path: str) -> None:
    page = ready(opened, path)
    if path == "/":
        wait_for(page, "document.querySelectorAll('#positions th').length >= 1")
    held_to_wcag(page, path, screenshots)


def test_the_dialogs_have_no_barrier_either(opened: Opened, screenshots: Path) -> None:
    page = opened("/")
    wait_for(page, LIVE)
    page.keyboard.press("Shift+F")
    page.locator("#stop-hold").wait_for()
    page.screenshot(path=screenshots / "flatten-dialog.png")
    assert not (found := barriers(page)), as_text(found)


@pytest.mark.parametrize("language", ["en-IN", "hi-IN"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    opened: Opened, screenshots: Path, language: str
) -> None:
    page = opened("/", width=360, height=740, language=language)
    wait_for(page, "document.querySelectorAll('#positions th').length >= 1")
    page.screenshot(path=screenshots / f"phone-{language}.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for button in page.locator("[data-stop]").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= 740


def test_a_page_that_hears_nothing_says_so_and_acts_on_nothing_old(console: Console, opened: Opened) -> None:
    page = opened("/")
    wait_for(page, LIVE)
    page.evaluate(f"document.querySelector('main').insertAdjacentHTML('beforeend', {OLD})")
    with console.frozen_api():
        wait_for(page, STALE)
        assert "STALE" in page.locator("#stale").inner_text()
        assert page.locator("#old").is_disabled()
        for button in page.locator("[data-stop]").all():
            assert button.is_enabled()
        page.locator("[data-stop=flatten]").click()
        assert "act blind" in page.locator("#stop-blind").inner_text()
        page.keyboard.press("Escape")
    wait_for(
        page, f"{LIVE} && document.getElementById('stale').hidden && !document.getElementById('old').disabled"
    )


def test_a_laptop_that_wakes_acts_on_nothing_before_it_has_heard_anew(opened: Opened) -> None:
    """No timer has run yet when the first hand comes down, and of the two clocks one may have stood still."""
    page = opened("/")
    streams: list[str] = []
    page.on("request", lambda asked: "/api/v1/live" in asked.url and streams.append(asked.url))
    wait_for(page, LIVE)
    page.evaluate(f"document.querySelector('main').insertAdjacentHTML('beforeend', {OLD})")
    page.evaluate("window.acted = 0; document.getElementById('old').addEventListener('click', () => acted++)")
    for clock in ("Date", "performance"):
        wait_for(page, LIVE)
        streams.clear()
        assert page.evaluate(SLEEPS_AND_IS_PRESSED, clock) == [0, "stale", False, True]
        wait_for(page, LIVE)
        assert streams, "what comes after a sleep may have been sent before it: the stream is opened anew"
    wait_for(page, "(document.getElementById('old').click(), acted > 0)")


def test_halt_and_flatten_are_the_first_stops_of_the_tab_key_and_every_stop_is_seen(opened: Opened) -> None:
    page = opened("/")
    wait_for(page, LIVE)
    stops = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, seen = page.evaluate(FOCUSED)
        if name == "BODY" or stops[:1] == [name]:
            break  # round once
        stops.append(name)
        assert seen, f"{name}: the focus cannot be seen"
    assert stops[0] == "skip"
    assert {"halt", "flatten"} <= set(stops[:4])
    assert {"sign-out", "language", "theme"} <= set(stops), "the way out is reached by keys too"
    assert stops.index("flatten") < stops.index("/day") < stops.index("sign-out")


def test_a_finger_that_slips_halts_nothing(console: Console, opened: Opened) -> None:
    page = opened("/")
    wait_for(page, LIVE)
    page.keyboard.press("Shift+H")
    page.locator("#stop-hold").click()  # pressed and let go at once
    page.locator("#stop-word").fill("HAL")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.locator("#stop-dialog").is_hidden()
    assert console.snapshot()["state"]["state"] == "active"


def test_a_halt_by_keyboard_alone_is_seen_in_every_tab(console: Console, opened: Opened) -> None:
    here, there = opened("/"), opened("/")
    for page in (here, there):
        wait_for(page, LIVE)
    here.keyboard.press("Shift+H")
    here.keyboard.press("Tab")
    here.keyboard.type("halt")
    wait_for(here, "document.getElementById('stop-end').textContent.includes('Halted')")
    wait_for(there, "document.querySelector('.trading').dataset.state === 'halted'")
    assert console.snapshot()["state"]["state"] == "halted"


def test_a_halt_calls_people_until_one_says_that_he_knows(
    console: Console, opened: Opened, screenshots: Path, owner: Person
) -> None:
    """Said in one tab, it is known in the other, on the page Alerts and to whoever would have been called."""
    assert console.snapshot()["state"]["state"] == "halted"
    here, there, listed = opened("/"), opened("/day"), opened("/alerts")
    button = "document.querySelector('#banners [data-severity=critical] button')"
    for page in (here, there):
        wait_for(page, f"{button} !== null")
    wait_for(listed, "document.querySelector('#alerts button') !== null")
    for page, name in ((here, "now-banner"), (listed, "alerts")):
        page.screenshot(path=screenshots / f"{name}.png")
        assert not (found := barriers(page)), as_text(found)
    here.locator("#banners [data-severity=critical] button").press("Enter")
    for page in (here, there):
        wait_for(page, f"{button} === null")
    wait_for(listed, "document.querySelector('#alerts button') === null")
    assert owner.email in listed.locator("#alerts").inner_text()
    (known,) = [each for each in console.get("/api/v1/alerts")["items"] if each["kind"] == "halted"]
    assert (known["state"], known["acknowledged_by"]) == ("seen", owner.email)


def test_the_owner_resumes_with_a_fresh_code(console: Console, opened: Opened, owner: Person) -> None:
    assert console.snapshot()["state"]["state"] == "halted"
    page = opened("/", cookies=console.cookies(owner))  # a session of its own: a fresh code makes it another
    wait_for(page, "document.getElementById('resume')?.hidden === false")
    page.locator("#resume").click()
    page.locator("#step-up-code").fill("000000")
    page.keyboard.press("Enter")
    wait_for(page, "document.getElementById('step-up-said').textContent !== ''")
    assert console.snapshot()["state"]["state"] == "halted"
    page.locator("#step-up-code").fill(owner.code())
    page.keyboard.press("Enter")
    wait_for(page, RESUMED)
    assert page.locator("#expired").is_hidden()


def test_a_flatten_by_holding_is_followed_until_the_book_is_proven_flat(
    console: Console, opened: Opened, screenshots: Path
) -> None:
    page = opened("/")
    wait_for(page, LIVE)
    before = console.snapshot()["pnl"]["open_positions"]
    assert before > 0
    console.paper.set_speed(30.0)
    page.keyboard.press("Shift+F")
    page.locator("#stop-hold").focus()
    page.keyboard.down("Enter")
    wait_for(page, "!document.getElementById('stop-steps').hidden")
    page.keyboard.up("Enter")
    page.screenshot(path=screenshots / "flatten-begun.png")
    wait_for(page, "document.getElementById('stop-end').textContent.includes('Proven flat')")
    console.paper.set_speed(CALM_SPEED)
    page.screenshot(path=screenshots / "flatten-proven.png")
    told = console.snapshot()
    assert (told["pnl"]["open_positions"], told["pnl"]["working_orders"]) == (0, 0)
    assert told["positions"]["positions"] == []
    assert told["health"]["reconciled_verdict"] in ("equal", "healed")
    assert console.paper.exchange_state["state"] == "running"
    wait_for(page, "document.querySelector('#positions .none') !== null")


def test_the_first_look_is_light_on_a_thin_line(console: Console, opened: Opened) -> None:
    """The time is printed, for the machine's load is in it; what is held is the weight and the requests."""
    look = first_look(opened("/sign-in"), f"{console.url}/")
    print(
        f"\nlargest contentful paint {look.painted_s:.2f} s, {look.served_s:.2f} s of it the server's;"
        f" {look.weight_bytes / KIB:.0f} KiB in {look.requests} requests"
    )
    assert look.weight_bytes < 120 * KIB
    assert look.requests < 30
