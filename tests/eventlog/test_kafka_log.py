"""What only a broker can do to us: be gone, be killed, come back; and how the node is started."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from log_under_test import open_kafka
from loopback_ports import free_ports

from infra.kafka import jars
from infra.kafka.jars import KafkaUnavailableError, find_java, provide_jars
from infra.kafka.server import KafkaServer, loopback_port
from kitepilot.ports import LogError
from kitepilot.topics import Topic

TOPIC = Topic("session", 1, timedelta(days=400), "bytes")


@pytest.fixture
def own_server(kafka_jars: Path, tmp_path: Path) -> Iterator[KafkaServer]:
    """A node of this test's own, to be killed."""
    server = KafkaServer(tmp_path / "kafka", free_ports(2)[0], kafka_jars)
    server.start()
    yield server
    server.stop()


@pytest.mark.kafka
@pytest.mark.slow
def test_killed_broker_keeps_what_it_acknowledged_and_everyone_goes_on_when_it_is_back(
    own_server: KafkaServer,
) -> None:
    log = open_kafka(own_server.bootstrap_servers)
    log.create_topics([TOPIC])
    values = [b"%d" % i for i in range(200)]
    for value in values:
        log.append(TOPIC.name, [value])
    reader = log.reader({(TOPIC.name, 0): 150})
    own_server.kill()

    writer = log.writer()
    writer.append(TOPIC.name, b"lost")
    with pytest.raises(LogError, match=r"not acknowledged by .* within 0.5 s"):
        writer.flush(0.5)
    writer.close()
    assert reader.poll(1000) is not None  # whatever was fetched before; no error, no wait

    own_server.start()
    again = open_kafka(own_server.bootstrap_servers)
    assert again.end_offset(TOPIC.name) == 200
    assert again.append(TOPIC.name, [b"after"]) == 200
    seen = {record.offset for record in reader.poll(1000)}
    while dict(reader.positions())[TOPIC.name, 0] < 201:
        seen |= {record.offset for record in reader.poll(1000, timeout_s=5)}
    whole = again.reader({(TOPIC.name, 0): 0})
    back: list[bytes] = []
    while len(back) < 201:
        back += [record.value for record in whole.poll(1000, timeout_s=5)]
    assert back == [*values, b"after"]


@pytest.mark.kafka
def test_port_in_use_is_said_before_java_starts(kafka_jars: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(KafkaUnavailableError, match=f"port {port} .*in use"):
            KafkaServer(tmp_path, port, kafka_jars).start()


def test_address_of_another_machine_is_not_ours_to_start() -> None:
    assert loopback_port("127.0.0.1:19092") == 19092
    for address in ("kafka.example:9092", "127.0.0.1", "10.0.0.1:19092"):
        with pytest.raises(KafkaUnavailableError, match=r"only at 127\.0\.0\.1"):
            loopback_port(address)


def test_machine_without_java_or_maven_hears_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for attempt in (find_java, lambda: provide_jars(tmp_path / "libs")):
        with pytest.raises(KafkaUnavailableError, match="apt install openjdk-17-jre-headless maven"):
            attempt()


def test_too_old_java_is_refused_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(KafkaUnavailableError, match=r"needs Java 17, .* is version 11"):
        find_java()


def test_failed_download_leaves_nothing_that_looks_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] Could not transfer artifact'; exit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    for _ in range(2):
        with pytest.raises(KafkaUnavailableError, match="Could not transfer artifact"):
            jars.provide_jars(tmp_path / "libs")


def test_broker_that_is_not_there_is_a_log_error_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{free_ports(2)[0]}"
    monkeypatch.setattr("infra.eventlog.kafka_log.CALL_TIMEOUT_S", 0.5)
    log = open_kafka(address)
    with pytest.raises(LogError, match=f"{address}.*check that the broker runs"):
        log.append(TOPIC.name, [b"x"])
    log.close()


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.usefixtures("kafka_jars")  # Maven has them at hand, or this is skipped
def test_two_who_want_the_jars_at_once_get_the_same_whole_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(provide_jars, [tmp_path / "libs"] * 2)
    assert first == second
    assert any(jar.name.startswith("kafka-clients") for jar in first.iterdir())
    assert not list((tmp_path / "libs").glob("*.draft"))
