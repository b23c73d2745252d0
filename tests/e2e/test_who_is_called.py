"""A short day in which much happens: each who is called hears of it once, and nobody of a secret."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from alarming import HALT, KILLED, LOSS, SILENT, alarm
from loopback_ports import free_port
from outside import Outside, words_of
from paper_house import OPEN_NS, Day, House
from planted import (
    OF_ENVIRONMENT,
    OWN_PLACES,
    everything_told,
    kinds_in,
    places_of,
    secrets_of,
    visit,
)

from kitepilot.run import Run

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def short_day(
    build_house: Callable[..., House], tmp_path_factory: pytest.TempPathFactory
) -> tuple[House, Run, Day]:
    """Its owner signs in at the open; then it goes wrong in four ways and is ended as by Ctrl-C."""
    outside = Outside(free_port())
    house = build_house(
        tmp_path_factory.mktemp("called") / "home",
        instruments=8,
        outside=outside,
        environment=OF_ENVIRONMENT,
        changes={"alerts.dead_man_s": 5.0},
    )
    with outside.listening(refusing=1) as heard, house.paper() as paper:
        paper.await_time(OPEN_NS)
        visited, run = visit(paper), paper.current()
        alarm(paper, heard)
        paper.interrupt()
        day = paper.wait()
    day.heard, day.visit = heard, visited
    return house, run, day


@pytest.fixture(scope="module")
def secrets(short_day: tuple[House, Run, Day]) -> dict[str, str]:
    _, run, day = short_day
    return secrets_of(run, day.visit)


def test_a_dead_process_a_silent_log_a_loss_and_a_halt_are_told_in_their_order(
    short_day: tuple[House, Run, Day],
) -> None:
    keys = [each.key for each in short_day[2].heard.told]
    first = [keys.index(key) for key in (KILLED, SILENT, LOSS, HALT)]
    assert first == sorted(first)


def test_each_is_told_once_though_the_receiver_was_away_at_first(short_day: tuple[House, Run, Day]) -> None:
    """A silence that comes back is another one, and is told after the first was over."""
    heard = short_day[2].heard
    assert len(heard.refused) == 1 and heard.refused[0] in heard.told
    said = [words_of(heard.told, key) for key in (KILLED, LOSS, HALT)]
    assert said == [["warning"], ["critical"], ["critical"]]
    silences = words_of(heard.told, SILENT)
    assert silences and silences == [("critical", "over")[at % 2] for at in range(len(silences))]


def test_who_says_over_http_that_he_knows_is_named(short_day: tuple[House, Run, Day]) -> None:
    acknowledged = short_day[2].heard.acknowledged
    assert {acknowledged[key] for key in (LOSS, HALT)} == {"service"}


def test_each_secret_of_the_day_lies_in_its_own_file_and_in_no_other(
    short_day: tuple[House, Run, Day], secrets: dict[str, str]
) -> None:
    """Logs of every process, event log, audit, both books, the archive, reports: all below the home."""
    _, run, _ = short_day
    found = set(places_of(run, secrets))
    assert found == {(kind, place) for kind, places in OWN_PLACES.items() for place in places}
    logs = {path.stem for path in (run.folder / "logs").glob("*.log")}
    assert logs >= {"api", "alerts", "decisions", "gateway", "ingest", "market", "sandbox", "watchdog"}


def test_no_secret_of_the_day_is_in_what_it_answered_told_or_sent(
    short_day: tuple[House, Run, Day], secrets: dict[str, str]
) -> None:
    told = list(everything_told(short_day[2]))
    assert {"a span", "an alert", "a forged token", "/metrics", "standard error"} <= {
        what for what, _ in told
    }
    assert [(what, kinds) for what, text in told if (kinds := kinds_in(text, secrets))] == []


@pytest.mark.parametrize("words", [("config",), ("doctor", "--json")])
def test_no_secret_of_the_day_is_in_what_a_command_prints(
    short_day: tuple[House, Run, Day], secrets: dict[str, str], words: tuple[str, ...]
) -> None:
    house = short_day[0]
    said = house.call(*words, "--config", str(house.config_path), within_s=600)
    assert said.out
    assert kinds_in((said.out + said.err).encode(), secrets) == []
