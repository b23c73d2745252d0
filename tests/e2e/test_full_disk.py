"""A disk that fills in the middle of a day: one clear line, exit 2, nothing left running."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paper_house import HOUR_NS, OPEN_NS, House

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(400)]

SIZE_BYTES = 4 << 30  # a bound, not a cost: a tmpfs takes the memory of what is in it


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of its own that `shrink` can fill without writing a byte."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a disk of its own to fill")
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no tmpfs here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def shrink(place: Path, left_bytes: int) -> None:
    """Leave so many bytes free, or none: then what the kernel will not take away is filled."""
    size = shutil.disk_usage(place).used + max(left_bytes, 8 << 20)
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)
    if left_bytes:
        return
    with (place / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(bytes(1 << 16)):
            pass


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
