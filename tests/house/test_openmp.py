"""A machine without the OpenMP runtime gets it from a wheel; anything else is one clear error."""

import zipfile
from pathlib import Path

import pytest

from infra.openmp import LIBRARY, main, take_from_wheel


def wheel(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"\x7fELF the runtime")
    return path


def test_the_runtime_is_taken_out_under_the_name_the_loader_asks_for(tmp_path: Path) -> None:
    made = wheel(tmp_path / "some.whl", "some/__init__.py", "some.libs/libgomp-e985bcbb.so.1.0.0")
    taken = take_from_wheel(made, tmp_path)
    assert taken.name == LIBRARY
    assert taken.read_bytes().startswith(b"\x7fELF")


def test_a_wheel_without_a_runtime_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="apt-get install libgomp1"):
        take_from_wheel(wheel(tmp_path / "some.whl", "some/__init__.py"), tmp_path)


def test_a_machine_that_has_it_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.openmp.system_has_it", lambda: True)
    assert main(tmp_path / "openmp") == 0
    assert not (tmp_path / "openmp").exists()
