"""The story of each order of a small day, from tick to profit; and what is said when part of it is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import small_day
from small_day import DAY, RUN

from infra.eventlog.sqlite_log import SqliteLog
from kitepilot.audit import story
from kitepilot.audit.story import Story
from kitepilot.audit.story_timeline import as_json, timeline
from kitepilot.cli.days import KnownRun
from kitepilot.cli.shelf import Shelf
from kitepilot.events import ApprovedIntent, Purpose, Verdict, decode
from kitepilot.orders.intents import tag
from kitepilot.topics import BARS, DECISIONS, TICKS, TOPICS
from research.desk import Result
from research.venue import Pace


@pytest.fixture(scope="module")
def traded() -> tuple[small_day.Kept, Result]:
    return small_day.traded(Pace(exchange_ms=30, seed=3))


@pytest.fixture(scope="module")
def shelf(traded: tuple[small_day.Kept, Result], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    yield from shelved(traded[0], tmp_path_factory.mktemp("log"))


def shelved(kept: small_day.Kept, folder: Path, without: tuple[str, ...] = ()) -> Iterator[Shelf]:
    log = SqliteLog(folder)
    log.create_topics(TOPICS)
    for topic, values in kept.topics.items():
        for first in range(0, 0 if topic in without else len(values), 5_000):
            log.append(topic, values[first : first + 5_000])
    ends = {topic.name: log.end_offset(topic.name) for topic in TOPICS}
    known = KnownRun(RUN, DAY.isoformat(), dict.fromkeys(ends, 0), folder / "config.yaml", None, None)
    yield Shelf(known, log, ends, "the event log")
    log.close()


def told(asked: str, shelf: Shelf) -> Story:
    found = story.tell(asked, shelf, DAY)
    assert found is not None, asked
    return found


def intents(traded: tuple[small_day.Kept, Result]) -> list[ApprovedIntent]:
    return list(traded[1].intents.values())


def test_an_order_is_found_by_each_of_its_names(traded: tuple[small_day.Kept, Result], shelf: Shelf) -> None:
    order = next(intent for intent in intents(traded) if traded[1].filled.get(intent.intent_id))
    first = told(order.intent_id, shelf)
    names = {first.lines[-1].order_id, tag(order.intent_id), order.verdict_id}
    assert {told(name, shelf).intent for name in names} == {order}


def test_the_story_of_an_entry_goes_from_its_ticks_to_its_fills(
    traded: tuple[small_day.Kept, Result], shelf: Shelf
) -> None:
    order = next(intent for intent in intents(traded) if intent.purpose is Purpose.ENTRY)
    found = told(order.intent_id, shelf)
    assert found.missing == []
    assert found.signal is not None
    assert found.verdict is not None
    assert found.bar is not None
    assert found.bar.close_at == found.signal.bar_close_at
    assert found.ticks[-1].last_paise == found.bar.close_paise == found.signal.last_paise
    assert all(tick.received_at <= found.signal.received_at for tick in found.ticks)
    assert found.verdict.checks
    assert all(check.passed for check in found.verdict.checks)
    assert [line.kind for line in found.lines][:2] == ["submitting", "accepted"]
    clocks = [moment.session_at for moment in timeline(found)]
    assert clocks == sorted(clocks)
    assert as_json(found)["intent"]["intent_id"] == order.intent_id


def test_the_round_trips_of_all_stories_are_the_days_account(
    traded: tuple[small_day.Kept, Result], shelf: Shelf
) -> None:
    result = traded[1]
    found = [told(name, shelf) for name in result.filled]
    trips = {each.trip.orders: each.trip for each in found if each.trip is not None}
    assert len(trips) == len(result.trips)
    assert sum(trip.gross_paise for trip in trips.values()) == result.account.gross_paise
    # rounded once a day there, once a trip here
    together = sum(trip.charges_paise for trip in trips.values())
    assert abs(together - result.account.charges_paise) <= len(trips)


def test_a_refused_entry_is_told_with_the_check_that_failed(
    traded: tuple[small_day.Kept, Result], shelf: Shelf
) -> None:
    decided = map(decode, traded[0].topics[DECISIONS.name])
    refused = next(each for each in decided if isinstance(each, Verdict) and not each.approved)
    for name in (refused.signal_id, refused.verdict_id):
        found = told(name, shelf)
        assert found.intent is None
        assert found.verdict == refused
        assert next(check.code for check in refused.checks if not check.passed) == refused.denial


def test_what_is_gone_is_named_and_the_rest_is_told(
    traded: tuple[small_day.Kept, Result], tmp_path: Path
) -> None:
    order = next(intent for intent in intents(traded) if intent.purpose is Purpose.ENTRY)
    for bare in shelved(traded[0], tmp_path, without=(TICKS.name, BARS.name)):
        found = told(order.intent_id, bare)
        assert {text.split(":")[0] for text in found.missing} == {"ticks", "bar"}
        assert found.verdict is not None
        assert found.trip is not None or not traded[1].filled.get(order.intent_id)


def test_an_unknown_id_is_answered_with_the_nearest_and_the_last_orders(
    traded: tuple[small_day.Kept, Result], shelf: Shelf
) -> None:
    orders = story.orders_of(shelf)
    wrong = orders[0].order_id[:-1] + "x"
    assert story.tell(wrong, shelf, DAY) is None
    said = str(story.unknown(wrong, orders, [RUN]))
    near, _, last = said.partition("did you mean ")[2].partition("? ")
    assert set(near.split(", ")) <= {line.order_id for line in orders}
    assert orders[-1].order_id in last
