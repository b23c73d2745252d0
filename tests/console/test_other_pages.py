"""Day, Risk, Chart, Strategies and Runs over a running day: what they show is so, what is pressed is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from console_models import Models
from ready_pages import DECISIONS, READY, held_to_wcag, ready
from running_console import GIVING_WAY_S, Console, Person, as_text, barriers, wait_for

from kitepilot import config as configuration

if TYPE_CHECKING:
    from playwright.sync_api import Page

Opened = Callable[..., "Page"]
pytestmark = [
    pytest.mark.timeout(900, func_only=True),  # the day and its start have bounds of their own
    pytest.mark.usefixtures("models"),
]
LIVE = "document.documentElement.dataset.link === 'live'"
KINDS = "[...document.querySelectorAll('#lines .kind')].map((each) => each.textContent)"
DIFFERENCES = "document.querySelectorAll('#diff li:not(.none)').length"


@pytest.fixture(scope="module")
def changer(console: Console) -> Person:
    """An owner who changes things, each time in a session whose one-time code is not fresh."""
    return console.enrol("owner")


@pytest.mark.parametrize("path", sorted(READY.keys() - {"/", "/sign-in"}))
def test_a_page_opens_with_data_and_without_a_barrier(opened: Opened, screenshots: Path, path: str) -> None:
    held_to_wcag(ready(opened, path), path, screenshots)


@pytest.mark.parametrize("path", ["/day", "/chart"])
def test_a_time_is_not_broken_on_a_phone(opened: Opened, path: str) -> None:
    page = ready(opened, path, width=390)
    broken = """() => [...document.querySelectorAll('.timeline time')].filter((each) => {
        const range = document.createRange();
        range.selectNodeContents(each);
        return range.getClientRects().length > 1;
    }).length"""
    assert page.evaluate(broken) == 0


def test_the_day_is_filtered_and_each_order_explains_itself(opened: Opened, screenshots: Path) -> None:
    page = ready(opened, "/day")
    for kind in ("signal", "verdict", "alert", "note"):
        page.uncheck(f"input[value={kind}]")
    wait_for(page, f"{KINDS}.length > 0 && {KINDS}.every((each) => each === 'Order')")
    page.locator("#lines button").first.click()
    wait_for(page, "document.querySelector('#explain').open")
    assert page.locator("#explain-body .feed li").count() > 0
    page.screenshot(path=screenshots / "day-explain.png")
    assert not (found := barriers(page)), as_text(found)
    page.keyboard.press("Escape")
    page.locator("#filter button[type=reset]").click()
    wait_for(page, f"new Set({KINDS}).size > 2")


def test_the_day_is_played_again_with_decisions_as_they_were_made(opened: Opened) -> None:
    page = ready(opened, "/chart")
    before_anything = "input => { input.value = input.min; input.dispatchEvent(new Event('input')); }"
    page.eval_on_selector("#at", before_anything)
    assert page.evaluate(DECISIONS) == 0, "at the session's first second nothing had been decided"
    page.select_option("#speed", "6000")
    page.click("#play")
    wait_for(page, f"{DECISIONS} > 0")
    wait_for(page, "document.querySelector('#play').getAttribute('aria-pressed') === 'false'")
    times = page.evaluate("[...document.querySelectorAll('#decisions time')].map((each) => each.textContent)")
    assert times == sorted(times, reverse=True)


def test_models_are_set_side_by_side(opened: Opened, screenshots: Path, models: Models) -> None:
    page = ready(opened, "/strategies")
    for model in (models.unproven, models.proven):
        page.locator("#models tr", has_text=model).locator("input").check()
    wait_for(page, "document.querySelector('#compared table') !== null")
    page.screenshot(path=screenshots / "models-compared.png", full_page=True)
    told = page.locator("#compared").inner_text()
    assert "0.53" in told, "the one's AUC"
    assert "0.24" in told, "the other's Brier score"


def test_a_model_shows_its_gates_and_is_not_promoted_past_them(
    opened: Opened, screenshots: Path, models: Models
) -> None:
    page = ready(opened, "/strategies")
    look_at(page, models.unproven)
    assert page.locator("#gates [data-tone=down]").count() > 0, "it has no leak check and no walk-forward"
    assert page.locator("#promote").is_disabled() and page.locator("#rollback").is_hidden()
    assert "registered" in page.locator("#history").inner_text()
    page.screenshot(path=screenshots / "model-gates.png", full_page=True)
    assert not (found := barriers(page)), as_text(found)


def test_a_model_that_passes_its_gates_is_promoted_with_a_fresh_code_and_a_reason(
    console: Console, opened: Opened, screenshots: Path, models: Models
) -> None:
    owner = console.enrol("owner")
    page = ready(opened, "/strategies", cookies=console.cookies(owner))
    look_at(page, models.proven)
    wait_for(page, "!document.querySelector('#promote').disabled")
    page.fill("#why", "five good weeks")
    page.click("#promote")
    page.locator("#step-up-code").fill(owner.code())
    page.keyboard.press("Enter")
    wait_for(page, "document.querySelector('#model-told').textContent.includes('is shadow now')")
    page.screenshot(path=screenshots / "model-promoted.png", full_page=True)
    newest = page.locator("#history tr").first.inner_text()
    assert "candidate → shadow" in newest and owner.email in newest and "five good weeks" in newest
    told = console.get(f"/api/v1/models/{models.proven}")
    assert (told["model"]["stage"], told["history"][0]["made_by"]) == ("shadow", owner.email)


def look_at(page: Page, model: str) -> None:
    """The model, with its gates and its history."""
    page.locator("#models tr", has_text=model).locator("button").click()
    wait_for(page, "document.querySelectorAll('#gates tr').length > 2")


def test_the_checks_of_the_morning_are_made_again(opened: Opened, screenshots: Path) -> None:
    page = ready(opened, "/readiness")
    page.click("#again")
    wait_for(page, "document.querySelectorAll('#checks th').length > 5")
    assert "green" in page.locator("#checks").inner_text()
    page.screenshot(path=screenshots / "readiness.png", full_page=True)
    assert not (found := barriers(page)), as_text(found)


def test_a_run_shows_its_configuration(opened: Opened, screenshots: Path) -> None:
    page = ready(opened, "/runs")
    page.locator("#runs button").first.click()
    wait_for(page, "document.querySelector('#config').open")
    assert "mode: paper" in page.inner_text("#config-text")
    page.screenshot(path=screenshots / "run-configuration.png")


def test_the_file_read_again_shows_what_would_change_before_it_is_taken(
    console: Console, opened: Opened, screenshots: Path
) -> None:
    owner = console.enrol("owner")
    page = ready(opened, "/settings", cookies=console.cookies(owner))
    path = console.house.config_path
    was, config = path.read_text(), configuration.load(path)
    quiet = configuration.override(config, **{"alerts.quiet": "22:00-07:00"})
    try:
        path.write_text(configuration.dump(configuration.override(quiet, **{"watchdog.late_s": 45.0})))
        page.click("#reload")
        wait_for(page, "document.querySelectorAll('#differs th').length === 2")
        assert page.locator("#take").is_hidden(), "one of them waits for the next run"
        path.write_text(configuration.dump(quiet))
        page.click("#reload")
        wait_for(page, "document.querySelectorAll('#differs th').length === 1")
        page.screenshot(path=screenshots / "settings-read-again.png", full_page=True)
        assert not (found := barriers(page)), as_text(found)
        page.click("#take")
        page.locator("#step-up-code").fill(owner.code())
        page.keyboard.press("Enter")
        wait_for(page, "document.querySelector('#beside').textContent !== ''")
    finally:
        path.write_text(was)
    row = page.locator("#settings tr", has_text="alerts.quiet").inner_text()
    assert "22:00-07:00" in row and "read again" in row
    told = console.get("/api/v1/config")
    assert (
        told["config_hash"] == configuration.config_hash(console.paper.current().config) != told["in_force"]
    )


def test_a_limit_is_tightened_at_once_and_loosened_only_with_a_fresh_code(
    console: Console, opened: Opened, changer: Person, screenshots: Path
) -> None:
    page = ready(opened, "/risk", cookies=console.cookies(changer))
    version = console.get("/api/v1/risk")["version"]
    wait_for(page, LIVE)

    page.fill("#limit-open_positions", "1")
    wait_for(page, f"{DIFFERENCES} === 1")
    assert "open_positions 5 -> 1" in page.inner_text("#diff")
    assert page.locator("#differences [data-tone=down]").count() > 0, "of today's entries one was the second"
    page.screenshot(path=screenshots / "risk-preview.png", full_page=True)
    page.locator("#editor button[type=reset]").click()
    wait_for(page, f"{DIFFERENCES} === 0")
    assert console.get("/api/v1/risk")["version"] == version, "a preview changes nothing"

    change(page, "4", "a thin market")
    assert open_positions(console) == (version + 1, 4)
    assert page.locator("#step-up").is_hidden()

    change(page, "5", "it thickened", code=changer.code)
    assert open_positions(console) == (version + 2, 5)


def change(page: Page, wanted: str, reason: str, code: Callable[[], str] | None = None) -> None:
    """Committed by the keyboard, and said to be in force; `code` where a fresh one is asked for."""
    page.fill("#limit-open_positions", wanted)
    wait_for(page, f"{DIFFERENCES} === 1 && !document.querySelector('#make').disabled")
    page.fill("#reason", reason)
    page.keyboard.press("Enter")
    if code is not None:
        page.locator("#step-up-code").fill(code())
        page.keyboard.press("Enter")
    wait_for(page, f"document.querySelector('#done').textContent !== '' && {DIFFERENCES} === 0")


def open_positions(console: Console) -> tuple[int, float]:
    """The profile's version and how many positions it lets be open."""
    told = console.get("/api/v1/risk")
    (limit,) = [each["value"] for each in told["limits"] if each["name"] == "open_positions"]
    return told["version"], limit


def test_a_strategy_is_switched_off_and_on_again(console: Console, opened: Opened) -> None:
    page = ready(opened, "/strategies", cookies=console.cookies(beginner := console.enrol("owner")))
    button = page.locator("#strategies button")
    wait_for(page, "!document.querySelector('#strategies button').disabled")
    button.click()
    console.until("no strategy", lambda told: not told["state"]["strategies"])
    wait_for(page, "document.querySelector('#strategies .off') !== null")
    wait_for(page, "document.querySelector('#strategies button').ariaDisabled === 'false'")
    assert page.evaluate("document.activeElement.closest('#strategies') !== null"), "the hand is where it was"
    button.click()
    page.locator("#step-up-code").fill(beginner.code())
    page.keyboard.press("Enter")
    console.until("the strategy", lambda told: told["state"]["strategies"] == ["ma_cross"])
    wait_for(page, "document.querySelector('#strategies .on') !== null")


@pytest.mark.timeout(3600, func_only=True)
def test_bars_of_ones_own_show_their_signals_and_become_a_backtest_with_a_report(
    opened: Opened, screenshots: Path
) -> None:
    page = ready(opened, "/research")
    page.select_option("#strategy", "ma_cross")
    page.set_input_files("#file", {"name": "bars.csv", "mimeType": "text/csv", "buffer": bars_of_a_day()})
    page.click("#preview button[type=submit]")
    wait_for(page, "document.querySelectorAll('#wishes th').length > 0", GIVING_WAY_S)
    page.click("#trade-file")
    wait_for(page, "document.querySelectorAll('#backtests th').length > 0", GIVING_WAY_S)
    wait_for(page, "document.querySelector('#backtests button')?.textContent === 'Report'", GIVING_WAY_S)
    page.locator("#backtests button").first.click()
    wait_for(page, "document.querySelector('#report').src.endsWith('/report')")
    assert "ma_cross" in (page.text_content("#h-report") or "")
    page.screenshot(path=screenshots / "research-used.png", full_page=True)


def bars_of_a_day() -> bytes:
    """One stock that goes up and down every half hour."""
    lines = ["time,symbol,open,high,low,close,volume"]
    price = 100_000
    for minute in range(375):
        before, price = price, price + (50 if minute // 30 % 2 else -50)
        clock = f"2026-11-19 {(555 + minute) // 60:02d}:{(555 + minute) % 60:02d}:00"
        prices = ",".join(
            f"{each / 100:.2f}" for each in (before, max(before, price), min(before, price), price)
        )
        lines.append(f"{clock},ZIGZAG,{prices},5000")
    return ("\n".join(lines) + "\n").encode()
