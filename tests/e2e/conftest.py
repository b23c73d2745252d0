"""One trained model for all houses of a test session."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import pytest
from chaos_proofs import Bodies, bodies
from hand_trades import trade_by_hand
from loopback_ports import free_port
from outside import Outside, foreign
from paper_house import DAY_WITHIN_S, HOUR_NS, OPEN_NS, Day, House

from kitepilot.run import home

Made = TypeVar("Made")


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[], Made]) -> Made:
    """What `make` makes, made by one of the processes that run test files side by side and used by all."""
    shared = factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    kept = shared / f"{name}.pickle"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(make()))
        return cast(Made, pickle.loads(kept.read_bytes()))


@pytest.fixture(scope="session")
def trained_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder as `kitepilot seed` leaves it; what was trained on this machine before is kept."""

    def train() -> Path:
        house = House(tmp_path_factory.mktemp("seed"))
        if (home() / "models").exists():
            shutil.copytree(home() / "models", house.home / "models")
        done = house.call("seed", "--config", str(house.config_path), within_s=600)
        assert done.code == 0, done.err
        return house.home / "models"

    return once(tmp_path_factory, "models", train)


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

    def trade() -> tuple[House, Day]:
        outside = Outside(free_port())
        house = build_house(tmp_path_factory.mktemp("day") / "home", traced=True, outside=outside)
        with outside.listening() as heard:
            day = house.trade()
        day.heard, house.traced = heard, False
        return house, day

    return once(tmp_path_factory, "finished_day", trade)


@pytest.fixture(scope="session")
def next_day(finished_day: tuple[House, Day], tmp_path_factory: pytest.TempPathFactory) -> tuple[House, Day]:
    """Another paper day in that house, on which the owner buys and sells by hand as well."""
    house, _ = finished_day

    def trade() -> Day:
        assert house.outside
        with house.outside.listening(refusing=1) as heard, house.paper() as paper:
            paper.await_time(OPEN_NS + HOUR_NS // 4)
            trade_by_hand(paper, "BUY", 40)
            paper.await_time(OPEN_NS + HOUR_NS)
            trade_by_hand(paper, "SELL", 40)
            paper.await_true("both to be told", lambda: len(foreign(heard)) == 2, DAY_WITHIN_S)
            day = house.ended(paper)
        day.heard = heard
        return day

    return house, once(tmp_path_factory, "next_day", trade)


@pytest.fixture(scope="session")
def market(finished_day: tuple[House, Day]) -> Bodies:
    """The tick records of the undisturbed day."""
    house, day = finished_day
    log = house.log()
    found = bodies(log, house.run(day.result["run_id"]))
    log.close()
    return found
