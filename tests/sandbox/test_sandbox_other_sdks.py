"""Kite's own Node and Go clients, unmodified, each through one order's day at the sandbox.

They come from npm and the Go module proxy; without the tools or the registries the tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.parse
from pathlib import Path
from typing import Any

import httpx
import pytest
from small_market import OPEN, S
from well_known_market import INFY, well_known_market

from broker_adapter.sandbox.main import Venue

HERE = Path(__file__).parent
SECRET = "test_secret"
INSTALL_S, DAY_S = 240, 60


@pytest.fixture
def environment(sandbox) -> dict[str, str]:
    """A market that moves, and what a client needs to log in to it."""
    venue = sandbox(well_known_market(), speed=1000.0, venue=Venue(SECRET, latency_mean_ms=0.0))
    venue.start()
    venue.until(lambda state: state["session_time_ns"] > OPEN + 60 * S)
    venue.admin.post("/admin/speed", json={"speed": 20.0})
    broker = venue.config.broker
    reply = httpx.get(f"{broker.rest_url}/connect/login", params={"v": 3, "api_key": broker.api_key})
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(reply.headers["location"]).query)
    return {
        **os.environ,
        "KITE_REST": broker.rest_url,
        "KITE_TICKER": f"{broker.ticker_url}/",
        "KITE_KEY": broker.api_key,
        "KITE_SECRET": SECRET,
        "KITE_REQUEST_TOKEN": query["request_token"][0],
        "KITE_TOKEN": str(INFY.token),
    }


def run(command: list[str], folder: Path, timeout_s: float, environment: dict[str, str] | None = None):
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def installed(command: list[str], folder: Path) -> None:
    """Fetch a client from its registry; skip where that cannot be done."""
    try:
        done = run(command, folder, INSTALL_S)
    except subprocess.TimeoutExpired:
        pytest.skip(f"`{' '.join(command)}` did not end in {INSTALL_S} s: is the registry there?")
    if done.returncode:
        pytest.skip(f"`{' '.join(command)}` failed: {done.stderr.strip()[-300:]}")


def day_of(command: list[str], folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    done = run(command, folder, DAY_S, environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def an_order_s_day_came_out_right(said: dict[str, Any], tag: str) -> None:
    assert (said["user"], said["profile"]) == ("KP0001", "Paper Trader")
    assert said["tick"] == {"last_price": 1500, "ask": 1500.05}
    assert said["update"] == {"status": "COMPLETE", "tag": tag}
    assert said["orders"] == [[tag, "COMPLETE", 10]]
    assert said["trades"] == 1
    assert said["positions"] == [["INFY", 10]]
    assert said["instruments"] == ["INFY", "RELIANCE"]
    assert said["margin"] == pytest.approx(3000.1)
    assert said["refusal"] == "InputException"  # a market order without protection
    assert said["logout"] is True


def test_kite_s_node_client_trades_and_hears_of_it(environment, request):
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("node and npm are not installed")
    folder = request.config.cache.mkdir("sdk_node")
    for name in ("package.json", "day.js"):
        shutil.copy(HERE / "sdk_node" / name, folder / name)
    if not (folder / "node_modules/kiteconnect/package.json").exists():
        quietly = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0"]
        installed([npm, "install", *quietly], folder)
    said = day_of([node, "day.js"], folder, environment)
    an_order_s_day_came_out_right(said, "NODE00")
    assert said["ltp"] == ["NSE:INFY", "NSE:NIFTY 50"]
    assert said["first_candle"].startswith("2026-11-20T03:45:00")


def test_kite_s_go_client_trades_and_hears_of_it(environment, request, tmp_path):
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not go:
        pytest.skip("go is not installed")
    folder = HERE / "sdk_go"
    installed([go, "mod", "download"], folder)
    built = run([go, "build", "-o", str(tmp_path / "day"), "."], folder, INSTALL_S)
    assert built.returncode == 0, built.stderr
    said = day_of([str(tmp_path / "day")], folder, environment)
    an_order_s_day_came_out_right(said, "GO00")
    assert said["ltp"] == 2
    assert said["first_candle"] == "2026-11-20T09:15:00+05:30"
    assert (said["full_profile"], said["holdings"], said["invested"]) == ("totp", 0, 0)
