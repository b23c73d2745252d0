"""The unmodified clients in processes of their own: KiteTicker's reactor, the README, the command line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from small_market import ALPHA, OPEN, S, SmallMarket, packet

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


def test_the_readme_script_runs_against_the_command_and_it_stops_on_a_signal():
    readme = (ROOT / "broker_adapter/sandbox/README.md").read_text()
    script = re.search(r"```python\n(.*?)```", readme, re.S)[1].replace("18210", "18710")
    command = [sys.executable, "-m", "broker_adapter.sandbox", "--port", "18710", "--start", "--speed", "60"]
    environment = {k: v for k, v in os.environ.items() if k != "KITEPILOT_API_SECRET"}
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert "REST http://127.0.0.1:18710" in server.stdout.readline()
        assert server.stdout.readline().strip() == "ready"
        said = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
        )
        assert said.stdout.startswith("Paper Trader ")
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 2 and "port 18710" in second.stderr and "Traceback" not in second.stderr
        server.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert server.wait(15) == 0
        assert time.monotonic() - began < 10
    finally:
        server.kill()
        server.wait()
