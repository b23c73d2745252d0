"""One trained model for all houses of a test session."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from paper_house import Day, House


@pytest.fixture(scope="session")
def trained_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder as `kitepilot seed` leaves it."""
    house = House(tmp_path_factory.mktemp("seed"))
    done = house.call("seed", "--config", str(house.config_path), within_s=170)
    assert done.code == 0, done.err
    return house.home / "models"


@pytest.fixture(scope="session")
def build_house(trained_models: Path) -> Callable[..., House]:
    """`build_house(folder, **House fields)`: a house with a model in it."""

    def build(home: Path, **fields: object) -> House:
        shutil.copytree(trained_models, home / "models")
        return House(home, **fields)  # type: ignore[arg-type]

    return build


@pytest.fixture(scope="session")
def finished_day(
    build_house: Callable[..., House], tmp_path_factory: pytest.TempPathFactory
) -> tuple[House, Day]:
    """An undisturbed paper day in a house of its own."""
    house = build_house(tmp_path_factory.mktemp("day") / "home")
    return house, house.trade()
