"""One playing sandbox for the cases that can share it, a fresh one for those that spoil it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cases import Case
from drivers import Driver, KitePilotDriver, StockDriver
from ears import Ears, KitePilotEars, StockEars, hear
from sandbox_thread import SECRET, Playing, playing

from broker_adapter.kite import session
from kitepilot.config import Config, override
from kitepilot.run import Run

REAL = os.environ.get("KITE_ROOT", "")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "contract(case): a numbered promise of the broker port")


@pytest.fixture(scope="module")
def shared() -> Iterator[Playing]:
    with playing() as venue:
        yield venue


@pytest.fixture
def fresh() -> Iterator[Playing]:
    """A sandbox of the case's own, for what cannot be undone."""
    with playing() as venue:
        yield venue


@pytest.fixture
def venue(request: pytest.FixtureRequest) -> Playing:
    """The sandbox the case plays on."""
    wanted = "fresh" if "fresh" in request.fixturenames else "shared"
    found: Playing = request.getfixturevalue(wanted)
    return found


def run_on(config: Config, folder: Path) -> Run:
    run = Run("contract", folder / "runs" / "contract", config)
    run.folder.mkdir(parents=True)
    return run


def stock(config: Config, token: str) -> Any:
    from kiteconnect import KiteConnect

    broker = config.broker
    kite = KiteConnect(broker.api_key, token, root=broker.rest_url, timeout=broker.request_timeout_s)
    kite.reqsession.trust_env = not session.is_loopback(broker.rest_url)
    return kite


@pytest.fixture
def logged_in(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """A run with a session: on the sandbox, or on the real account the environment names."""
    one: Case = request.node.get_closest_marker("contract").args[0]
    if not REAL:
        run = run_on(request.getfixturevalue("venue").config, tmp_path)
        session.login_to_sandbox(run, SECRET)
        return run
    if not one.reads:
        pytest.skip("places orders or needs faults: on a sandbox only")
    key, token = os.environ["KITE_API_KEY"], os.environ["KITE_ACCESS_TOKEN"]
    config = override(Config(), **{"broker.rest_url": REAL, "broker.api_key": key})
    run = run_on(config, tmp_path)
    session.save(run, session.Session(api_key=key, access_token=token, user_id="", login_time=""))
    return run


@pytest.fixture
def driver(request: pytest.FixtureRequest, logged_in: Run) -> Driver:
    if request.param == "KitePilot":
        return KitePilotDriver(logged_in)
    return StockDriver(stock(logged_in.config, session.load(logged_in).access_token))


@pytest.fixture
def ears(driver: Driver, logged_in: Run) -> Iterator[Ears]:
    """The ticker of the same kind as the driver, connected."""
    token = session.load(logged_in).access_token
    stocks = isinstance(driver, StockDriver)
    found: Ears = (StockEars if stocks else KitePilotEars)(logged_in.config.broker, token)
    try:
        hear(found, lambda event: event == ["up"], "the ticker connects")
        yield found
    finally:
        found.close()
