"""Whom a stack tells outside, in one server: a person, a monitor that it lives, a collector of traces."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

from otlp_collector import PATH, Collector

TITLE = re.compile(r"KitePilot (\w+): (.+) \(")
TARGET = "KITEPILOT_TEST_TARGET_URL"
HEARTBEAT = "KITEPILOT_TEST_HEARTBEAT_URL"
#: What the addresses hold that nobody else may read, as those of Telegram and of monitors do.
SECRETS = {
    "password of a target": "pl4nted-pass-of-a-target",
    "token of a target": "bot5550001:pl4nted-token-of-a-target",
    "token of the heartbeat": "pl4nted-token-of-the-heartbeat",
}


class Told(NamedTuple):
    """One message as it came: `word` is a severity, STILL or over."""

    word: str
    key: str


@dataclass
class Heard:
    """Everything that came, in its order. `spans`: (process, span); `acknowledged`: key -> by whom."""

    told: list[Told] = field(default_factory=list)
    refused: list[Told] = field(default_factory=list)
    spans: list[tuple[str, Any]] = field(default_factory=list)
    beats: int = 0
    bodies: list[str] = field(default_factory=list)  # of alerts
    acknowledged: dict[str, str] = field(default_factory=dict)


def foreign(heard: Heard) -> list[Told]:
    """What was told of orders that are not the desk's."""
    return [each for each in heard.told if each.key.startswith("foreign_order:")]


def words_of(told: list[Told], key: str) -> list[str]:
    """What was said of one alert, without being said again."""
    return [each.word for each in told if each.key == key and each.word != "STILL"]


@dataclass(frozen=True)
class Outside:
    """Addresses on one port: what a house is configured with."""

    port: int

    @property
    def changes(self) -> dict[str, object]:
        return {
            "alerts.targets": [{"name": "me", "url_at": f"env:{TARGET}"}],
            "alerts.heartbeat_at": f"env:{HEARTBEAT}",
            "alerts.heartbeat_s": 5.0,
            "telemetry.traces_url": f"http://127.0.0.1:{self.port}{PATH}",
        }

    @property
    def environment(self) -> dict[str, str]:
        at, (password, token, beat) = f"127.0.0.1:{self.port}", SECRETS.values()
        target = f"json://me:{password}@{at}/alert/{quote(token)}"
        return {TARGET: target, HEARTBEAT: f"http://{at}/beat/{beat}"}

    @contextmanager
    def listening(self, refusing: int = 0) -> Iterator[Heard]:
        """While the block lasts; the first `refusing` alerts are not taken."""
        server = _Server(self.port, refusing)
        try:
            yield server.heard
        finally:
            server.close()


class _Server(Collector):
    def __init__(self, port: int, refusing: int) -> None:
        self.heard = Heard()
        self.refusing_alerts = refusing
        super().__init__(port=port)
        self.heard.spans = self.taken

    def take(self, path: str, body: bytes) -> int:
        if path == PATH:
            return super().take(path, body)
        if path.startswith("/beat/"):
            self.heard.beats += 1
            return 200
        self.heard.bodies.append(body.decode())
        found = TITLE.match(json.loads(body)["title"])
        assert found, body
        refused = len(self.heard.refused) < self.refusing_alerts
        (self.heard.refused if refused else self.heard.told).append(Told(*found.groups()))
        return 503 if refused else 200
