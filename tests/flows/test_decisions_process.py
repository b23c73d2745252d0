"""The decision flow as a process of a run, on the real log: killed, started again, drained."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.eventlog import open_log
from kitepilot.config import Config, dump
from kitepilot.events import AnyEvent, canonical, decode, encode
from kitepilot.ports import EventLog
from kitepilot.run import RUN_FOLDER_VARIABLE, Run
from kitepilot.topics import DECISIONS, INTENTS, SESSION, TOPICS

sys.path.insert(0, str(Path(__file__).parent.parent / "risk"))
from desk import RUN, Desk

ROOT = Path(__file__).resolve().parents[2]
PROCESS = (
    "from flows.decisions import main; from kitepilot.run import current; raise SystemExit(main(current()))"
)


def wait_for(what: str, done: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s"
        time.sleep(0.02)


def start(run: Run) -> subprocess.Popen[bytes]:
    ready = run.ready_file("decisions")
    ready.unlink(missing_ok=True)
    environment = os.environ | {RUN_FOLDER_VARIABLE: str(run.folder), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", PROCESS], env=environment)
    wait_for("the decision flow", lambda: ready.exists() or process.poll() is not None)
    assert process.poll() is None
    return process


def a_long_day() -> Desk:
    """Entries, stops, horizons and refusals over some hundred seconds."""
    desk = Desk()
    for step in range(300):
        desk.mark(alpha=100_000 - step % 40 * 20, bravo=50_000 + step % 30 * 10, charlie=20_000)
        for name, token in (("alpha", 257), ("bravo", 513)):
            if step % 25 == len(name):
                desk.signal(token=token, horizon_s=10)
        for order in list(desk.desk.working.values()):
            desk.complete(next(each for each in desk.permissions() if each.intent_id == order.intent_id))
    return desk


def written(log: EventLog, topic: str) -> list[AnyEvent]:
    reader = log.reader({(topic, 0): 0})
    events: list[AnyEvent] = []
    while records := reader.poll(1000):
        events += [decode(record.value) for record in records]
    reader.close()
    return events


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(RUN, tmp_path / "runs" / RUN, Config())
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(dump(run.config))
    return run


def test_killed_and_started_again_it_repeats_with_the_same_numbers_and_drains_on_sigterm(run: Run) -> None:
    desk = a_long_day()
    values = [encode(event) for event in desk.said]
    log = open_log(run)
    log.create_topics(TOPICS)
    log.append(SESSION.name, [b"an earlier run's words"])  # before our start offset: never read
    (run.folder / "start_offsets.json").write_text(json.dumps({SESSION.name: 1}))
    process = start(run)
    try:
        log.append(SESSION.name, values[:200])
        wait_for("decisions on the first part", lambda: log.end_offset(DECISIONS.name) > 50)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        log.append(SESSION.name, values[200:])
        process = start(run)
        last = desk.out[-1].seq
        wait_for("the last decision", lambda: any(e.seq == last for e in written(log, DECISIONS.name)))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
    seen: dict[tuple[str, int], AnyEvent] = {}
    for event in [*written(log, DECISIONS.name), *written(log, INTENTS.name)]:
        first = seen.setdefault((event.source, event.seq), event)
        assert canonical(first) == canonical(event)
    log.close()
    expected = sorted(desk.out, key=lambda event: (event.source, event.seq))
    assert sorted(seen) == [(event.source, event.seq) for event in expected]
    assert [canonical(seen[key]) for key in sorted(seen)] == [canonical(event) for event in expected]
