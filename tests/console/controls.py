"""What can be pressed on the pages, how a press is heard, and which test makes it.

Every test that opens a page is held to this table when it ends: no control stands on its pages that has no
line here, and each line that names the test was pressed in it. So a new button fails whatever test sees it
until it has a test of its own, and a line that nobody presses fails the test that it names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

#: A control's name: its page ("*": on every page), then its id, or the list in which it repeats.
HEARING = """
(() => {
  const KINDS = "a[href], button, input, select, textarea, summary, form";
  const HEARD = ["click", "input", "change", "submit", "reset", "keydown"];
  const PRESSING = new Set(["Enter", " "]);
  const LISTS = "tbody[id], ol[id], ul[id], fieldset[id], #banners-list, #explain-body, nav";
  const plain = (at) => {
    const list = at.closest(LISTS);
    const act = at.dataset.act ? `[${at.dataset.act}]` : "";
    if (list?.localName === "nav") return `nav ${at.getAttribute("href")}`;
    if (list) return `#${list.id} ${at.localName}${act}`;
    if (at.id) return `#${at.id}`;
    if (at.dataset.stop) return `${at.localName}[${at.dataset.stop}]`;
    const own = at.type && at.type !== "button" ? `[${at.name || at.type}]` : "";
    const around = at.closest("[id]");
    return `${around ? `#${around.id}` : at.closest("header, footer, body").localName} ${at.localName}${own}`;
  };
  const name = (at) => `${at.closest("main") ? location.pathname : "*"} ${plain(at)}`;
  window.controlsNow = () => [...new Set([...document.querySelectorAll(KINDS)].map(name))];
  const hear = (event) => {
    const at = event.target.closest?.(KINDS);
    if (!at || (event.type === "keydown" && (at.localName !== "button" || !PRESSING.has(event.key)))) return;
    if (event.type === "click" && at.matches("select, textarea, input:not([type=checkbox])")) return;
    window.controlPressed(name(at));
  };
  for (const kind of HEARD) addEventListener(kind, hear, { capture: true });
})();
"""


@dataclass
class Hands:
    """What was seen and pressed on the pages of one test."""

    seen: set[str] = field(default_factory=set)
    pressed: set[str] = field(default_factory=set)
    _pages: list[Page] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        """Before its first page is opened."""
        context.expose_binding("controlPressed", lambda _, name: self.pressed.add(name))
        context.add_init_script(HEARING)

    def look(self, page: Page) -> None:
        """What stands on it now; a page that is not ours, or is being left, is none."""
        found: Any = page.evaluate("window.controlsNow ? window.controlsNow() : []")
        self.seen.update(found)

    def faults(self, test: str) -> list[str]:
        """Controls without a line, and lines of this test that it did not press."""
        unknown = sorted((self.seen | self.pressed) - PRESSED_BY.keys() - NOT_PRESSED.keys())
        claimed = {name for name, presser in PRESSED_BY.items() if presser == test}
        return [f"no line in tests/console/controls.py: {name}" for name in unknown] + [
            f"{test} did not press: {name}" for name in sorted(claimed - self.pressed)
        ]


#: A control and the test that presses it.
PRESSED_BY: dict[str, str] = {
    name: test
    for test, names in {
        "test_password_and_code_lead_to_the_page_that_was_asked_for": (
            "/sign-in #email",
            "/sign-in #password",
            "/sign-in #code",
            "/sign-in #sign-in button[submit]",
            "/sign-in #sign-in",
            "* #sign-out",
        ),
        "test_who_was_signed_out_signs_in_again_where_he_was": (
            "/sign-in #other-way",
            "/sign-in #recovery",
            "* #expired-sign-in",
        ),
        "test_the_keys_alone_lead_to_every_page_and_to_all_that_is_on_it": (
            "* body a",
            "* header a",
            "* nav /",
            "* nav /day",
            "* nav /alerts",
            "* nav /chart",
            "* nav /risk",
            "* nav /strategies",
            "* nav /runs",
            "* nav /research",
            "* nav /readiness",
            "* nav /settings",
        ),
        "test_a_flatten_by_holding_is_followed_until_the_book_is_proven_flat": ("* #stop-hold",),
        "test_a_page_that_hears_nothing_says_so_and_acts_on_nothing_old": ("* button[flatten]",),
        "test_an_owner_halts_by_the_button_answers_the_alert_and_resumes": (
            "* button[halt]",
            "* #stop-word",
            "* #stop-close",
            "/alerts #alerts button",
        ),
        "test_a_finger_that_slips_halts_nothing": ("* #stop-form",),
        "test_a_halt_calls_people_until_one_says_that_he_knows": ("* #banners-list button",),
        "test_more_alerts_than_fit_lead_to_their_page": ("* #banners-list a",),
        "test_the_owner_resumes_with_a_fresh_code": (
            "/ #resume",
            "* #step-up-code",
            "* #step-up-form",
        ),
        "test_the_live_model_is_rolled_back_by_a_click": (
            "/strategies #rollback",
            "* #step-up-cancel",
            "* #step-up-form button[submit]",
        ),
        "test_before_the_end_the_page_asks_whether_somebody_is_there": ("* #ending-stay",),
        "test_colours_and_language_are_the_readers_own_and_stay": (
            "* #theme",
            "* #language",
        ),
        "test_the_day_is_filtered_and_each_order_explains_itself": (
            "/day #filter input[kind]",
            "/day #filter",
            "/day #filter button[reset]",
            "/day #lines button",
        ),
        "test_the_day_is_narrowed_to_what_is_looked_for": (
            "/day #symbol",
            "/day #strategy",
            "/day #refused",
            "/day #newer",
            "/day #older",
            "/day #explain-close",
        ),
        "test_the_chart_shows_another_instrument_interval_and_run_by_keys": (
            "/chart #choose",
            "/chart #choose button[submit]",
            "/chart #symbol",
            "/chart #run",
            "/chart #interval",
        ),
        "test_a_replay_is_paused_and_sought_by_keys": (
            "/chart #play",
            "/chart #at",
            "/chart #speed",
        ),
        "test_a_limit_is_tightened_at_once_and_loosened_only_with_a_fresh_code": (
            "/risk #rows input",
            "/risk #editor",
            "/risk #editor button[reset]",
            "/risk #reason",
            "/risk #commit",
            "/risk #make",
        ),
        "test_a_strategy_is_switched_off_and_on_again": ("/strategies #strategies button",),
        "test_models_are_set_side_by_side": ("/strategies #models input",),
        "test_a_model_shows_its_gates_and_is_not_promoted_past_them": ("/strategies #models button",),
        "test_a_model_that_passes_its_gates_is_promoted_with_a_fresh_code_and_a_reason": (
            "/strategies #why",
            "/strategies #promote",
        ),
        "test_runs_go_on_where_the_list_ends": (
            "/runs #older",
            "/runs #config-close",
        ),
        "test_a_run_shows_its_configuration": ("/runs #runs button",),
        "test_a_backtest_of_a_dataset_is_cancelled_and_another_one_shown": (
            "/research #begin",
            "/research #dataset",
            "/research #strategy",
            "/research #parameters input",
            "/research #first",
            "/research #last",
            "/research #symbols",
            "/research #capital",
            "/research #start",
            "/research #backtests button[cancel]",
            "/research #backtests button[report]",
        ),
        "test_bars_of_ones_own_show_their_signals_and_become_a_backtest_with_a_report": (
            "/research #file",
            "/research #preview",
            "/research #preview button[submit]",
            "/research #trade-file",
        ),
        "test_the_checks_of_the_morning_are_made_again": ("/readiness #again",),
        "test_settings_are_narrowed_to_what_was_changed": ("/settings #only",),
        "test_the_file_read_again_shows_what_would_change_before_it_is_taken": (
            "/settings #reload",
            "/settings #take",
        ),
    }.items()
    for name in names
}
#: A control that no test presses, and why.
NOT_PRESSED: dict[str, str] = {
    "/ #old": "a test puts it there: whatever acts is off while the page is old",
    "* footer a": "leads away, as the licence of the charts asks: no test leaves the machine",
    "* #banners-list button[dismiss]": "of the stream's own alerts, where nothing calls people",
    "/strategies #move": "a key in its field submits nothing: what moves a model are its two buttons",
    "/settings #older": "twenty runs and more: tests/api/test_config_history.py pages through them",
}
