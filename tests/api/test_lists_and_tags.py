"""Reading on in a list that grows, and being told that nothing has changed."""

from __future__ import annotations

import time
from itertools import islice
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from test_day_book import fill, intent, started
from test_timeline import note, record

from api import cursors
from api.resources.route import unchanged
from api.timeline import Timeline
from kitepilot import events as e
from kitepilot.ports import EventLog, LogRecord
from kitepilot.topics import DECISIONS, INTENTS, SESSION

LISTS = ("/api/v1/orders", "/api/v1/intents", "/api/v1/fills", "/api/v1/positions", "/api/v1/timeline")
WITHIN_S = 60.0

tags = st.text("0123456789abcdef", min_size=1, max_size=24).map('"{}"'.format)


@given(
    st.permutations(range(30)),
    st.integers(0, 30),
    st.integers(1, 7),
    st.lists(st.integers(0, 4), max_size=30),
)
def test_whoever_reads_the_day_on_meets_every_line_once_whatever_comes_in_between(
    moments: list[int], there: int, limit: int, arrivals: list[int]
) -> None:
    """Lines come in any order of time: topics are read side by side. Those that were there are all met."""
    timeline = Timeline()
    coming = iter(enumerate(moments))

    def arrive(count: int) -> None:
        for number, moment in islice(coming, count):
            timeline.hear(record(DECISIONS.name, number), note(number, f"{moment}", at=1 + moment))

    arrive(there)
    seen: list[str] = []
    place, steps = None, iter(arrivals)
    while page := list(islice(timeline.newest(place), limit)):
        seen += [line.body["reason"] for _, line in page]
        sealed = cursors.sealed("timeline", *page[-1][0])
        place = cursors.opened("timeline", sealed, int, int, int)  # type: ignore[assignment]
        arrive(next(steps, 0))
    assert len(seen) == len(set(seen))
    assert set(seen) >= {str(moment) for moment in moments[:there]}
    assert [int(each) for each in seen] == sorted(map(int, seen), reverse=True)


@given(tags, st.lists(st.tuples(st.booleans(), tags)), st.sampled_from([",", ", ", " , "]))
def test_an_answer_is_left_out_only_for_who_has_it(
    tag: str, known: list[tuple[bool, str]], between: str
) -> None:
    header = between.join(("W/" if weak else "") + each for weak, each in known)
    assert unchanged(tag, header) == (tag in [each for _, each in known])
    assert unchanged(tag, f"{header}{between}W/{tag}" if header else tag)
    assert unchanged(tag, "*")


def test_two_answers_have_one_tag_only_if_they_are_the_same(signed_in: Any, log: EventLog) -> None:
    """Each list after each thing that happened: 304 exactly where the answer is the one that was given."""
    reader, heard = signed_in("reader"), Heard()
    reader.app.state.services.view.listeners.append(heard)
    said: list[tuple[str, e.AnyEvent]] = [
        (SESSION.name, started()),
        (INTENTS.name, intent(0)),
        (INTENTS.name, intent(1)),
        (SESSION.name, fill()),
        (DECISIONS.name, note(0, "halted by hand")),
    ]
    given: dict[str, dict[str, bytes]] = {path: {} for path in LISTS}
    for number, (topic, event) in enumerate(said):
        log.append(topic, [e.encode(event, emitted_at=1 + number)])
        heard.await_count(number + 1)
        for path in LISTS:
            before = dict(given[path])
            now = reader.get(path)
            assert before.setdefault(now.headers["etag"], now.content) == now.content
            for tag, body in before.items():
                again = reader.get(path, headers={"if-none-match": tag})
                assert (again.status_code == 304) == (body == now.content), path
                assert again.content == (b"" if body == now.content else now.content)
            given[path] = before
    assert [len(bodies) for bodies in given.values()] == [3, 3, 2, 2, 2]


class Heard:
    """How many messages stand in what the API shows."""

    def __init__(self) -> None:
        self._heard = self.standing = 0

    def hear(self, _record: LogRecord, _event: e.AnyEvent) -> None:
        self._heard += 1

    def settle(self) -> None:
        self.standing = self._heard

    def await_count(self, count: int) -> None:
        deadline = time.monotonic() + WITHIN_S
        while self.standing < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)
