"""The owner trades the same account from his phone during the day: every book knows, and still agrees."""

from __future__ import annotations

import pytest
from outside import foreign
from paper_house import Day, House, values

from kitepilot.events import ForeignFilled, Reconciled, decode
from kitepilot.topics import SESSION

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(900)]


def test_trades_by_hand_are_in_every_book_and_the_day_is_proved(next_day: tuple[House, Day]) -> None:
    house, day = next_day
    assert day.code == 0, day.err[-2000:]
    result = day.result
    assert result["reconciled"], result["first_difference"]
    row = next(row for row in result["reconciliation"]["rows"] if row[0].strip() == "not ours")
    assert int(row[1]) >= 2 and set(row[1:5]) == {row[1]}
    log = house.log()
    start = house.run(result["run_id"]).start_offsets()[SESSION.name]
    told = [decode(value) for value in values(log, SESSION.name, start, day.ends[SESSION.name])]
    log.close()
    by_hand = [event for event in told if isinstance(event, ForeignFilled)]
    assert sum(event.side.sign * event.quantity for event in by_hand) == 0
    found = [event for event in told if isinstance(event, Reconciled)]
    assert {event.verdict for event in found} <= {"equal", "healed"}, found
    assert found[-1].occasion == "end_of_day" and found[-1].verdict == "equal"


def test_an_order_nobody_knew_of_is_told_once_though_the_receiver_was_away_at_first(
    next_day: tuple[House, Day],
) -> None:
    _, day = next_day
    by_hand = foreign(day.heard)
    assert len(by_hand) == len(set(by_hand)) == 2
    assert len(day.heard.refused) == 1 and day.heard.refused[0] in day.heard.told
