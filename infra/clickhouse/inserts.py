"""Arrow columns -> ClickHouse, each batch exactly once.

A batch travels as one insert with a deduplication token made of the run, the table and its range of log
offsets. Before the first insert of a flush all of its batches are written to a spool file; a process that
died between sending and committing sends them again, byte for byte and with the same tokens, and the
server drops what it already has, even if the first attempt is still being executed. `high_water` then
tells which offsets are in the tables, so re-read messages are skipped. The server remembers 1000 tokens per
table (`non_replicated_deduplication_window`), a flush uses one per table and topic. The targets of
materialized views remember them too: a server that died between a table and its view is healed by the
repetition, and one that had finished both drops both.

A ClickHouse that is away or has no room at the moment is waited for, with one flush in hand and nothing read
meanwhile: the log keeps the rest.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa

from kitepilot.ports import TopicPartition

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

#: How long a silent ClickHouse is waited for once the process is to end; also when a wait is told.
RETRY_S = 15.0
_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 2.0
#: "Not now": too many queries or parts, no memory, no disk, a timeout (ErrorCodes.cpp of ClickHouse 26.9).
_NOT_NOW = frozenset((159, 160, 202, 203, 209, 210, 241, 243, 252, 319, 439, 745))
_SETTINGS = {
    "insert_deduplicate": "1",
    "deduplicate_blocks_in_dependent_materialized_views": "1",
    "async_insert": "0",
}


class Insert(msgspec.Struct, frozen=True, array_like=True):
    """One batch of one table: an Arrow stream and the token it is known by."""

    table: str
    columns: list[str]
    token: str
    body: bytes


class InsertError(RuntimeError):
    """ClickHouse did not take a batch: names the table, the token and the server's word."""


def insert_of(table: str, columns: dict[str, pa.Array], token: str) -> Insert:
    """Equal-length columns as one Arrow record batch: one block, stored whole or not at all."""
    batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return Insert(table, list(columns), token, sink.getvalue().to_pybytes())


def constant(text: str, length: int) -> pa.Array:
    """`length` times the same text, as a dictionary of one."""
    return pa.DictionaryArray.from_arrays(np.zeros(length, dtype=np.int8), [text])


class Inserter:
    """Sends flushes of one run. One process at a time: its supervisor sees to that."""

    def __init__(
        self,
        client: Client,
        spool: Path,
        retry_s: float = RETRY_S,
        stopping: Callable[[], bool] = lambda: True,
    ) -> None:
        """`stopping` says that the process is to end: only then is waiting given up, after `retry_s`."""
        self._client = client
        self._spool = spool
        self._retry_s = retry_s
        self._stopping = stopping

    def flush(self, inserts: Sequence[Insert]) -> None:
        """Make all batches durable in the tables, in the order given.

        Raises:
            InsertError: refused, or no answer for `retry_s` once stopping. The spool keeps them for
                `finish_last`.
        """
        draft = self._spool.with_suffix(".draft")
        draft.write_bytes(msgspec.msgpack.encode(inserts))
        draft.replace(self._spool)
        for insert in inserts:
            self._send(insert)

    def finish_last(self) -> int:
        """After a start: send what the last flush may not have finished; returns the number of batches."""
        if not self._spool.exists():
            return 0
        inserts = msgspec.msgpack.decode(self._spool.read_bytes(), type=list[Insert])
        for insert in inserts:
            self._send(insert)
        return len(inserts)

    def high_water(self, tables: Sequence[str], run_id: str) -> dict[tuple[str, TopicPartition], int]:
        """Highest log offset of this run that is in each table, by topic-partition."""
        found: dict[tuple[str, TopicPartition], int] = {}
        for table in tables:
            rows = self._client.query(
                f"SELECT log_topic, log_partition, max(log_offset) FROM {table} "  # noqa: S608
                "WHERE run_id = {run:String} GROUP BY log_topic, log_partition",
                parameters={"run": run_id},
            ).result_rows
            found |= {(table, (topic, partition)): offset for topic, partition, offset in rows}
        return found

    def _send(self, insert: Insert) -> None:
        settings = _SETTINGS | {"insert_deduplication_token": insert.token}
        since, pause_s, told = time.monotonic(), _PAUSE_S, False
        while trouble := self._tried(insert, settings):
            late = time.monotonic() - since > self._retry_s
            if late and self._stopping():
                raise InsertError(
                    f"no answer from ClickHouse for {self._retry_s:.0f} s while writing {insert.token} "
                    f"to {insert.table}: {trouble}"
                )
            if late and not told:
                told = True
                sys.stderr.write(f"archive: waiting for ClickHouse, reading nothing meanwhile: {trouble}\n")
            gc.collect()  # the client's exception holds the body in a cycle: 5 MB a try until somebody looks
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        if told:
            sys.stderr.write(f"archive: ClickHouse took {insert.token}; going on\n")

    def _tried(self, insert: Insert, settings: dict[str, str]) -> str:
        """Empty when it is stored, else why it may be sent again: the same token makes that safe."""
        from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

        try:
            self._client.raw_insert(
                insert.table, insert.columns, insert.body, settings=settings, fmt="ArrowStream"
            )
        except OperationalError as err:  # no connection, or it broke
            return _said(err)
        except DatabaseError as err:
            if err.code in _NOT_NOW:
                return _said(err)
            raise InsertError(f"ClickHouse refused {insert.token} for {insert.table}: {err}") from err
        return ""

    def close(self) -> None:
        self._client.close()


def _said(err: Exception) -> str:
    """Never empty, and short: the client quotes its whole URL."""
    return (str(err) or type(err).__name__)[:200]
