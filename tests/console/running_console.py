"""A small paper day with its console: who may sign in, and how a browser is watched."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import psutil
import pyotp

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from paper_house import House, PaperDay  # noqa: E402

from kitepilot.run import HOME_VARIABLE  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

INSTRUMENTS = 8
PASSWORD = "a long walk by the sea"
WITHIN_S = 240.0  # on a busy machine
GIVING_WAY_S = 900.0  # what research is asked gives way to everything beside it
HELD_WITHIN_S = 1200.0  # from the first process to the first positions, on a machine that has other work
BEGIN_SPEED = 100.0  # session seconds a second, until something is held
CALM_SPEED = 6.0  # while pages are looked at
AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


def chromium() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass
class Person:
    """Somebody who may sign in, with the phone in his pocket. Each recovery code is good once."""

    email: str
    secret: str
    codes: list[str]
    password: str = PASSWORD

    def code(self) -> str:
        """The authenticator's code of now; good once in its half minute."""
        return pyotp.TOTP(self.secret).now()


@dataclass
class Console:
    """One running day; `token` is the home's."""

    house: House
    paper: PaperDay
    url: str
    token: str

    def snapshot(self) -> dict[str, Any]:
        return dict(self.get("/api/v1/live/snapshot"))

    def get(self, path: str) -> Any:
        headers = {"authorization": f"Bearer {self.token}"}
        reply = httpx.get(f"{self.url}{path}", headers=headers, timeout=WITHIN_S, trust_env=False)
        return reply.raise_for_status().json()

    def until(
        self, what: str, condition: Callable[[dict[str, Any]], bool], within_s: float = WITHIN_S
    ) -> dict[str, Any]:
        """The first snapshot of which it is true."""
        found: dict[str, Any] = {}

        def holds() -> bool:
            nonlocal found
            try:
                found = self.snapshot()
            except httpx.HTTPError:
                return False  # gone or starting again: whether the day has ended is asked beside it
            return condition(found)

        self.paper.await_true(what, holds, within_s, pause_s=0.2)
        return found

    def enrol(self, role: str) -> Person:
        """A new person of that role, by the command line."""
        email = f"{role}-{secrets.token_hex(4)}@example.test"
        words = self.house.words("users", "add", email, "--role", role, "--json")
        done = subprocess.run(
            [*words, "--config", str(self.house.config_path)],
            env={**os.environ, HOME_VARIABLE: str(self.house.home)},
            input=f"{PASSWORD}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        return Person(email, told["totp_secret"], told["recovery_codes"])

    def sign_in(self, person: Person) -> httpx.Client:
        """A client with a session of that person, whose one-time code is not fresh."""
        client = httpx.Client(
            base_url=self.url, timeout=WITHIN_S, trust_env=False, headers={"origin": self.url}
        )
        form = {"email": person.email, "password": person.password, "recovery_code": person.codes.pop()}
        told = client.post("/api/v1/session", json=form).raise_for_status().json()
        client.headers["x-csrf-token"] = told["csrf_token"]
        return client

    def stand_still(self) -> None:
        """Nothing of the day runs until `go_on`."""
        for process in self.house.processes():
            with suppress(psutil.Error):
                process.suspend()

    def go_on(self) -> None:
        for process in self.house.processes():
            with suppress(psutil.Error):
                process.resume()

    def cookies(self, person: Person) -> list[dict[str, Any]]:
        """Of a new session, for a browser; a fresh one-time code makes them void and gives others."""
        with closing(self.sign_in(person)) as client:
            return [{"name": name, "value": value, "url": self.url} for name, value in client.cookies.items()]

    @contextmanager
    def frozen_api(self) -> Iterator[None]:
        """The API's process stands still, its sockets open: what a page then hears is nothing."""
        pid = self.paper.pid_of("api")
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def running(home: Path) -> Iterator[Console]:
    """A day in which positions are held from the first minutes on."""
    house = House(
        home,
        instruments=INSTRUMENTS,
        changes={
            "session.speed": BEGIN_SPEED,
            "models.offline": "",
            "models.online": "",
            "strategies.enabled": ["ma_cross"],
            "strategies.parameters": {"ma_cross": {"fast": 2, "slow": 4}},
            "risk.open_positions": 5,
        },
    )
    with house.paper() as paper:
        url = f"http://127.0.0.1:{house.ports[4]}"
        paper.await_true("the API", lambda: _answers(url), HELD_WITHIN_S, pause_s=0.2)
        console = Console(house, paper, url, (house.home / "api.token").read_text())
        console.until("positions", _two_are_held, HELD_WITHIN_S)
        paper.set_speed(CALM_SPEED)
        yield console


def _two_are_held(told: dict[str, Any]) -> bool:
    return len(told.get("positions", {}).get("positions", [])) >= 2


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@dataclass
class Watched:
    """What a page did that it may not do."""

    faults: list[str] = field(default_factory=list)

    def watch(self, page: Page, url: str) -> None:
        page.on("pageerror", lambda err: self.faults.append(f"script: {err}"))
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("request", lambda asked: self._asked(asked.url, url))

    def _said(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:
            self.faults.append(f"console: {text}")

    def _asked(self, asked: str, url: str) -> None:
        if not asked.startswith("data:") and urlsplit(asked).netloc != urlsplit(url).netloc:
            self.faults.append(f"leaves the machine: {asked}")


def wait_for(page: Page, expression: str, within_s: float = WITHIN_S) -> None:
    """Until the expression is true in the page."""
    deadline = time.monotonic() + within_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"{expression}: not within {within_s} s"
        page.wait_for_timeout(100)


def barriers(page: Page) -> list[dict[str, Any]]:
    """What WCAG 2.1 AA asks and axe misses on the page."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": AA}})
    return [
        {"rule": each["id"], "at": [node["target"] for node in each["nodes"]][:3], "help": each["help"]}
        for each in found.response["violations"]
    ]


def as_text(found: Any) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False)
