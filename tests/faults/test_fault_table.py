"""The fault table, short form: each fault of the sandbox strikes a real gateway once, and all books agree."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_cases import TROUBLES_AT_ONCE, cases, waves
from fault_table import Row, complaints, run_table
from faulty_floor import faulty_floor

from broker_adapter.sandbox.faults import FAULTS


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_under_every_fault_no_order_is_doubled_or_lost_and_positions_are_equal(tmp_path: Path) -> None:
    with faulty_floor(tmp_path, seed=7) as floor:
        rows = list(run_table(floor, thorough=False))
    assert set().union(*(row.case.names for row in rows)) == {fault.name for fault in FAULTS}
    assert {row.case.title: row.complaints for row in rows if row.complaints} == {}


@pytest.mark.parametrize("thorough", [False, True])
def test_every_fault_of_the_table_is_tried_and_troubles_do_not_open_the_breaker(thorough: bool) -> None:
    tried = list(cases(thorough=thorough))
    assert set().union(*(case.names for case in tried)) == {fault.name for fault in FAULTS}
    planned = list(waves(tried))
    assert sorted(case.title for wave in planned for case in wave) == sorted(case.title for case in tried)
    assert max(sum(case.trouble for case in wave) for wave in planned) <= TROUBLES_AT_ONCE < 5
    assert all(len(wave) == 1 for wave in planned if wave[0].alone)


GOOD = {
    "tags": ["A00", "B00"],
    "at_exchange": {"1": 3, "2": 0},
    "in_journal": {"1": 3, "2": 0},
    "trades": set(),
    "open_intents": set(),
}


def row(**change: object) -> Row:
    made = Row(next(cases(thorough=False)), [], struck=1, equal=True)
    for name, value in change.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("change", "seen", "complaint"),
    [
        ({}, {"tags": ["A00", "A00"]}, "sent twice"),
        ({}, {"in_journal": {"1": 3}}, "not in the journal"),
        ({}, {"at_exchange": {"1": 3}}, "not at the exchange"),
        ({}, {"in_journal": {"1": 2, "2": 0}}, "filled quantities differ"),
        ({}, {"trades": {("1", "9", 3, 100)}}, "trades differ"),
        ({}, {"open_intents": {"A"}}, "not ended"),
        ({"equal": False}, {}, "positions differ"),
        ({"struck": 0}, {}, "never struck"),
        ({"did": "4 rejected (ip_refused) -> 4 rejected"}, {}, "nobody was told"),
    ],
)
def test_whatever_is_wrong_fails_the_row(
    change: dict[str, object], seen: dict[str, object], complaint: str
) -> None:
    assert list(complaints(row(), **GOOD)) == []
    assert complaint in " ".join(complaints(row(**change), **{**GOOD, **seen}))


def test_an_alarm_excuses_what_is_open_and_nothing_else() -> None:
    alarmed = {"alarms": ["order: nobody knows"]}
    assert list(complaints(row(equal=False, **alarmed), **{**GOOD, "open_intents": {"A"}})) == []
    assert list(complaints(row(**alarmed), **{**GOOD, "tags": ["A00", "A00"]}))
