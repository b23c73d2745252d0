"""LightGBM needs the OpenMP runtime `libgomp.so.1`, which a bare Debian or Ubuntu does not have.

`python infra/openmp.py FOLDER` does nothing where the system has it. Elsewhere it takes the copy that comes
inside scikit-learn's wheel (pinned below) and links it as FOLDER/libgomp.so.1; the Makefile puts FOLDER on
the library path. Nothing outside the checkout is touched.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import zipfile
from pathlib import Path

LIBRARY = "libgomp.so.1"
WHEEL = "scikit-learn==1.9.1"


def system_has_it() -> bool:
    """Can a process load the runtime by its name?"""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def take_from_wheel(wheel: Path, folder: Path) -> Path:
    """Unpack the runtime from a wheel into `folder` under its system name.

    Raises:
        FileNotFoundError: the wheel holds none.
    """
    with zipfile.ZipFile(wheel) as archive:
        found = [name for name in archive.namelist() if Path(name).name.startswith("libgomp")]
        if not found:
            raise FileNotFoundError(f"{wheel.name} holds no OpenMP runtime: apt-get install libgomp1")
        target = folder / LIBRARY
        target.write_bytes(archive.read(found[0]))
    return target


def main(folder: Path) -> int:
    """Exit code 0 when the runtime is there in the end, 2 with one line when not."""
    if sys.platform != "linux" or system_has_it():
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
    try:
        subprocess.run(fetch, check=True)
        (wheel,) = folder.glob("scikit_learn-*.whl")
        take_from_wheel(wheel, folder)
        wheel.unlink()
    except (subprocess.CalledProcessError, ValueError, OSError) as err:
        print(f"error: no OpenMP runtime ({err}): apt-get install libgomp1", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
