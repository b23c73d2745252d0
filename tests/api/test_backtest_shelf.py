"""The shelf of backtests: laid down once, taken in order, and honest about what died."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.research import jobs
from infra.research.jobs import MOST_WAITING, ShelfFullError, Told
from infra.research.words import Wanted


def an_id(number: int) -> str:
    return f"api-{number:024x}"


def laid(home: Path, number: int, state: jobs.State | None = None) -> Path:
    """A job asked for at instant `number`, told to be in `state`."""
    jobs.put(home, an_id(number), Wanted(dataset="d", asked_at=number))
    folder = jobs.folder_of(home, an_id(number))
    assert folder is not None
    if state is not None:
        jobs.tell(folder, Told(state=state))
    return folder


def state_of(home: Path, number: int) -> str:
    found = jobs.job(home, an_id(number))
    assert found is not None
    return found.told.state


def test_a_job_whose_process_died_says_so(tmp_path: Path) -> None:
    laid(tmp_path, 1, "running")
    with jobs.alone(tmp_path) as mine:
        assert mine
        assert jobs.working(tmp_path)
        assert state_of(tmp_path, 1) == "running"
    assert not jobs.working(tmp_path)
    assert state_of(tmp_path, 1) == "died"


def test_one_that_died_runs_not_again_because_another_one_does(tmp_path: Path) -> None:
    laid(tmp_path, 1, "running")
    laid(tmp_path, 2)
    with jobs.alone(tmp_path):
        jobs.bury(tmp_path)
        jobs.tell(tmp_path / jobs.FOLDER / an_id(2), Told(state="running"))
        assert [state_of(tmp_path, number) for number in (1, 2)] == ["died", "running"]
    jobs.cancel(laid(tmp_path, 3))
    assert state_of(tmp_path, 3) == "cancelled"


def test_only_one_process_makes_backtests(tmp_path: Path) -> None:
    with jobs.alone(tmp_path) as mine, jobs.alone(tmp_path) as another:
        assert (mine, another) == (True, False)


def test_what_was_asked_for_first_is_made_first(tmp_path: Path) -> None:
    for number in (3, 1, 2):
        laid(tmp_path, number)
    found = jobs.next_waiting(tmp_path)
    assert found is not None
    assert found.name == an_id(1)
    assert [each.wanted.asked_at for each in jobs.jobs(tmp_path)] == [3, 2, 1]


def test_one_that_is_cancelled_while_it_waits_is_never_begun(tmp_path: Path) -> None:
    jobs.cancel(laid(tmp_path, 1))
    assert state_of(tmp_path, 1) == "cancelled"
    assert jobs.next_waiting(tmp_path) is None


def test_no_more_wait_than_may_and_the_next_one_may_once_one_is_over(tmp_path: Path) -> None:
    for number in range(1, MOST_WAITING + 1):
        laid(tmp_path, number)
    with pytest.raises(ShelfFullError, match="cancel one"):
        laid(tmp_path, 99)
    jobs.cancel(tmp_path / jobs.FOLDER / an_id(1))
    laid(tmp_path, 99)


def test_an_id_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    laid(tmp_path, 1)
    given_back = jobs.put(tmp_path, an_id(1), Wanted(dataset="another", asked_at=7))
    assert given_back == Wanted(dataset="d", asked_at=1)
    assert len(jobs.jobs(tmp_path)) == 1


def test_the_shelf_forgets_the_oldest_that_are_over_and_nothing_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_KEPT", kept_at_most := 12)
    laid(tmp_path, 1)
    for number in range(2, kept_at_most + 3):
        laid(tmp_path, number, "done")
    kept = {each.wanted.asked_at for each in jobs.jobs(tmp_path)}
    assert len(kept) == kept_at_most
    assert {1, kept_at_most + 2} <= kept
    assert not {2, 3} & kept


@given(st.text() | st.sampled_from(["..", "../..", "/etc", ".working", "api-../../etc/passwd0000000"]))
def test_no_text_but_an_id_names_a_folder(name: str) -> None:
    home = Path(__file__).parent
    assert jobs.folder_of(home, name) is None
