"""What a preview of signals costs over HTTP, beside GET /health of the same server in the same run, in turns.

The API over an empty run, its research process warm; bars of a random walk as CSV. It prints p50 and p95 of
both and their ratio; the target is 200 ms p95 for the preview.
"""

from __future__ import annotations

import argparse
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import httpx
import numpy as np
import uvicorn

from api.app import create_app
from api.control import token_of
from api.services import made
from infra.eventlog import open_log
from kitepilot import config as configuration
from kitepilot.config import Config
from kitepilot.run import Run
from kitepilot.topics import TOPICS
from research.generated_bars import GeneratedBars, csv_of

DAY = date(2026, 11, 19)
TARGET_MS = 200.0
STARTS_WITHIN_S = 180.0


@contextmanager
def served(home: Path) -> Iterator[httpx.Client]:
    """A client with the home's token."""
    config = configuration.override(
        Config(), **{"strategies.enabled": ["ma_cross"], "models.offline": "", "models.online": ""}
    )
    run = Run("paper-20261120-0001", home / "runs" / "paper-20261120-0001", config)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(configuration.dump(config))
    (run.folder / "start_offsets.json").write_text(json.dumps({t.name: 0 for t in TOPICS}))
    log = open_log(run)
    log.create_topics(TOPICS)
    token = token_of(home)
    services = made(run, log, api_secret="", token=token)
    services.view.start()
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(services), log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    told = {"authorization": f"Bearer {token}"}
    try:
        with httpx.Client(base_url=url, headers=told, timeout=STARTS_WITHIN_S, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(10)
        services.view.stop()
        services.close()
        log.close()


def timed(act: Callable[[], httpx.Response]) -> float:
    """Milliseconds of one request that went well."""
    begun = time.perf_counter()
    reply = act()
    took = (time.perf_counter() - begun) * 1e3
    reply.raise_for_status()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--instruments", type=int, default=5)
    parser.add_argument("--minutes", type=int, default=120)
    asked = parser.parse_args()
    bars = GeneratedBars(asked.instruments, (DAY,), volatility_bps=20.0).read(DAY)
    sent = csv_of(bars, asked.minutes)
    kind = {"content-type": "text/csv"}
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "var") as client:
        acts: dict[str, Callable[[], httpx.Response]] = {
            "preview": lambda: client.post("/api/v1/signals", content=sent, headers=kind),
            "health": lambda: client.get("/health"),
        }
        begun = time.perf_counter()
        while client.get("/api/v1/datasets").status_code == 503:
            assert time.perf_counter() - begun < STARTS_WITHIN_S
        for act in acts.values():
            timed(act)
        print(f"first preview, its process included: {time.perf_counter() - begun:.1f} s")
        took: dict[str, list[float]] = {name: [] for name in acts}
        for _ in range(asked.turns):
            for name, act in acts.items():
                took[name].append(timed(act))
    rows = asked.instruments * asked.minutes
    figures = {name: np.percentile(each, (50, 95)) for name, each in took.items()}
    for name, (p50, p95) in figures.items():
        print(f"{name:<8} p50 {p50:8.1f} ms  p95 {p95:8.1f} ms  ({asked.turns} turns)")
    ratio = figures["preview"][0] / figures["health"][0]
    print(f"{rows} rows, {len(sent):,} bytes: a preview is {ratio:.0f} x /health (p50); ", end="")
    print(f"p95 {'within' if figures['preview'][1] <= TARGET_MS else 'PAST'} {TARGET_MS:.0f} ms")


if __name__ == "__main__":
    main()
