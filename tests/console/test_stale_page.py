"""A page that cannot know whether its figures are of now says so, and lets nothing that acts be pressed.

The page's own script runs here with the test's hand on both clocks: the bounds are held to the millisecond.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from api.console import assets
from api.live.hub import HEARTBEAT_S

SCRIPT = Path(__file__).with_name("stale_page.mjs")
ON = {"acts": True, "link": "live"}
OFF = {"acts": False, "link": "stale"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page said and let be pressed, by what had happened."""
    playwright = pytest.importorskip("playwright", reason="playwright is missing: `make bootstrap`")
    node = Path(playwright.__file__).parent / "driver" / "node"
    folder = tmp_path_factory.mktemp("stale")
    for name in ("live.js", "moment.js"):
        shutil.copy(assets.FOLDER / name, folder)
    done = subprocess.run([node, SCRIPT, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_nothing_acts_before_the_stream_has_spoken(told: dict[str, Any]) -> None:
    assert told["opening"] == {"acts": False, "link": "opening"}
    assert told["live"] == ON


def test_a_page_is_stale_within_two_seconds_of_the_last_word_and_not_before_three_beats_failed(
    told: dict[str, Any],
) -> None:
    assert 3 * HEARTBEAT_S * 1e3 < told["silence"]["ms"] <= 2_000
    assert told["silence"] == OFF | {"ms": told["silence"]["ms"], "streams": 1}
    assert told["again"] == ON


@pytest.mark.parametrize("clock", ["steady", "wall"])
def test_a_laptop_that_wakes_acts_on_nothing_before_it_has_heard_anew(
    told: dict[str, Any], clock: str
) -> None:
    """No timer has run when the first hand comes down, and one of the clocks may have stood still."""
    assert told[f"{clock} leaps"] == OFF | {"opened": 1}
    assert told[f"{clock} leaps, an old word"] == OFF
    assert told[f"{clock} leaps, a new word"] == ON


def test_what_is_read_after_a_sleep_is_not_believed_for_it_was_sent_before(told: dict[str, Any]) -> None:
    assert told["asleep, a word first"] == OFF


def test_a_clock_that_is_set_back_makes_nothing_young(told: dict[str, Any]) -> None:
    assert told["the clock is set back"] == OFF
    assert told["the clock is set back, a word"] == ON


def test_a_line_that_falls_two_seconds_behind_is_opened_anew(told: dict[str, Any]) -> None:
    assert told["a line that falls behind"]["opened"] == 1
    assert told["a line that falls behind"]["ms"] <= 2_500


def test_silence_of_the_decisions_ends_with_the_day(told: dict[str, Any]) -> None:
    assert told["the decisions are silent"] == {"acts": False, "link": "quiet"}
    assert told["the decisions are silent after the day"] == ON
