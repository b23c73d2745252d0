"""A sandbox to log in to, a keyring in memory, and a person with a browser."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import httpx
import keyring
import loopback_ports
import pytest
from keyring.backend import KeyringBackend
from typer.testing import CliRunner

from infra.audit.seal_key import open_key
from kitepilot import config as configuration
from kitepilot.cli import live
from kitepilot.cli.instruments import fetch
from kitepilot.cli.login import Way, log_in
from kitepilot.cli.main import app
from kitepilot.config import Config
from kitepilot.market import calendar

SECRET = "a-secret-of-the-api"
DAY = date(2026, 11, 20)
MORNING = calendar.ist_ns(DAY, "08:50")


class MemoryKeyring(KeyringBackend):
    """What an operating system's keyring does, without one."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def memory_keyring() -> Iterator[MemoryKeyring]:
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@dataclass(frozen=True)
class Venue:
    """A running sandbox and the configuration of somebody who trades there."""

    rest: str
    ticker: str
    admin: str
    redirect: str

    def config(self, **changes: object) -> Config:
        addresses = {
            "broker.rest_url": self.rest,
            "broker.ticker_url": self.ticker,
            "broker.admin_url": self.admin,
            "broker.redirect_url": self.redirect,
        }
        return configuration.override(Config(), **{**addresses, **changes})


def untraced() -> dict[str, str]:
    """The environment of a child that does not count for the coverage, which makes it five times slower."""
    return {k: v for k, v in os.environ.items() if k != "COVERAGE_PROCESS_CONFIG"}


@contextmanager
def open_venue(speed: int) -> Iterator[Venue]:
    """A sandbox whose session has begun and takes `6.25 h / speed`."""
    port = loopback_ports.free_ports(4)[0]
    redirect = f"http://127.0.0.1:{port + 3}/kitepilot"
    words = [sys.executable, "-m", "broker_adapter.sandbox", "--port", str(port), "--instruments", "6"]
    child = subprocess.Popen(
        [*words, "--date", "2026-11-20", "--speed", str(speed), "--start", "--redirect-url", redirect],
        env={**untraced(), "KITEPILOT_API_SECRET": SECRET},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert any("ready" in line for line in child.stdout), "the sandbox did not start"
    try:
        yield Venue(
            f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port + 1}", f"http://127.0.0.1:{port + 2}", redirect
        )
    finally:
        child.terminate()
        child.wait(20)


@pytest.fixture(scope="session")
def venue() -> Iterator[Venue]:
    with open_venue(600) as opened:
        yield opened


@dataclass
class Person:
    """Somebody who opens what the terminal shows, as a browser would: redirects are followed."""

    pages: list[httpx.Response] = field(default_factory=list)

    def opens(self, url: str) -> None:
        self.pages.append(httpx.get(url, follow_redirects=True, timeout=10, trust_env=False))

    def reads(self, told: str) -> None:
        """The terminal's words; an address in them is opened, as it would be in another window."""
        for line in told.splitlines():
            if line.startswith("http"):
                threading.Thread(target=self.opens, args=(line,)).start()

    def has_seen_a_page(self) -> httpx.Response:
        deadline = time.monotonic() + 10
        while not self.pages:
            assert time.monotonic() < deadline, "no page"
            time.sleep(0.01)
        return self.pages[-1]


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory_keyring: MemoryKeyring) -> Path:
    """A home and a machine without any secret lying about."""
    for name in ("KITEPILOT_KEY", "KITEPILOT_API_SECRET", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KITEPILOT_HOME", str(tmp_path / "var"))
    return tmp_path / "var"


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., object]:
    """`command(config, "login", "--status")`: the command line with that configuration."""

    def run(config: Config, *words: str) -> object:
        path = tmp_path / "kitepilot.yaml"
        path.write_text(configuration.dump(config))
        return CliRunner().invoke(app, [words[0], "--config", str(path), *words[1:]])

    return run


class StubbornBroker:
    """A broker that answers everything with what it was told to say, right or wrong."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Callable[[str], tuple[int, dict[str, str], bytes]] = lambda _: (404, {}, b"")
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                status, headers, body = outer.answer(self.path)
                self.send_response_only(status)  # no Date of its own
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def says(self, status: int, kind: str, body: bytes, length: int | None = None) -> None:
        headers = {"Content-Type": kind} | ({"Content-Length": str(length)} if length else {})
        self.answer = lambda _: (status, headers, body)

    def config(self, **changes: object) -> Config:
        return configuration.override(Config(), **{"broker.rest_url": self.url, **changes})

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def stubborn() -> Iterator[StubbornBroker]:
    broker = StubbornBroker()
    yield broker
    broker.close()


@pytest.fixture
def live_config(venue: Venue, free_ports: dict[str, object]) -> Config:
    return venue.config(
        **{"mode": "live", "readiness.ntp_server": "", "readiness.min_free_gib": 0, **free_ports}
    )


@pytest.fixture
def free_ports() -> dict[str, object]:
    api, clickhouse = loopback_ports.free_ports(2)
    return {"api.port": api, "storage.clickhouse_url": f"http://127.0.0.1:{clickhouse}"}


@pytest.fixture
def prepared(live_config: Config, own_home: Path, person: Person, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Logged in, and with the instruments of the sandbox's day kept as a live morning keeps them.

    The key lies in a file: the processes of a run could not see this test's keyring.
    """
    monkeypatch.setenv("KITEPILOT_API_SECRET", SECRET)
    key = (own_home.parent / "key").as_uri()
    live_config = configuration.override(
        live_config,
        **{
            "broker.token_key_url": key,
            "audit.key_url": (own_home.parent / "seal-key").as_uri(),
            "models.offline": "",  # nobody has trained one in this home
            "models.online": "",
            "strategies.enabled": ["vwap_reversion"],
        },
    )
    open_key(live_config, own_home, make=True)
    log_in(live_config, own_home, Way(wait_s=20), person.reads)
    fetch(configuration.override(live_config, mode="paper"), own_home)
    return live.dated(live_config, None, MORNING)
