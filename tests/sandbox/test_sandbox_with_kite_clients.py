"""The unmodified clients in processes of their own: KiteTicker's reactor, the README, the command line."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from loopback_ports import free_ports
from small_market import ALPHA, OPEN, S, SmallMarket, packet

from kitepilot.cli.sandbox import SCRIPT

ROOT = Path(__file__).parents[2]

KITE_TICKER = """
import sys
from kiteconnect import KiteTicker
root, token, instrument = sys.argv[1], sys.argv[2], int(sys.argv[3])
ticker = KiteTicker("kitepilot_paper", token, root=root)
def opened(ws, response):
    ws.subscribe([instrument])
    ws.set_mode(ws.MODE_FULL, [instrument])
def ticks(ws, ticks):
    for tick in ticks:
        print("TICK", tick["mode"], tick["last_price"], tick["depth"]["sell"][0]["price"], flush=True)
def update(ws, data):
    print("ORDER", data["status"], data["tag"], flush=True)
    ws.stop()
ticker.on_connect, ticker.on_ticks, ticker.on_order_update = opened, ticks, update
ticker.connect()
"""


def test_kite_ticker_reads_our_ticks_and_order_updates(sandbox):
    market = SmallMarket([(OPEN + 1, packet(ALPHA, 500_00, [(499_95, 9)], [(500_05, 9)]))])
    venue = sandbox(market)
    kite = venue.login()
    client = subprocess.Popen(
        [
            sys.executable,
            "-c",
            KITE_TICKER,
            venue.config.broker.ticker_url,
            kite.access_token,
            str(ALPHA.token),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        venue.until(lambda state: state["subscribed_tokens"] == 1, timeout_s=30)
        venue.start()
        venue.ack(OPEN - 19 * S)
        assert client.stdout.readline().split() == ["TICK", "full", "500.0", "500.05"]
        kite.place_order("regular", "NSE", "KPALPHA", "BUY", 9, "MIS", "LIMIT", 500.05, "IOC", tag="TAG00")
        venue.ack(OPEN)
        assert client.stdout.readline().split() == ["ORDER", "COMPLETE", "TAG00"]
        assert client.wait(20) == 0
    finally:
        client.kill()
        client.wait()


@pytest.fixture
def alone() -> Iterator[tuple[subprocess.Popen[str], int, list[str]]]:
    """`kitepilot sandbox` in a process of its own, ready; its port and its command line."""
    port = free_ports(3)[0]
    command = [sys.executable, "-m", "kitepilot", "sandbox", "--port", str(port), "--instruments", "6"]
    command += ["--from", "09:16", "--speed", "1"]
    environment = {k: v for k, v in os.environ.items() if k != "KITEPILOT_API_SECRET"}
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert f"REST http://127.0.0.1:{port} " in server.stdout.readline()
        assert server.stdout.readline().strip() == "ready"
        yield server, port, command
    finally:
        server.kill()
        server.wait()


def readme_script(port: int) -> str:
    readme = (ROOT / "broker_adapter/sandbox/README.md").read_text()
    (script,) = re.findall(r"```python\n(.*?)```", readme, re.S)
    assert script == SCRIPT
    return script.replace("18210", str(port))


def test_the_readme_script_buys_on_a_fresh_sandbox_with_the_unmodified_client(alone):
    _, port, _ = alone
    said = subprocess.run(
        [sys.executable, "-c", readme_script(port)], capture_output=True, text=True, timeout=60, check=True
    )
    ((symbol, quantity, status),) = ast.literal_eval(said.stdout)
    assert (symbol, quantity) == ("KPALPHA", 1)
    assert status not in ("REJECTED", "CANCELLED")
    book = {"orders": [], "trades": []}
    for _ in range(400):  # the order is on its way for some moments of session time
        book = httpx.get(f"http://127.0.0.1:{port + 2}/admin/book").json()
        if book["trades"]:
            break
        threading.Event().wait(0.05)
    assert [order["status"] for order in book["orders"]] == ["COMPLETE"]


def test_a_second_sandbox_on_the_same_port_says_so_and_the_first_stops_on_a_signal(alone):
    server, port, command = alone
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2 and f"port {port}" in second.stderr and "Traceback" not in second.stderr
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0


def test_a_fault_is_armed_listed_and_disarmed_from_the_command_line(alone):
    _, port, _ = alone

    def say(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "kitepilot", "sandbox", *words, "--port", str(port)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    armed = say("fault", "stuck_order", "-p", "stuck_s=30", "--symbol", "KPBETA", "--count", "3")
    assert armed.returncode == 0, armed.stderr
    (row,) = json.loads(say("faults", "--json").stdout)["armed"]
    assert (row["fault"], row["left"], row["parameters"]) == ("stuck_order", 3, {"stuck_s": 30.0})
    wrong = say("fault", "earthquake")
    assert wrong.returncode == 2 and "stuck_order" in wrong.stderr and "Traceback" not in wrong.stderr
    assert say("fault", "--clear").returncode == 0
    assert json.loads(say("faults", "--json").stdout)["armed"] == []
