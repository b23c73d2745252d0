"""How long a record takes through the event log, and how many fit: each adapter against a plain file.

    python benchmarks/log.py [--quick] [--kafka]

A producer process appends one record at a time at a steady rate; a consumer process looks each
millisecond, as a flow does. The plain file has the same producer and consumer and no guarantees: its
numbers are the machine's floor. Prints a table, then one JSON line. `--kafka` adds a real Kafka node.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from infra.eventlog.sqlite_log import SqliteLog
from kitepilot.ports import EventLog
from kitepilot.topics import DAY, Topic

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from loopback_ports import free_ports

STAMP = struct.Struct("<q")
VALUE_BYTES = 4096  # about twenty ticks
RATE_PER_S = 200
TICKS = Topic("ticks", 1, DAY, "bytes")
INTENTS = Topic("intents", 1, DAY, "bytes")  # synced at each commit on SQLite
spawn = multiprocessing.get_context("spawn")

Append = Callable[[bytes], object]
Opener = Callable[[], tuple[Append, Callable[[], list[bytes]]]]


def open_file(path: Path) -> tuple[Append, Callable[[], list[bytes]]]:
    """The floor: an unbuffered append and a read of what was added since."""
    path.touch()
    out = path.open("ab", buffering=0)
    source = path.open("rb", buffering=0)

    def read() -> list[bytes]:
        raw = source.read(1 << 20) or b""
        return [raw[i : i + VALUE_BYTES] for i in range(0, len(raw), VALUE_BYTES)]

    return out.write, read


def open_topic(open_log: Callable[[], EventLog], topic: str) -> tuple[Append, Callable[[], list[bytes]]]:
    log = open_log()
    reader = log.reader({(topic, 0): log.begin_offset(topic)})
    return (lambda value: log.append(topic, [value])), (lambda: [r.value for r in reader.poll(1000)])


def open_kafka(address: str) -> EventLog:
    from infra.eventlog.kafka_log import KafkaLog

    return KafkaLog(address)


def produce(opener: Opener, count: int, told: Connection) -> None:
    """Append `count` stamped values at `RATE_PER_S`; tell the seconds each call took."""
    append, _ = opener()
    append(STAMP.pack(0) + b"\0" * (VALUE_BYTES - STAMP.size))  # first use opens files and connections
    took: list[float] = []
    began = time.monotonic()
    for i in range(count):
        time.sleep(max(0.0, began + i / RATE_PER_S - time.monotonic()))
        value = STAMP.pack(time.monotonic_ns()) + b"\0" * (VALUE_BYTES - STAMP.size)
        before = time.perf_counter()
        append(value)
        took.append(time.perf_counter() - before)
    told.send(took)


def measure_latency(opener: Opener, seconds: float) -> dict[str, float]:
    """Milliseconds from before the append to after the poll that returned it, and of the append alone."""
    count = int(seconds * RATE_PER_S)
    told, telling = spawn.Pipe(duplex=False)
    producer = spawn.Process(target=produce, args=(opener, count, telling))
    _, read = opener()
    producer.start()
    passed: list[float] = []
    deadline = time.monotonic() + seconds * 3 + 30
    while len(passed) < count and time.monotonic() < deadline:
        values = read()
        now = time.monotonic_ns()
        passed += [(now - sent) / 1e6 for value in values if (sent := STAMP.unpack_from(value)[0])]
        time.sleep(0.001)
    took = told.recv()
    producer.join(10)
    if len(passed) != count:
        raise SystemExit(f"{count - len(passed)} of {count} records did not arrive")
    return _quantiles("end_to_end", passed) | _quantiles("append", [1e3 * each for each in took])


def measure_throughput(open_log: Callable[[], EventLog], seconds: float) -> dict[str, float]:
    """Records a second written in batches of 100 by one writer, and read back from the start."""
    log = open_log()
    writer = log.writer()
    begin = log.end_offset(TICKS.name)
    value = os.urandom(VALUE_BYTES)
    began = time.perf_counter()
    written = 0
    while time.perf_counter() - began < seconds:
        for _ in range(100):
            writer.append(TICKS.name, value)
        writer.push()
        written += 100
    writer.flush()
    wrote = time.perf_counter() - began
    reader = log.reader({(TICKS.name, 0): begin})
    began = time.perf_counter()
    seen = 0
    while seen < written:
        seen += len(reader.poll(1000, timeout_s=1.0))
    return {
        "written_per_s": round(written / wrote),
        "read_per_s": round(seen / (time.perf_counter() - began)),
    }


def file_throughput(path: Path, seconds: float) -> dict[str, float]:
    value = os.urandom(VALUE_BYTES) * 100
    written = 0
    with path.open("wb", buffering=0) as out:
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            written += out.write(value) // VALUE_BYTES
        wrote = time.perf_counter() - began
    with path.open("rb", buffering=0) as source:
        began = time.perf_counter()
        while source.read(len(value)):
            pass
        read = time.perf_counter() - began
    path.unlink()
    return {"written_per_s": round(written / wrote), "read_per_s": round(written / read)}


def start_kafka(stack: ExitStack, folder: Path) -> str:
    from infra.kafka.jars import provide_jars
    from infra.kafka.server import KafkaServer
    from kitepilot.run import home

    server = KafkaServer(folder, free_ports(2)[0], provide_jars(home() / "kafka" / "libs"))
    stack.callback(server.stop)
    server.start()
    return server.bootstrap_servers


def run(folder: Path, seconds: float, kafka: bool) -> dict[str, dict[str, float]]:
    logs: dict[str, Callable[[], EventLog]] = {"sqlite": partial(SqliteLog, folder / "log")}
    with ExitStack() as stack:
        if kafka:
            logs["kafka"] = partial(open_kafka, start_kafka(stack, folder / "kafka"))
        file = partial(open_file, folder / "plain")
        found = {"file": measure_latency(file, seconds) | file_throughput(folder / "flat", seconds / 4)}
        for name, open_log in logs.items():
            open_log().create_topics([TICKS, INTENTS])
            for topic in (TICKS.name, INTENTS.name):
                found[f"{name} {topic}"] = measure_latency(partial(open_topic, open_log, topic), seconds)
            found[f"{name} {TICKS.name}"] |= measure_throughput(open_log, seconds / 4)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 s for each instead of 20")
    parser.add_argument("--kafka", action="store_true", help="start and measure a real Kafka node too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kitepilot-bench-") as folder:
        found = run(Path(folder), 3.0 if asked.quick else 20.0, asked.kafka)
    columns = list(found["file"])
    print(f"{'':16}" + "".join(f"{column:>20}" for column in columns))
    for name, row in found.items():
        print(f"{name:16}" + "".join(f"{row.get(column, ''):>20}" for column in columns))
    ratios = {name: _ratios(row, found["file"]) for name, row in found.items() if name != "file"}
    shape = {"value_bytes": VALUE_BYTES, "rate_per_s": RATE_PER_S}
    print(json.dumps({"benchmark": "log", **shape, "measured": found, "ratio_to_file": ratios}))


def _ratios(row: dict[str, float], floor: dict[str, float]) -> dict[str, float]:
    return {column: round(value / floor[column], 3) for column, value in row.items() if floor[column]}


def _quantiles(name: str, values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    picks = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
    return {f"{name}_{label}_ms": round(ordered[int(q * len(ordered))], 3) for label, q in picks.items()}


if __name__ == "__main__":
    main()
