"""Reading from a Kafka-protocol broker, and what its errors mean in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from kitepilot.ports import LogError, LogReader, LogRecord, OffsetOutOfRangeError, TopicPartition

MS = 1_000_000
CALL_TIMEOUT_S = 10.0
_OUT_OF_RANGE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}
_PASSING = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT}


class KafkaReader(LogReader):
    """ONE consumer assigned to all topic-partitions: each more would cost the flow a millisecond a loop."""

    def __init__(self, bootstrap_servers: str, start: Mapping[TopicPartition, int]) -> None:
        self._servers = bootstrap_servers
        self._next = dict(start)
        self._consumer = Consumer(_consumer_settings(bootstrap_servers))
        self._consumer.assign(
            [KafkaPartition(topic, part, offset) for (topic, part), offset in start.items()]
        )

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[LogRecord]:
        try:
            messages = self._consumer.consume(max_records, 0)
            if not messages and timeout_s > 0:
                messages = self._wait(max_records, timeout_s)
        except KafkaException as err:
            raise explain("read", self._servers, err) from err
        return [record for message in messages if (record := self._record(message))]

    def positions(self) -> Mapping[TopicPartition, int]:
        return dict(self._next)

    def close(self) -> None:
        self._consumer.close()

    def _wait(self, max_records: int, timeout_s: float) -> list[Message]:
        """Wait for the first record, then take what is there: `consume(n, t)` would wait for all n."""
        messages = self._consumer.consume(1, timeout_s)
        if messages and max_records > 1:
            messages += self._consumer.consume(max_records - 1, 0)
        return messages

    def _record(self, message: Message) -> LogRecord | None:
        # a consumed message names its topic, partition and offset; the client's types do not know that
        topic, partition = str(message.topic()), int(message.partition() or 0)
        error = message.error()
        if error is not None:
            self._judge(error, topic, partition)
            return None
        offset = int(message.offset() or 0)
        self._next[topic, partition] = offset + 1
        _, stamped_ms = message.timestamp()
        key, value = message.key() or b"", message.value() or b""
        return LogRecord(topic, partition, offset, stamped_ms * MS, key, value)

    def _judge(self, error: KafkaError, topic: str, partition: int) -> None:
        if error.code() in _PASSING:
            return
        where = f"topic {topic!r} partition {partition} at {self._servers}"
        if error.code() in _OUT_OF_RANGE:
            raise OffsetOutOfRangeError(
                f"the next offset {self._next.get((topic, partition))} of {where} is not in the log "
                f"(retention removed it, or it is past the end): {error.str()}"
            )
        raise LogError(f"cannot read {where}: {error.str()}")


def quiet(servers: str) -> dict[str, Any]:
    """Settings of every client: errors come back from calls, not on the terminal."""
    return {
        "bootstrap.servers": servers,
        "log_level": 2,
        "error_cb": _ignore,
        "reconnect.backoff.max.ms": 1_000,
        "topic.metadata.propagation.max.ms": 2_000,
    }


def explain(doing: str, servers: str, err: KafkaException) -> LogError:
    """A client error in one line. librdkafka's own text says what went wrong; we add where and what to do."""
    error = err.args[0]
    return LogError(
        f"cannot {doing} at {servers}: {error.str()}; check that the broker runs and is reachable"
    )


def _ignore(_error: KafkaError) -> None:
    """Connection troubles pass by themselves; the calls that wait for an answer report those that do not."""


def _consumer_settings(servers: str) -> dict[str, Any]:
    return quiet(servers) | {
        "group.id": "kitepilot-unused",  # asked for by the client; nothing is ever committed to it
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",  # the default would skip to the end in silence
        "fetch.wait.max.ms": 10,
        "fetch.error.backoff.ms": 20,
        "queued.min.messages": 100_000,
        "queued.max.messages.kbytes": 65_536,
    }
