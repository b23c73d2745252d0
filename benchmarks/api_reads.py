"""How long the API's reads take with twenty clients and a day trading: p95 of each route, against /health.

    python benchmarks/api_reads.py [--quick] [--clients 20] [--pause-ms 100] [--speed 10] [--home FOLDER]

A day of 20 instruments is traded by the real processes, quickly until there are orders, then at `--speed`.
Locust asks as a process of its own (`reading_clients.py`): every client asks route after route, the pause
between an answer and the next question. All routes are asked in the same run, /health among them, so that
the machine's own slowness stands in every line alike. The aim is 120 ms p95.

Prints a line a route, then JSON. Exit code 1: a route missed the aim, or an answer was not 200.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from loopback_ports import free_ports

AIM_MS = 120.0
BASELINE = "/api/v1/health"
INSTRUMENTS = 20
BEGINS_WITHIN_S = 1_800.0
MEMORY = (
    BASELINE, "/api/v1/status", "/api/v1/pnl", "/api/v1/positions", "/api/v1/quotes", "/api/v1/signals",
    "/api/v1/orders", "/api/v1/intents", "/api/v1/fills", "/api/v1/risk", "/api/v1/instruments",
    "/api/v1/timeline", "/api/v1/live/snapshot", "/api/v1/commands",
)  # fmt: skip
STORES = ("/api/v1/runs", "/api/v1/models", "/api/v1/audit", "/api/v1/reports", "/api/v1/risk/profiles")


@dataclass
class Day:
    """A paper day that trades."""

    process: subprocess.Popen[str]
    url: str
    admin: str
    token: str

    def get(self, path: str, **query: str) -> Any:
        headers = {"authorization": f"Bearer {self.token}"}
        answer = httpx.get(self.url + path, params=query, headers=headers, timeout=60, trust_env=False)
        return answer.raise_for_status().json()

    def cpu_s(self) -> float:
        """What the API's process has used so far."""
        port = httpx.URL(self.url).port
        (pid,) = {
            each.pid
            for each in psutil.net_connections("tcp4")
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port
        }
        return float(sum(psutil.Process(pid).cpu_times()[:2]))

    def pace(self, speed: float | str) -> None:
        httpx.post(f"{self.admin}/admin/speed", json={"speed": speed}, timeout=60, trust_env=False)

    def routes(self) -> list[str]:
        """What is asked, with an order and an instrument of the day in it."""
        order = self.get("/api/v1/orders")["items"][0]
        symbol = order["tradingsymbol"]
        charts = [f"/api/v1/candles?symbol={symbol}&interval=1m", f"/api/v1/features?symbol={symbol}"]
        return [*MEMORY, f"/api/v1/orders/{order['intent_id']}", *STORES, *charts]


@contextmanager
def trading(home: Path, speed: float) -> Iterator[Day]:
    """A day with orders in it that goes on at `speed`; stopped when the block ends."""
    rest, ticker, admin, clickhouse, api = free_ports(5)
    home.mkdir(parents=True, exist_ok=True)
    path = home / "api_reads.yaml"
    settings = {
        "broker": {
            "rest_url": f"http://127.0.0.1:{rest}",
            "ticker_url": f"ws://127.0.0.1:{ticker}",
            "admin_url": f"http://127.0.0.1:{admin}",
        },
        "storage": {"clickhouse_url": f"http://127.0.0.1:{clickhouse}"},
        "api": {"port": api},
        "daily_pack": {"enabled": False},
    }
    path.write_text(yaml.safe_dump(settings))
    words = ["paper", "--config", str(path), "--instruments", str(INSTRUMENTS), "--speed", "max", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kitepilot", *words],
        env={**os.environ, "KITEPILOT_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        day = Day(process, f"http://127.0.0.1:{api}", f"http://127.0.0.1:{admin}", "")
        await_orders(day, home)
        day.pace(speed)
        yield day
    finally:
        process.terminate()
        try:
            process.wait(300)
        except subprocess.TimeoutExpired:
            process.kill()


def await_orders(day: Day, home: Path) -> None:
    """Until there is something to read."""
    deadline = time.monotonic() + BEGINS_WITHIN_S
    while True:
        if day.process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the day did not come to an order: `kitepilot paper` tells why")
        try:
            day.token = (home / "api.token").read_text().strip()
            if day.get("/api/v1/orders", limit="5")["items"][4:]:
                return
        except (OSError, httpx.HTTPError):
            pass  # not up yet
        time.sleep(0.25)


def asked(day: Day, folder: Path, clients: int, pause_ms: float, for_s: int) -> list[dict[str, Any]]:
    """What Locust measured, a row a route."""
    given = {
        "KITEPILOT_READ_TOKEN": day.token,
        "KITEPILOT_READ_ROUTES": json.dumps(day.routes()),
        "KITEPILOT_READ_PAUSE_S": str(pause_ms / 1e3),
    }
    words = ["-f", str(Path(__file__).with_name("reading_clients.py")), "--headless", "--only-summary"]
    pace = ["-u", str(clients), "-r", str(clients), "-t", f"{for_s}s", "--host", day.url]
    ended = subprocess.run(
        [sys.executable, "-m", "locust", *words, *pace, "--csv", str(folder / "reads")],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=False,
    )
    if not (folder / "reads_stats.csv").exists():
        raise SystemExit(ended.stderr)
    with (folder / "reads_stats.csv").open() as table:
        return [row for row in csv.DictReader(table) if row["Name"] != "Aggregated"]


def main() -> int:
    """0 when every route was answered, and within the aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="30 seconds instead of 120")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--pause-ms", type=float, default=100.0)
    parser.add_argument("--speed", type=float, default=10.0, help="session seconds a second")
    parser.add_argument("--home", type=Path, help="traded in; otherwise a home of its own that is removed")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, trading(told.home or Path(made), told.speed) as day:
        for_s, before = 30 if told.quick else 120, day.cpu_s()
        rows = asked(day, Path(made), told.clients, told.pause_ms, for_s)
        cpu_s = day.cpu_s() - before
    routes = {
        row["Name"]: {
            "asked": int(row["Request Count"]),
            "failed": int(row["Failure Count"]),
            "p50_ms": float(row["50%"]),
            "p95_ms": float(row["95%"]),
        }
        for row in rows
    }
    baseline = routes[BASELINE]["p95_ms"]
    for name, found in sorted(routes.items(), key=lambda each: -each[1]["p95_ms"]):
        found["ratio"] = round(found["p95_ms"] / baseline, 2)
        print(
            f"{name:42} {found['asked']:6} asked, {found['failed']} failed, p50 {found['p50_ms']:.0f} ms, "
            f"p95 {found['p95_ms']:.0f} ms, {found['ratio']:.2f} of /health"
        )
    slow = [name for name, found in routes.items() if found["p95_ms"] > AIM_MS or found["failed"]]
    cpu_ms = round(cpu_s * 1e3 / max(sum(found["asked"] for found in routes.values()), 1), 2)
    print(f"the API's process: {cpu_s / for_s:.0%} of a core, {cpu_ms} ms of it an answer")
    whole = {"clients": told.clients, "aim_ms": AIM_MS, "cpu_ms": cpu_ms, "missed": sorted(slow)}
    print(json.dumps(whole | {"routes": routes}))
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
