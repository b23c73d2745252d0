"""A disk that fills in the middle of a day: one clear line, exit 2, nothing left running."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paper_house import HOUR_NS, OPEN_NS, House
from small_disk import mount, shrink, unmount, why_not

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(400)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own that `shrink` can fill without writing a byte."""
    if reason := why_not():
        pytest.skip(reason)
    place = tmp_path / "disk"
    try:
        mount(place)
    except OSError as err:
        pytest.skip(str(err))
    yield place
    unmount(place)


@pytest.mark.parametrize(("left_bytes", "kind"), [(64 << 20, "nearly full"), (0, "full at once")])
def test_a_disk_that_fills_stops_the_day_with_one_line(
    build_house: Callable[..., House], small_disk: Path, left_bytes: int, kind: str
) -> None:
    house = build_house(small_disk / "home", instruments=4)
    with house.paper() as paper:
        paper.await_time(OPEN_NS + HOUR_NS // 2)
        shrink(small_disk, left_bytes)
        day = paper.wait(150)
    assert day.code == 2, f"{kind}: {day.err[-3000:]}"
    assert day.out == ""
    assert len(day.error_lines) == 1
    assert "disk" in day.error_lines[0]
    assert "Traceback" not in day.err
    assert house.leftovers() == []
    if kind == "nearly full":
        assert "flat: no position" in day.err, "there was room to leave the market"
