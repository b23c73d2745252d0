"""Every page by hand: what no other test presses is pressed here, and the keys alone reach all of it.

`controls.py` has the table of what stands on the pages and which test presses it.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from console_models import Models
from controls import NOT_PRESSED, PRESSED_BY, Hands
from ready_pages import DECISIONS, READY, ready
from running_console import CALM_SPEED, GIVING_WAY_S, WITHIN_S, Console, as_text, barriers, wait_for

from api.console.page import NAVIGATION
from infra.postgres.book import begin_run
from infra.postgres.embedded import database_url
from infra.postgres.tables import runs
from infra.research import jobs
from kitepilot.cli import importing
from kitepilot.run import Run
from research.generated_bars import GeneratedBars

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

Opened = Callable[..., "Page"]
pytestmark = [
    pytest.mark.timeout(900, func_only=True),  # the day and its start have bounds of their own
    pytest.mark.usefixtures("models"),
]
HERE = Path(__file__).parent
LIVE = "document.documentElement.dataset.link === 'live'"
LINES = "document.querySelectorAll('#lines time').length"
REPORTS = "document.querySelectorAll('#backtests [data-act=report]').length"
STATE = "document.querySelector('.trading').dataset.state"
KEYS_LOOKED_AT = 25  # of a page's own stops of the Tab key
#: What the focus is on, whether that is seen, and whether it is the page's own.
FOCUSED = """() => {
  const at = document.activeElement, style = getComputedStyle(at);
  const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const named = at.closest('nav') ? `nav ${at.getAttribute('href')}` : at.id || at.textContent.trim();
  return [named, seen, Boolean(at.closest('main'))];
}"""
#: What can be used now, the first of each list.
USABLE = """() => [...document.querySelectorAll('main :is(a[href], button, input, select)')]
  .filter((at) => !at.disabled && at.checkVisibility() && at.id && !at.closest('tbody, ol, ul, fieldset'))
  .map((at) => at.id)"""


@pytest.fixture(scope="module")
def dataset(console: Console, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two sessions of made-up bars, imported."""
    source = tmp_path_factory.mktemp("bars") / "bars.csv"
    source.write_text(bars_of(date(2026, 11, 18), date(2026, 11, 19)))
    words = importing.Words(paths=(source,), name="made-up", basis="raw", yes=True)
    importing.bring_in(console.house.home, words, importing.Console(quiet=True))
    return "made-up"


def bars_of(*days: date) -> str:
    lines = ["time,symbol,open,high,low,close,volume"]
    source = GeneratedBars(2, days, volatility_bps=20.0)
    for day, bars in ((day, source.read(day)) for day in days):
        for minute in range(len(bars.close_at)):
            clock = f"{day} {(555 + minute) // 60:02d}:{(555 + minute) % 60:02d}:00"
            for row, symbol in enumerate(bars.symbols):
                values = (bars.open, bars.high, bars.low, bars.close)
                prices = ",".join(f"{each[minute, row] / 100:.2f}" for each in values)
                lines.append(f"{clock},{symbol},{prices},{bars.volume[minute, row]}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def earlier_run(console: Console) -> Iterator[str]:
    """A run of the day before in the book of record."""
    run = console.paper.current()
    earlier = Run("paper-20261119-0001", run.folder, run.config)
    engine = sa.create_engine(database_url(run), poolclass=sa.NullPool)
    begin_run(engine, earlier)
    begun = sa.func.clock_timestamp() - sa.text("interval '1 day'")
    with engine.begin() as db:
        this = sa.update(runs).where(runs.c.run_id == earlier.run_id)
        db.execute(this.values(started_at=begun, ended_at=begun + sa.text("interval '7 hours'"), result={}))
    yield earlier.run_id
    engine.dispose()


def test_each_control_names_a_test_that_there_is() -> None:
    tests = {
        node.name
        for path in HERE.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and "opened" in {each.arg for each in node.args.args}
    }
    assert set(PRESSED_BY.values()) <= tests
    assert not PRESSED_BY.keys() & NOT_PRESSED.keys()
    assert all(len(why) > 20 for why in NOT_PRESSED.values())


@pytest.mark.parametrize("role", ["operator", "reader"])
def test_what_a_role_may_not_do_it_is_not_offered(
    console: Console, opened: Opened, hands: Hands, role: str
) -> None:
    page = opened("/", cookies=console.cookies(console.enrol(role)))
    for place in NAVIGATION:
        if place.path != "/":
            page.goto(f"{console.url}{place.path}", wait_until="domcontentloaded")
        hands.look(page)
    offered = hands.seen
    assert not offered & {"/ #resume", "/settings #reload", "/strategies #promote", "/strategies #rollback"}
    stops = {"* button[halt]", "* button[flatten]", "/risk #make", "/readiness #again", "/research #start"}
    assert offered & stops == (stops if role == "operator" else set())


def test_the_keys_alone_lead_to_every_page_and_to_all_that_is_on_it(console: Console, opened: Opened) -> None:
    page = opened("/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main", "past the navigation with one key"
    for place in [*NAVIGATION[1:], NAVIGATION[0]]:
        to_stop(page, f"nav {place.path}")
        page.keyboard.press("Enter")
        arrived(page, place.path)
        wait_for(page, LIVE)
        to_stop(page, f"nav {NAVIGATION[-1].path}")
        usable = set(page.evaluate(USABLE))
        stops, round_it = page_stops(page)
        if round_it:
            assert usable & set(page.evaluate(USABLE)) <= set(stops), place.path
    page.goto(f"{console.url}/runs", wait_until="domcontentloaded")
    page.locator(".brand").press("Enter")
    arrived(page, "/")


def arrived(page: Page, path: str) -> None:
    page.wait_for_url(lambda url: urlsplit(url).path == path, timeout=WITHIN_S * 1e3)


def to_stop(page: Page, name: str) -> None:
    """With the Tab key from the page's top."""
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0); getSelection().removeAllRanges()")
    page.locator("a.skip").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED)[0] == name:
            return
    raise AssertionError(f"{name} is not reached")


def page_stops(page: Page) -> tuple[list[str], bool]:
    """The first stops within the page's own part, each one seen, and whether these are all of them."""
    stops: list[str] = []
    for _ in range(KEYS_LOOKED_AT):
        page.keyboard.press("Tab")
        name, seen, own = page.evaluate(FOCUSED)
        if not own and stops:
            return stops, True
        if own:
            assert seen, f"{page.url} {name}: the focus cannot be seen"
            stops.append(name)
    return stops, False


def test_the_day_is_narrowed_to_what_is_looked_for(console: Console, opened: Opened) -> None:
    page = opened("/day")
    page.route("**/api/v1/timeline?limit=200*", lambda asked: few(asked, "limit=200", "limit=20"))
    wait_for(page, f"{LINES} > 20")
    page.reload(wait_until="domcontentloaded")
    wait_for(page, f"{LINES} === 20")
    page.click("#older")
    wait_for(page, f"{LINES} === 40")
    console.paper.set_speed(60.0)
    page.locator("#newer").wait_for()
    console.paper.set_speed(CALM_SPEED)
    page.click("#newer")
    wait_for(page, f"{LINES} === 20")
    symbol = console.get("/api/v1/fills?limit=1")["items"][0]["tradingsymbol"]
    page.fill("#symbol", symbol.lower())
    wait_for(page, every_line(f"each.textContent.includes('{symbol}')"))
    page.select_option("#strategy", "ma_cross")
    wait_for(page, every_line(f"/{symbol}.*ma_cross/.test(each.textContent)"))
    page.fill("#symbol", "")
    page.check("#refused")
    wait_for(page, every_line("each.dataset.tone === 'down'"))
    page.uncheck("#refused")
    wait_for(page, "document.querySelector('#lines [data-tone=even]') !== null")
    button = page.locator("#lines button").first
    button.press("Enter")
    wait_for(page, "document.querySelector('#explain').open")
    page.locator("#explain-close").press("Enter")
    assert page.evaluate("document.activeElement.closest('#lines') !== null"), "back where the reader was"


def few(asked: Route, whole: str, part: str) -> None:
    """The same question for fewer."""
    asked.continue_(url=asked.request.url.replace(whole, part))


def every_line(holds: str) -> str:
    """There are some, and it holds of each."""
    return (
        "(() => { const found = [...document.querySelectorAll('#lines li')];"
        f" return found.length > 0 && found.every((each) => {holds}); }})()"
    )


def test_the_chart_shows_another_instrument_interval_and_run_by_keys(
    console: Console, opened: Opened, earlier_run: str
) -> None:
    page = ready(opened, "/chart")
    first = page.evaluate("new URLSearchParams(location.search).get('symbol')")
    traded = {each["tradingsymbol"] for each in console.get("/api/v1/fills?limit=500")["items"]}
    other = sorted(traded - {first})[0]
    page.fill("#symbol", other.lower())
    page.keyboard.press("Enter")
    wait_for(page, f"location.search.includes('symbol={other}')")
    wait_for(page, f"document.querySelector('#chart').getAttribute('aria-label').includes('{other}')")
    page.locator("#interval").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    wait_for(page, "location.search.includes('interval=5m')")
    page.select_option("#run", earlier_run)
    wait_for(page, f"location.search.includes('run={earlier_run}')")
    wait_for(page, "document.querySelector('#play').disabled && document.querySelector('#at').disabled")
    page.reload(wait_until="domcontentloaded")
    wait_for(page, f"document.querySelector('#run').value === '{earlier_run}'")
    assert page.input_value("#interval") == "5m", "the address keeps what was chosen"


def test_a_replay_is_paused_and_sought_by_keys(opened: Opened) -> None:
    page = ready(opened, "/chart")
    page.locator("#at").press("Home")
    assert page.evaluate(DECISIONS) == 0
    page.select_option("#speed", "60")
    page.locator("#play").press("Enter")
    begun = "document.querySelector('#at').valueAsNumber > Number(document.querySelector('#at').min)"
    wait_for(page, begun)
    if page.get_attribute("#play", "aria-pressed") == "true":  # a slow look finds it at its end
        page.locator("#play").press("Enter")
    assert page.get_attribute("#play", "aria-pressed") == "false"
    stood = int(page.input_value("#at"))
    page.locator("#at").press("ArrowLeft")
    assert int(page.input_value("#at")) == stood - 1, "a second by one key"
    page.locator("#at").press("End")
    assert page.evaluate(DECISIONS) > 0
    assert "IST" in page.inner_text("#clock")


def test_the_live_model_is_rolled_back_by_a_click(
    console: Console, opened: Opened, screenshots: Path, models: Models
) -> None:
    owner = console.enrol("owner")
    page = ready(opened, "/strategies", cookies=console.cookies(owner))
    page.locator("#models tr", has_text=models.live).locator("button").click()
    page.locator("#rollback").wait_for()
    wait_for(page, "!document.querySelector('#rollback').disabled")
    page.fill("#why", "losing since noon")
    page.click("#rollback")
    assert not (found := barriers(page)), as_text(found)
    page.locator("#step-up-cancel").click()
    assert page.locator("#step-up").is_hidden()
    assert stage(console, models.live) == "live", "nothing happens without the code"
    wait_for(page, "!document.querySelector('#rollback').disabled")
    page.click("#rollback")
    page.locator("#step-up-code").fill(owner.code())
    page.locator("#step-up-form .main").click()
    wait_for(
        page, f"document.querySelector('#model-told').textContent.includes('{models.before} is live now')"
    )
    page.screenshot(path=screenshots / "model-rolled-back.png", full_page=True)
    assert (stage(console, models.live), stage(console, models.before)) == ("retired", "live")
    newest = page.locator("#history tr").first.inner_text()
    assert "losing since noon" in newest
    assert owner.email in newest


def stage(console: Console, model: str) -> str:
    return str(console.get(f"/api/v1/models/{model}")["model"]["stage"])


def test_runs_go_on_where_the_list_ends(console: Console, opened: Opened, earlier_run: str) -> None:
    page = opened("/settings")
    page.route("**/api/v1/runs?limit=50*", lambda asked: few(asked, "limit=50", "limit=1"))
    page.goto(f"{console.url}/runs", wait_until="domcontentloaded")
    wait_for(page, "document.querySelectorAll('#runs button').length === 1")
    page.click("#older")
    wait_for(page, "document.querySelectorAll('#runs button').length === 2")
    assert earlier_run in page.inner_text("#runs")
    assert page.locator("#older").is_hidden()
    page.locator("#runs button").first.press("Enter")
    wait_for(page, "document.querySelector('#config').open")
    assert not (found := barriers(page)), as_text(found)
    page.locator("#config-close").press("Enter")
    assert page.evaluate("document.activeElement.closest('#runs') !== null"), "back where the reader was"


def test_settings_are_narrowed_to_what_was_changed(opened: Opened) -> None:
    page = ready(opened, "/settings")
    whole = page.locator("#settings tr").count()
    page.locator("#only").press("Space")
    wait_for(page, f"document.querySelectorAll('#settings tr').length < {whole}")
    changed = page.locator("#settings tr").count()
    assert page.locator("#settings [data-tone=warn]").count() == changed > 5


@pytest.mark.timeout(3600, func_only=True)
def test_a_backtest_of_a_dataset_is_cancelled_and_another_one_shown(
    console: Console, opened: Opened, dataset: str, screenshots: Path
) -> None:
    page = ready(opened, "/research")
    page.select_option("#dataset", dataset)
    page.select_option("#strategy", "ma_cross")
    page.fill("#parameters input >> nth=0", "3")
    page.fill("#first", "2026-11-18")
    page.fill("#last", "2026-11-18")
    page.fill("#symbols", ", ".join(console.get("/api/v1/datasets")["items"][0]["symbols"]))
    page.fill("#capital", "500000")
    assert "5,00,000" in page.inner_text("#about-capital")
    wait_for(page, "document.querySelector('#backtests tr') !== null")
    before = page.evaluate(REPORTS)
    page.click("#start")
    wait_for(page, f"{REPORTS} > {before}", GIVING_WAY_S)
    with shelf_taken(console.house.home):
        page.locator("#start").press("Enter")
        cancel = page.locator("#backtests button[data-act=cancel]")
        cancel.wait_for()
        page.screenshot(path=screenshots / "research-waiting.png", full_page=True)
        cancel.press("Enter")
        wait_for(page, "document.querySelector('#backtests button[data-act=cancel]') === null")
        assert "cancelled" in page.locator("#backtests tr").first.inner_text()
    assert page.evaluate(REPORTS) == before + 1
    page.locator("#backtests button[data-act=report]").first.press("Enter")
    wait_for(page, "document.querySelector('#report').src.endsWith('/report')")
    assert page.evaluate("document.activeElement.id") == "h-report"


@contextmanager
def shelf_taken(home: Path) -> Iterator[None]:
    """Whoever makes backtests finds somebody else at it: what is asked for meanwhile waits."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        with jobs.alone(home) as mine:
            if mine:
                yield
                return
        assert time.monotonic() < deadline, "the backtest before never ended"
        time.sleep(0.05)


def test_colours_and_language_are_the_readers_own_and_stay(opened: Opened) -> None:
    page = opened("/runs")
    page.select_option("#theme", "light")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    with page.expect_navigation(timeout=WITHIN_S * 1e3):
        page.select_option("#language", "hi-IN")
    wait_for(
        page,
        "document.documentElement.lang === 'hi-IN' && document.documentElement.dataset.theme === 'light'",
    )
    with page.expect_navigation(timeout=WITHIN_S * 1e3):
        page.select_option("#language", "en-IN")
    wait_for(page, "document.documentElement.lang === 'en-IN'")
    page.select_option("#theme", "")
    page.reload(wait_until="domcontentloaded")
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_who_was_signed_out_signs_in_again_where_he_was(console: Console, opened: Opened) -> None:
    reader = console.enrol("reader")
    with closing(console.sign_in(reader)) as client:
        cookies = [{"name": n, "value": v, "url": console.url} for n, v in client.cookies.items()]
        page = opened("/runs", cookies=cookies, scheme="light")
        wait_for(page, LIVE)
        client.delete("/api/v1/session").raise_for_status()
    wait_for(page, "document.querySelector('#expired').open")
    assert not (found := barriers(page)), as_text(found)
    page.locator("#expired-sign-in").click()
    page.wait_for_url("**/sign-in?next=%2Fruns", timeout=WITHIN_S * 1e3)
    page.fill("#email", reader.email)
    page.fill("#password", reader.password)
    page.click("#other-way")
    page.fill("#recovery", reader.codes.pop())
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs", timeout=WITHIN_S * 1e3)


def test_an_owner_halts_by_the_button_answers_the_alert_and_resumes(
    console: Console, opened: Opened, screenshots: Path
) -> None:
    owner = console.enrol("owner")
    page = opened("/alerts", cookies=console.cookies(owner))
    wait_for(page, LIVE)
    wait_for(page, READY["/alerts"])
    page.click("button[data-stop=halt]")
    page.locator("#stop-word").press_sequentially("halt")
    wait_for(page, "document.getElementById('stop-end').textContent.includes('Halted')")
    assert not (found := barriers(page)), as_text(found)
    page.screenshot(path=screenshots / "halted-dialog.png")
    page.locator("#stop-close").press("Enter")
    assert page.evaluate("document.activeElement.dataset.stop") == "halt", "back where the reader was"
    ours = page.locator("#alerts tr", has_text="Halted").locator("button")
    ours.press("Enter")
    ours.wait_for(state="detached")
    page.goto(f"{console.url}/", wait_until="domcontentloaded")
    page.locator("#resume").click()
    page.locator("#step-up-code").fill(owner.code())
    page.keyboard.press("Enter")
    wait_for(page, f"{STATE} === 'active'")


def test_more_alerts_than_fit_lead_to_their_page(console: Console, opened: Opened) -> None:
    told = console.get("/api/v1/alerts")
    open_one = {**told["items"][0], "state": "open", "severity": "critical"}
    told["items"] = [{**open_one, "key": f"{open_one['key']}-{number}"} for number in range(5)]
    page = opened("/runs")
    page.route("**/api/v1/alerts", lambda asked: asked.fulfill(json=told))
    page.reload(wait_until="domcontentloaded")
    page.locator("#banners-list a").click()
    page.wait_for_url("**/alerts", timeout=WITHIN_S * 1e3)
