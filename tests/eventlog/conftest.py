"""The logs under test: SQLite, SQLite with segments so small that they roll all the time, and real Kafka."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from log_under_test import LogUnderTest, open_kafka
from loopback_ports import free_ports

from infra.eventlog.sqlite_log import SqliteLog
from infra.kafka.jars import KafkaUnavailableError, provide_jars
from infra.kafka.server import KafkaServer
from kitepilot.ports import EventLog
from kitepilot.run import home
from kitepilot.topics import Topic

_numbers = itertools.count()


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    try:
        return provide_jars(home() / "kafka" / "libs")
    except KafkaUnavailableError as err:
        pytest.skip(str(err))


@pytest.fixture(scope="session")
def kafka_server(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path_factory.mktemp("kafka"), free_ports(2)[0], kafka_jars)
    try:
        server.start()
    except KafkaUnavailableError as err:
        pytest.skip(str(err))
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "sqlite-rolling", pytest.param("kafka", marks=pytest.mark.kafka)])
def tested(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogUnderTest]:
    open_log: Callable[[], EventLog]
    if request.param == "kafka":
        open_log = partial(open_kafka, request.getfixturevalue("kafka_server").bootstrap_servers)
    else:
        segment_bytes = 40_000 if request.param == "sqlite-rolling" else 1 << 28
        open_log = partial(SqliteLog, tmp_path / "log", segment_bytes=segment_bytes)
    log = open_log()
    number = next(_numbers)
    topic = Topic(f"tested-{number}", 1, timedelta(days=2), "bytes")
    other = replace(topic, name=f"other-{number}")
    log.create_topics([topic, other])
    yield LogUnderTest(open_log, topic.name, other.name, log)
    log.close()
