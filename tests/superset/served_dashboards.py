"""`kitepilot dashboards` over a copied or freshly traded home, as a person would start it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from loopback_ports import free_port

from infra.analytics.dbt import dbt_program
from infra.dashboards import DashboardError, interpreter

#: Its synthetic market has what every chart shows: refusals, a drift, trades of each strategy.
SESSION = "2026-11-20"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Served:
    """A Superset that answers at `url`."""

    home: Path
    config: Path
    url: str
    owner_file: Path

    @property
    def owner(self) -> dict[str, str]:
        return dict(json.loads(self.owner_file.read_text()))

    @cached_property
    def api(self) -> httpx.Client:
        """Logged in as the owner."""
        client = httpx.Client(base_url=self.url, timeout=60, headers={"Referer": self.url})
        said = {"username": self.owner["user"], "password": self.owner["password"], "provider": "db"}
        token = client.post("/api/v1/security/login", json=said).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        csrf = client.get("/api/v1/security/csrf_token/").raise_for_status().json()["result"]
        client.headers["X-CSRFToken"] = csrf
        return client

    def kitepilot(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return kitepilot(self.home, *arguments)

    def export(self, into: Path, *arguments: str) -> list[str]:
        """Files that an export into `into` changes, relative to it."""
        ended = self.kitepilot(
            *("dashboards", "export", "--config", str(self.config), "--into", str(into)), "--json", *arguments
        )
        assert ended.returncode in (0, 1), ended.stderr
        changed: list[str] = json.loads(ended.stdout)["changed"]
        return sorted(str(Path(name).resolve().relative_to(into.resolve())) for name in changed)


def missing() -> str:
    """Why the dashboards cannot be served here; empty where they can."""
    try:
        interpreter()
    except DashboardError as err:
        return str(err)
    return "" if dbt_program() else "dbt is not installed: `make bootstrap`"


def chromium() -> str | None:
    return next((found for name in CHROMIUM if (found := shutil.which(name))), None)


def kitepilot(home: Path, *arguments: str, traced: bool = True) -> subprocess.CompletedProcess[str]:
    """A command to its end; with `traced` it counts for the coverage."""
    hidden = set() if traced else {"COVERAGE_PROCESS_CONFIG"}
    return subprocess.run(
        [sys.executable, "-m", "kitepilot", *arguments],
        env={k: v for k, v in os.environ.items() if k not in hidden} | {"KITEPILOT_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )


def traded_home(folder: Path) -> Path:
    """A home whose ClickHouse holds a paper day."""
    home = folder / "home"
    given = os.environ.get("KITEPILOT_DASHBOARDS_HOME")
    if given:
        shutil.copytree(Path(given) / "clickhouse", home / "clickhouse", symlinks=True)
        return home
    config = _config(folder)
    traded = kitepilot(
        *(home, "paper", "--config", str(config), "--session", SESSION, "--instruments", "8"),
        *("--speed", "max", "--json"),
        traced=False,  # its processes would be five times slower
    )
    assert traded.returncode == 0, traded.stderr
    return home


def _config(folder: Path) -> Path:
    config = folder / "config.yaml"
    config.write_text(
        "risk: {open_positions: 2}\n"  # so that entries are refused, and the charts of refusals have some
        "daily_pack: {enabled: false}\n"  # it would hold the stores
        f'storage: {{clickhouse_url: "http://127.0.0.1:{free_port()}"}}\n'
    )
    return config


@contextmanager
def serve(home: Path) -> Iterator[Served]:
    """The dashboards of `home` until the block ends; then everything it started is seen to have ended."""
    config = _config(home.parent)
    arguments = ("--config", str(config), "--port", str(free_port()), "--background", "--json")
    begun = kitepilot(home, "dashboards", "up", *arguments)
    assert begun.returncode == 0, begun.stderr
    said: dict[str, Any] = json.loads(begun.stdout)
    try:
        yield Served(home, config, said["url"], Path(said["owner_file"]))
    finally:
        ended = kitepilot(home, "dashboards", "down", "--json")
        assert json.loads(ended.stdout) == {"was_running": True}, ended.stderr
