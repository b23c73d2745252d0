"""What a contract test gets, and the openers that writer processes import."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from kitepilot.ports import EventLog


@dataclass(frozen=True)
class LogUnderTest:
    """`open_log` is picklable and gives a new instance; `topic` and `other` are fresh, made and empty."""

    open_log: Callable[[], EventLog]
    topic: str
    other: str
    log: EventLog


def free_port_pair() -> int:
    """A port that is free and whose successor is free too."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return int(port)
    raise RuntimeError("no two neighbouring ports are free")


def open_kafka(bootstrap_servers: str) -> EventLog:
    from infra.eventlog.kafka_log import KafkaLog

    return KafkaLog(bootstrap_servers)
