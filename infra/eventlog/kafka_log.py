"""The event log on a Kafka-protocol broker (Redpanda, Apache Kafka), with librdkafka.

Consumer groups are not used: whoever reads keeps its own offsets. No transactions and no compaction, so
offsets are gap-free. A record's stamp is its producer's clock in ms (`CreateTime`), so with several
producers whose clocks differ the stamps may fall along offsets; seeking by time is then approximate.
A reader of a broker that is down stays empty and goes on by itself when the broker is back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infra.eventlog.bounds import MAX_APPEND_BYTES, MAX_APPEND_VALUES, MIB, check_append, check_value
from infra.eventlog.kafka_reader import CALL_TIMEOUT_S, MS, KafkaReader, explain, quiet
from kitepilot.ports import EventLog, LogError, LogReader, LogWriter, OffsetOutOfRangeError, TopicPartition
from kitepilot.topics import Topic

Answer = TypeVar("Answer")
_SETTLING = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,  # asked only for topics the broker has listed
}
_SETTLING_PAUSE_S = 0.05
_GATHER_MS = 1_000  # longer than it takes to queue one append; `flush` sends at once


class KafkaLog(EventLog):
    """The log at `bootstrap_servers`. Connects at first use. Threads may share it.

    Topics must exist (`create_topics`); the broker is not asked to make them on the fly.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._admin = AdminClient(quiet(bootstrap_servers))
        self._lock = threading.Lock()
        self._offsets: Consumer | None = None
        self._producer: Producer | None = None
        self._known: set[TopicPartition] = set()

    def create_topics(self, topics: Iterable[Topic]) -> None:
        """Make what is missing; the retention of a topic that exists is left as its owner set it."""
        wanted = {topic.name: topic for topic in topics}
        existing = self._list_topics()
        missing = [_new_topic(topic) for name, topic in wanted.items() if name not in existing]
        for name, future in self._admin.create_topics(missing).items() if missing else ():
            try:
                future.result(CALL_TIMEOUT_S)
            except KafkaException as err:
                if err.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise explain(f"create topic {name!r}", self._servers, err) from err
        self._await_leaders({(name, n) for name, topic in wanted.items() for n in range(topic.partitions)})

    def append(self, topic: str, values: Sequence[bytes], *, partition: int = 0, key: bytes = b"") -> int:
        """All values travel in one record batch, which a broker writes whole or not at all.

        Raises:
            LogError: a bound, an unknown topic, or no answer in time. After a time-out the batch may or may
                not have been written, as with any request; repeat it with the same seqs.
        """
        check_append(topic, values)
        self.require(topic, partition)
        with self._lock:
            self._producer = self._producer or Producer(_append_settings(self._servers))
            delivered: list[Message] = []
            failed: list[KafkaError] = []

            def report(error: KafkaError | None, message: Message) -> None:
                if error is None:
                    delivered.append(message)
                else:
                    failed.append(error)

            for value in values:
                self._producer.produce(topic, value, key or None, partition, on_delivery=report)
            if self._producer.flush(CALL_TIMEOUT_S) or failed:
                self._abandon_producer()
                raise LogError(
                    f"{len(values)} values for topic {topic!r} were not acknowledged by {self._servers} "
                    f"within {CALL_TIMEOUT_S:.0f} s ({failed[0] if failed else 'no answer'}); "
                    "check that the broker runs"
                )
            return min(offset for message in delivered if (offset := message.offset()) is not None)

    def reader(self, start: Mapping[TopicPartition, int]) -> LogReader:
        if not start:
            raise LogError("a reader needs at least one topic-partition to start from")
        for (topic, partition), offset in start.items():
            begin, end = self._watermarks(topic, partition)
            if not begin <= offset <= end:
                raise OffsetOutOfRangeError(
                    f"offset {offset} of topic {topic!r} partition {partition} at {self._servers} is outside "
                    f"what the log holds: oldest kept {begin}, end {end}"
                )
        return KafkaReader(self._servers, start)

    def writer(self) -> LogWriter:
        return KafkaWriter(self._servers, self.require)

    def begin_offset(self, topic: str, partition: int = 0) -> int:
        return self._watermarks(topic, partition)[0]

    def end_offset(self, topic: str, partition: int = 0) -> int:
        return self._watermarks(topic, partition)[1]

    def offset_at(self, topic: str, at_ns: int, partition: int = 0) -> int:
        self.require(topic, partition)
        asked = [KafkaPartition(topic, partition, max(0, -(-at_ns // MS)))]
        (found,) = self._call(
            f"seek in topic {topic!r}",
            lambda: self._consumer().offsets_for_times(asked, timeout=CALL_TIMEOUT_S),
        )
        return found.offset if found.offset >= 0 else self.end_offset(topic, partition)

    def trim(self, topic: str, before_ns: int, partition: int = 0) -> int:
        asked = KafkaPartition(topic, partition, self.offset_at(topic, before_ns, partition))
        (future,) = self._admin.delete_records([asked]).values()
        deleted = self._call(f"trim topic {topic!r}", lambda: future.result(CALL_TIMEOUT_S))
        return int(deleted.low_watermark)

    def close(self) -> None:
        if self._offsets is not None:
            self._offsets.close()
            self._offsets = None
        self._producer = None

    def require(self, topic: str, partition: int) -> None:
        """Raises `LogError` unless the topic-partition exists; asks the broker once."""
        if (topic, partition) in self._known:
            return
        topics = self._list_topics()
        self._known = _partitions_of(topics)
        if (topic, partition) not in self._known:
            raise LogError(
                f"topic {topic!r} partition {partition} does not exist at {self._servers}; "
                "create_topics first"
            )

    def _await_leaders(self, wanted: set[TopicPartition]) -> None:
        deadline = time.monotonic() + CALL_TIMEOUT_S
        while missing := wanted - _partitions_of(self._list_topics()):
            if time.monotonic() > deadline:
                raise LogError(
                    f"{self._servers} made {sorted(missing)} but does not list them; is it overloaded?"
                )
            time.sleep(_SETTLING_PAUSE_S)
        for where in wanted:
            self._watermarks(*where)  # answers once the partition has its leader

    def _list_topics(self) -> dict[str, Any]:
        return self._call("list topics", lambda: self._admin.list_topics(timeout=CALL_TIMEOUT_S)).topics

    def _watermarks(self, topic: str, partition: int) -> tuple[int, int]:
        self.require(topic, partition)
        where = KafkaPartition(topic, partition)
        begin, end = self._call(
            f"read the ends of topic {topic!r}",
            lambda: self._consumer().get_watermark_offsets(where, timeout=CALL_TIMEOUT_S),
        )
        return begin, end

    def _consumer(self) -> Consumer:
        if self._offsets is None:
            self._offsets = Consumer(quiet(self._servers) | {"group.id": "kitepilot-offsets"})
        return self._offsets

    def _abandon_producer(self) -> None:
        """What was queued must not reach the broker after the caller was told that it failed."""
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    def _call(self, doing: str, call: Callable[[], Answer]) -> Answer:
        """The broker's answer; a partition that is just getting its leader is asked again."""
        deadline = time.monotonic() + CALL_TIMEOUT_S
        while True:
            try:
                return call()
            except KafkaException as err:
                if err.args[0].code() not in _SETTLING or time.monotonic() > deadline:
                    raise explain(doing, self._servers, err) from err
                time.sleep(_SETTLING_PAUSE_S)


class KafkaWriter(LogWriter):
    """An idempotent producer: in order, each record once, acknowledged by all replicas."""

    def __init__(self, bootstrap_servers: str, require: Callable[[str, int], None]) -> None:
        self._servers = bootstrap_servers
        self._require = require
        self._failed: list[str] = []
        settings = _producer_settings(bootstrap_servers) | {
            "linger.ms": 0,
            "delivery.report.only.error": True,
            "on_delivery": self._report,
        }
        self._producer = Producer(settings)

    def append(self, topic: str, value: bytes, *, partition: int = 0, key: bytes = b"") -> None:
        check_value(topic, value)
        self._require(topic, partition)
        try:
            self._producer.produce(topic, value, key or None, partition)
        except BufferError:
            self.flush()
            self._producer.produce(topic, value, key or None, partition)
        except KafkaException as err:
            raise explain(f"append to topic {topic!r}", self._servers, err) from err

    def push(self) -> None:
        self._producer.poll(0)
        self._raise_failures()

    def flush(self, timeout_s: float = 10.0) -> None:
        left = self._producer.flush(timeout_s)
        self._raise_failures()
        if left:
            raise LogError(
                f"{left} records were not acknowledged by {self._servers} within {timeout_s} s; "
                "check that the broker runs"
            )

    def close(self) -> None:
        self._producer.purge()
        self._producer.poll(0)

    def _report(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed.append(f"a record for topic {message.topic()!r} was not written: {error.str()}")

    def _raise_failures(self) -> None:
        if self._failed:
            raise LogError(
                f"{self._failed[0]} (broker {self._servers}, {len(self._failed)} failures in all); "
                "start the writer again, it repeats what was not acknowledged"
            )


def _partitions_of(topics: Mapping[str, Any]) -> set[TopicPartition]:
    return {(name, number) for name, found in topics.items() for number in found.partitions}


def _new_topic(topic: Topic) -> NewTopic:
    settings = {
        "retention.ms": str(int(topic.retention.total_seconds() * 1000)),
        "max.message.bytes": str(MAX_APPEND_BYTES + MIB),
        "message.timestamp.type": "CreateTime",
        "cleanup.policy": "delete",
    }
    return NewTopic(topic.name, num_partitions=topic.partitions, replication_factor=-1, config=settings)


def _producer_settings(servers: str) -> dict[str, Any]:
    return quiet(servers) | {
        "acks": "all",
        "enable.idempotence": True,
        "message.max.bytes": MAX_APPEND_BYTES + MIB,
        "delivery.timeout.ms": int(CALL_TIMEOUT_S * 1000),
    }


def _append_settings(servers: str) -> dict[str, Any]:
    """Gather all values of a call, then send them as one batch when `flush` is called."""
    return _producer_settings(servers) | {
        "linger.ms": _GATHER_MS,
        "batch.num.messages": MAX_APPEND_VALUES,
        "batch.size": MAX_APPEND_BYTES + MIB,
    }
