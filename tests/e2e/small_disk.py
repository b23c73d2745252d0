"""A disk of its own for one folder, that can be filled without filling the machine's. Needs root."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE_BYTES = 4 << 30  # a bound, not a cost: a tmpfs takes the memory of what is in it


def why_not() -> str:
    """Why no disk can be mounted here; empty when it can."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return "only root can mount a disk of its own to fill"
    return ""


def mount(place: Path) -> None:
    """An empty tmpfs at `place`. Raises `OSError` with mount's own words."""
    place.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(place)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"no tmpfs here: {done.stderr.strip()}")


def unmount(place: Path) -> None:
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def shrink(place: Path, left_bytes: int) -> None:
    """Leave so many bytes free, or none: then what the kernel will not take away is filled."""
    size = shutil.disk_usage(place).used + max(left_bytes, 8 << 20)
    _resize(place, size)
    if left_bytes:
        return
    with (place / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(bytes(1 << 16)):
            pass


@contextmanager
def full(place: Path) -> Iterator[None]:
    """Within the block not a byte is free at `place`; afterwards there is room again."""
    shrink(place, 0)
    try:
        yield
    finally:
        (place / "ballast").unlink()
        _resize(place, SIZE_BYTES)


def _resize(place: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)
