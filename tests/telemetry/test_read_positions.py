"""How far a process has read is noted for the metrics, and never in the way of reading."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.read_positions import EVERY_S, FOLDER, Positions, read
from kitepilot.config import Config
from kitepilot.run import Run

STEPS = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 50)), min_size=1, max_size=30)


def run_in(folder: Path) -> Run:
    return Run(folder.name, folder, Config())


class Now:
    """A clock that is set."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


@given(STEPS)
def test_what_is_noted_is_never_more_than_a_second_behind_the_reader(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[float, int]]
) -> None:
    run, clock = run_in(tmp_path_factory.mktemp("run")), Now()
    positions, offset, noted, said = Positions(run, "market", clock), 0, 0, float("-inf")
    for after_s, records in steps:
        clock.at += after_s
        offset += records
        positions.note({("ticks", 0): offset})
        if clock.at - said >= EVERY_S:
            said, noted = clock.at, offset
        assert read(run) == {"market": {"ticks": noted}}


def test_a_folder_that_cannot_be_written_or_read_stops_no_reader(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    (tmp_path / FOLDER).write_text("in the way")
    Positions(run, "market").note({("ticks", 0): 1})
    assert read(run) == {}
    (tmp_path / FOLDER).unlink()
    Positions(run, "market").note({("ticks", 0): 1})
    (tmp_path / FOLDER / "archive.json").write_text('{"ticks":')
    assert read(run) == {"market": {"ticks": 1}}
