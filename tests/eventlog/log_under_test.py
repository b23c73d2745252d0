"""What a contract test gets, and the openers that writer processes import."""

from __future__ import annotations

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


def open_kafka(bootstrap_servers: str) -> EventLog:
    from infra.eventlog.kafka_log import KafkaLog

    return KafkaLog(bootstrap_servers)
