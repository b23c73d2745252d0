"""A client that a generator makes of our OpenAPI alone talks to the API's own process.

What is generated is thrown away: a program of somebody else's would be made the same way. Everything is asked
and read through it, so what our description leaves out or says wrongly shows here.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pyotp
import pytest
from loopback_ports import free_port
from typer.testing import CliRunner

from infra.eventlog import open_log
from infra.postgres.embedded import Server
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot.cli.main import app
from kitepilot.config import Config
from kitepilot.run import RUN_FOLDER_VARIABLE, Run
from kitepilot.topics import INTENTS, SESSION, TOPICS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "api"))

from test_day_book import RUN, fill, intent, mark, started  # noqa: E402

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(600)]
GENERATOR = Path(
    os.environ.get("KITEPILOT_CLIENT_GENERATOR") or ROOT / ".venv-client/bin/openapi-python-client"
)
EMAIL, PASSWORD = "owner@example.test", "a long walk by the sea"
ORDERS = 7
WITHIN_S = 120.0


@dataclass
class Desk:
    """The API's process over a log with some orders in it, and its owner's authenticator."""

    run: Run
    url: str
    one_time: pyotp.TOTP


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if not GENERATOR.exists():
        pytest.skip("no generator: `make api-client` installs it")
    home = tmp_path_factory.mktemp("client")
    with Server(home) as server, pytest.MonkeyPatch.context() as patch:
        port = free_port()
        run = told(
            home, configuration.build({"api": {"port": port}, "storage": {"database_url": server.url}})
        )
        patch.setenv("KITEPILOT_HOME", str(home))
        patch.setenv(RUN_FOLDER_VARIABLE, str(run.folder))
        words = ["users", "add", EMAIL, "--json", "--config", str(run.folder / "config.yaml")]
        made = CliRunner().invoke(app, words, input=f"{PASSWORD}\n")
        assert made.exit_code == 0, made.output
        child = subprocess.Popen([sys.executable, "-m", "kitepilot", "run", "api"])
        try:
            url = f"http://127.0.0.1:{port}"
            await_read(run, child, url)
            yield Desk(run, url, pyotp.TOTP(json.loads(made.stdout)["totp_secret"]))
        finally:
            child.terminate()
            child.wait(60)


def told(home: Path, config: Config) -> Run:
    """A run that holds ten shares and has sent some orders."""
    run = Run(RUN, home / "runs" / RUN, config)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(configuration.dump(config))
    (run.folder / "start_offsets.json").write_text(json.dumps({topic.name: 0 for topic in TOPICS}))
    log = open_log(run)
    log.create_topics(TOPICS)
    now = time.time_ns()
    log.append(SESSION.name, [e.encode(each, emitted_at=now) for each in (started(), fill(), mark(101_000))])
    log.append(INTENTS.name, [e.encode(intent(number), emitted_at=now) for number in range(ORDERS)])
    log.close()
    return run


def await_read(run: Run, child: subprocess.Popen[bytes], url: str) -> None:
    """Until the process answers and has read the log."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        assert child.poll() is None and time.monotonic() < deadline
        if run.ready_file("api").exists():
            token = (run.home / "api.token").read_text().strip()
            headers = {"authorization": f"Bearer {token}"}
            page = httpx.get(f"{url}/api/v1/orders", headers=headers, trust_env=False, timeout=60).json()
            if len(page["items"]) == ORDERS:
                return
        time.sleep(0.1)


@dataclass
class Generated:
    """The package that was made."""

    name: str

    def __getattr__(self, module: str) -> ModuleType:
        return importlib.import_module(f"{self.name}.api.default.{module}")

    @property
    def models(self) -> ModuleType:
        return importlib.import_module(f"{self.name}.models")

    @property
    def package(self) -> ModuleType:
        return importlib.import_module(self.name)


@pytest.fixture(scope="module")
def client(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generated]:
    """Made of what the process serves, without a single warning."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "settings.yaml").write_text("post_hooks: []\n")
    token = (desk.run.home / "api.token").read_text().strip()
    headers = {"authorization": f"Bearer {token}"}
    said = httpx.get(f"{desk.url}/schema/openapi.json", headers=headers, trust_env=False, timeout=60)
    (folder / "openapi.json").write_bytes(said.raise_for_status().content)
    done = subprocess.run(
        [GENERATOR, "generate", "--path", "openapi.json", "--config", "settings.yaml", "--meta", "none",
         "--output-path", "kitepilot_client", "--fail-on-warning"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield Generated("kitepilot_client")


def bearer(client: Generated, desk: Desk, token: str) -> Any:
    return client.package.AuthenticatedClient(
        base_url=desk.url, token=token, raise_on_unexpected_status=True, httpx_args={"trust_env": False}
    )


@pytest.fixture(scope="module")
def tokens(client: Generated, desk: Desk) -> dict[str, str]:
    """Of a program that may operate and one that reads: the owner signs in and makes them."""
    models = client.models
    person = client.package.Client(
        base_url=desk.url, raise_on_unexpected_status=True, httpx_args={"trust_env": False}
    )
    person.get_httpx_client().headers["origin"] = desk.url
    form = models.SignIn(email=EMAIL, password=PASSWORD, totp=desk.one_time.now())
    who = client.sign_in.sync(client=person, body=form)
    assert isinstance(who, models.Who), who
    assert who.role == "owner"
    person.get_httpx_client().headers["x-csrf-token"] = who.csrf_token
    made = {}
    for name, scopes in (("operator", ["read", "operate"]), ("reader", ["read"])):
        wanted = models.NewToken(name=name, scopes=[models.NewTokenScopesItem(scope) for scope in scopes])
        found = client.make_token.sync(client=person, body=wanted)
        assert isinstance(found, models.TokenMade), found
        made[name] = found.token
    return made


def test_what_is_held_is_read_as_whole_paise(client: Generated, desk: Desk, tokens: dict[str, str]) -> None:
    with bearer(client, desk, tokens["reader"]) as program:
        found = client.list_positions.sync(client=program)
    (held,) = found.items
    assert (held.tradingsymbol, held.quantity, held.cost_paise) == ("INFY", 10, 1_000_000)
    assert isinstance(held.unrealised_paise, int)
    assert held.unrealised_paise == 10_000


def test_orders_are_paged_by_cursor_each_of_them_once(
    client: Generated, desk: Desk, tokens: dict[str, str]
) -> None:
    seen, pages, cursor = [], 0, None
    with bearer(client, desk, tokens["reader"]) as program:
        while pages == 0 or cursor:
            more = {"cursor": cursor} if cursor else {}
            page = client.list_orders.sync(client=program, limit=3, **more)
            seen += [row.intent_id for row in page.items]
            cursor, pages = page.next_, pages + 1
    assert seen == [f"I{number}" for number in reversed(range(ORDERS))]
    assert pages == 3


def test_a_refusal_is_a_problem_with_its_code(client: Generated, desk: Desk, tokens: dict[str, str]) -> None:
    problem = client.models.ProblemBody
    why = client.models.Why(reason="odd prices")
    with bearer(client, desk, tokens["reader"]) as program:
        refused = client.halt.sync(client=program, body=why)
        lost = client.list_orders.sync(client=program, cursor="nonsense")
    assert isinstance(refused, problem) and isinstance(lost, problem)
    assert (refused.code, lost.code) == ("not_permitted", "bad_cursor")
    with bearer(client, desk, "a.wrong.token") as stranger:
        assert client.list_positions.sync(client=stranger).code == "sign_in_required"
    assert commanded(desk.run) == []


def test_a_halt_is_on_the_log_once_and_can_be_followed(
    client: Generated, desk: Desk, tokens: dict[str, str]
) -> None:
    why = client.models.Why(reason="odd prices")
    with bearer(client, desk, tokens["operator"]) as program:
        first, again = (client.halt.sync(client=program, body=why, idempotency_key="lunch") for _ in range(2))
        assert first == again
        followed = await_effect(client, program, first.command_id)
    (halted,) = commanded(desk.run)
    assert (halted.command, followed.command) == ("halt", "halt")
    assert halted.command_id == followed.command_id == first.command_id


def await_effect(client: Generated, program: Any, command_id: str) -> Any:
    """What became of a command, as soon as the API has read it from the log."""
    deadline = time.monotonic() + WITHIN_S
    while not isinstance(
        found := client.get_command.sync(client=program, command_id=command_id), client.models.CommandRow
    ):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def commanded(run: Run) -> list[e.Commanded]:
    log = open_log(run)
    reader = log.reader({(SESSION.name, 0): 0})
    found = [e.decode(record.value) for record in reader.poll(10_000)]
    reader.close()
    log.close()
    return [each for each in found if isinstance(each, e.Commanded)]
