"""The log is a port: the same session records give the same decisions on SQLite and on Kafka, however cut."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paper_house import HOUR_NS, OPEN_NS, Day, House, free_ports, values

from infra.eventlog import open_log
from infra.kafka.jars import KafkaUnavailableError, provide_jars
from infra.kafka.server import KafkaServer
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot.ports import EventLog
from kitepilot.run import RUN_FOLDER_VARIABLE, Run, home
from kitepilot.topics import DECISIONS, SESSION, TOPICS

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def jars() -> Path:
    try:
        return provide_jars(home() / "kafka" / "libs")
    except KafkaUnavailableError as err:
        pytest.skip(str(err))


def kafka_address() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


@contextmanager
def kafka(folder: Path, jars: Path) -> Iterator[str]:
    address = kafka_address()
    server = KafkaServer(folder, int(address.rpartition(":")[2]), jars)
    server.start()
    try:
        yield address
    finally:
        server.stop()


def the_day_again(run: Run, folder: Path, log: dict[str, object]) -> Run:
    """The same run, id and all, in another home on another log; the configuration keeps its meaning."""
    config = configuration.override(run.config, **log)
    again = Run(run.run_id, folder / "runs" / run.run_id, config)
    again.folder.mkdir(parents=True)
    (again.folder / "config.yaml").write_text(configuration.dump(config))
    (again.folder / "start_offsets.json").write_text(json.dumps({topic.name: 0 for topic in TOPICS}))
    return again


def decide_again(run: Run, session: list[bytes], portion: int, decisions: int) -> str:
    """Fold `session` through the real decision flow on the log of `run`; the hash of what it decided."""
    log = open_log(run)
    log.create_topics(TOPICS)
    environment = os.environ | {RUN_FOLDER_VARIABLE: str(run.folder)}
    process = subprocess.Popen([sys.executable, "-m", "kitepilot", "run", "decisions"], env=environment)
    try:
        for at in range(0, len(session), portion):
            log.append(SESSION.name, session[at : at + portion])
        deadline = time.monotonic() + 120
        while log.end_offset(DECISIONS.name) < decisions:
            assert process.poll() is None, "the decision flow ended early"
            assert time.monotonic() < deadline, f"{log.end_offset(DECISIONS.name)} of {decisions} decisions"
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        return hash_of(log, 0, decisions)
    finally:
        process.kill()
        process.wait()
        log.close()


def hash_of(log: EventLog, start: int, end: int) -> str:
    return e.stream_hash(e.decode(value) for value in values(log, DECISIONS.name, start, end))


@pytest.fixture(scope="module")
def recorded(finished_day: tuple[House, Day]) -> tuple[Run, list[bytes], int, str]:
    """Run, its session records, how many decisions it made, and their hash."""
    house, day = finished_day
    run, log = house.run(day.result["run_id"]), house.log()
    starts = run.start_offsets()
    session = list(values(log, SESSION.name, starts[SESSION.name], day.ends[SESSION.name]))
    made = day.ends[DECISIONS.name] - starts[DECISIONS.name]
    assert hash_of(log, starts[DECISIONS.name], day.ends[DECISIONS.name]) == day.result["decisions_hash"]
    log.close()
    return run, session, made, day.result["decisions_hash"]


@pytest.mark.parametrize("portion", [97, 10_000])
def test_the_decisions_of_a_day_do_not_depend_on_how_its_records_arrive(
    recorded: tuple[Run, list[bytes], int, str], tmp_path: Path, portion: int
) -> None:
    run, session, made, hashed = recorded
    assert decide_again(the_day_again(run, tmp_path, {}), session, portion, made) == hashed


@pytest.mark.kafka
def test_kafka_gives_the_same_decisions_for_the_same_records(
    recorded: tuple[Run, list[bytes], int, str], jars: Path, tmp_path: Path
) -> None:
    run, session, made, hashed = recorded
    with kafka(tmp_path / "kafka", jars) as address:
        log = {"log.kind": "kafka", "log.bootstrap_servers": address}
        assert decide_again(the_day_again(run, tmp_path / "home", log), session, 1_000, made) == hashed


@pytest.mark.kafka
def test_a_paper_day_on_kafka_reconciles(
    build_house: Callable[..., House], jars: Path, tmp_path: Path
) -> None:
    house = build_house(tmp_path / "home", instruments=8, changes={"log.bootstrap_servers": kafka_address()})
    (house.home / "kafka").mkdir()
    (house.home / "kafka" / "libs").symlink_to(jars)
    with house.paper("--log", "kafka") as paper:
        paper.await_time(OPEN_NS + 2 * HOUR_NS)
        paper.interrupt()
        day = paper.wait()
    assert day.code == 130, day.err[-3000:]
    assert day.result["log"] == "kafka"
    assert day.result["reconciled"], day.result["first_difference"]
    assert day.result["orders"] > 0
    assert day.result["open_positions"] == 0
    assert house.leftovers() == []
