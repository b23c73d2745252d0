"""The event log behind `kitepilot.ports.EventLog`: SQLite (embedded) or any Kafka-protocol broker.

Both adapters keep one contract, held by `tests/eventlog`: offsets start at 0, grow by one and are never
renumbered; several processes may write one partition and every reader sees the same order; what `append`
or `flush` returned from survives `kill -9`; reads are bounded and `poll(n)` never blocks.

`functools.partial(open_log, run)` is the picklable factory that the flow connectors take.
"""

from __future__ import annotations

from infra.eventlog.sqlite_log import SqliteLog
from kitepilot.ports import EventLog
from kitepilot.run import Run


def open_log(run: Run) -> EventLog:
    """The log of this run's home, by `log.kind`. Opens nothing until it is used; do not carry it over a fork.

    Raises:
        LogError: the broker's address is unusable. A broker that is down shows at the first call.
    """
    if run.config.log.kind == "kafka":
        from infra.eventlog.kafka_log import KafkaLog

        return KafkaLog(run.config.log.bootstrap_servers)
    return SqliteLog(run.log_folder)
