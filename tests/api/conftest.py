"""One application over a real log, and people who are signed in to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from served import AT, SECRET, TOKEN, by_name

from api.analysis import Analysis
from api.app import create_app
from api.commands import Commands
from api.control import ControlDesk
from api.day_book import DayBook
from api.effects import Effects
from api.identity.gate import Gate, by_home_token
from api.live.hub import Hub
from api.measures import Measures
from api.postbacks import PostbackDesk
from api.record import Record
from api.services import Services
from api.view import View
from infra.eventlog import open_log
from kitepilot.config import Config
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import TOPICS

SignedIn = Callable[..., TestClient[Litestar]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = tmp_path / "var" / "runs" / "paper-20261120-0001"
    folder.mkdir(parents=True)
    (folder / "start_offsets.json").write_text(json.dumps({t.name: 0 for t in TOPICS}))
    return Run(folder.name, folder, Config())


@pytest.fixture
def log(run: Run) -> Iterator[EventLog]:
    opened = open_log(run)
    opened.create_topics(TOPICS)
    yield opened
    opened.close()


@pytest.fixture
def app(run: Run, log: EventLog) -> Iterator[Litestar]:
    view = View(run, log)
    hub = Hub(run, view.lag)
    day = DayBook(hub.board)
    effects = Effects(hub.board)
    measures = Measures()
    view.listeners += [hub, day, effects, measures]
    view.start()
    control = ControlDesk(run, log, TOKEN)
    services = Services(
        run=run,
        log=log,
        view=view,
        hub=hub,
        day=day,
        effects=effects,
        postbacks=PostbackDesk(SECRET, log, lambda: AT),
        control=control,
        commands=Commands(control),
        gate=Gate([by_home_token(TOKEN), by_name]),
        record=Record(run),
        analysis=Analysis(run),
        measures=measures,
    )
    yield create_app(services)
    services.close()
    view.stop()


@pytest.fixture
def client(app: Litestar) -> Iterator[TestClient[Litestar]]:
    """A stranger."""
    with TestClient(app) as made:
        yield made


@pytest.fixture
def signed_in(app: Litestar) -> Iterator[SignedIn]:
    """`signed_in("owner")`, `signed_in("owner", fresh=True)`, operator, reader, service (home's token)."""
    with ExitStack() as stack:

        def make(role: str, *, fresh: bool = False) -> TestClient[Litestar]:
            made = stack.enter_context(TestClient(app))
            if role == "service":
                made.headers["authorization"] = f"Bearer {TOKEN}"
            else:
                made.headers["x-test-principal"] = f"{role} fresh" if fresh else role
            return made

        yield make
