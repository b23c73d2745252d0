"""The catalogue: every known leak is caught by a check meant for it, nothing honest is suspected."""

from __future__ import annotations

import pytest

from research.leaks.catalogue.entry import Entry
from research.leaks.catalogue.known import FAIR, LEAKS, verdicts
from research.leaks.checks import CHECKS
from research.leaks.gate import judge

LEAK_SEED, FAIR_SEED = 11, 12


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.name)
def test_a_known_leak_is_caught_and_its_place_is_shown(leak: Entry) -> None:
    (verdict,) = verdicts([leak], LEAK_SEED)
    assert verdict.right, [found.check for found in verdict.failed]
    found = next(each for each in verdict.failed if each.check in leak.caught_by)
    assert found.reproduction and found.what and found.why


@pytest.mark.parametrize("honest", FAIR, ids=lambda honest: honest.name)
def test_an_honest_thing_is_not_suspected(honest: Entry) -> None:
    (verdict,) = verdicts([honest], FAIR_SEED)
    assert verdict.failed == ()


def test_every_check_has_a_leak_that_it_alone_would_catch_or_shares() -> None:
    meant = frozenset().union(*(leak.caught_by for leak in LEAKS))
    # whoever fails with later bars changed fails with the day cut short too: it is the cheaper second look
    assert meant == set(CHECKS) - {"future_shuffle"}
    assert len({entry.name for entry in (*LEAKS, *FAIR)}) == len(LEAKS) + len(FAIR)


def test_later_bars_changed_are_noticed_without_a_cut() -> None:
    peek = next(leak for leak in LEAKS if leak.name == "next_return")
    assert "future_shuffle" in {found.check for found in judge(peek.trial(3), 3).leaks}


@pytest.mark.parametrize("entry", [LEAKS[0], FAIR[0]], ids=lambda entry: entry.name)
def test_the_same_seed_gives_the_same_report(entry: Entry) -> None:
    one, other = (judge(entry.trial(5), 5) for _ in range(2))
    assert one.digest == other.digest
    assert one.digest != judge(entry.trial(6), 5).digest
