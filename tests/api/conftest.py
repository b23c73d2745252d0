"""One application over a real log, and people who are signed in to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from served import AT, CHEAP, METRICS_TOKEN, SECRET, SESSION, TEST_HOST, TOKEN, by_name

from api.app import create_app
from api.identity.desk import identity_of
from api.postbacks import PostbackDesk
from api.services import made
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
    identity = identity_of(run, TOKEN, METRICS_TOKEN, cost=CHEAP, names=(TEST_HOST,), ways=(by_name,))
    services = made(run, log, api_secret=SECRET, token=TOKEN, identity=identity)
    services.postbacks = PostbackDesk(SECRET, log, lambda: AT)
    services.view.start()
    yield create_app(services)
    services.close()
    services.view.stop()


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
            made.headers["origin"] = f"http://{TEST_HOST}"
            if role == "service":
                made.headers["authorization"] = f"Bearer {TOKEN}"
            else:
                made.headers["x-test-principal"] = f"{role} fresh" if fresh else role
                made.headers["x-csrf-token"] = app.state.services.identity.sessions.csrf_token(SESSION)
            return made

        yield make
