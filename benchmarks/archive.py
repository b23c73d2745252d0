"""How fast ticks reach ClickHouse, what a tick costs on disk, and what row-wise inserts would cost instead.

    python benchmarks/archive.py [--quick]

Ticks of the seeded synthetic market go through the archive's own code into an embedded server started for
the purpose. The baseline inserts the same ticks as Python rows, as a plain client program would. Prints a
table, then one JSON line. CPU is that of the archiving process alone; wall time includes the server's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from broker_adapter.sandbox.feed.synthetic import SyntheticMarket
from flows.archive import Archive
from infra.clickhouse.client import connect
from infra.clickhouse.inserts import Inserter
from infra.clickhouse.migrate import migrate
from kitepilot import config as configuration
from kitepilot.market.calendar import ist_ns
from kitepilot.market.ticks import RECORD_BYTES, RECORD_DTYPE, records
from kitepilot.ports import LogRecord
from kitepilot.run import RUN_FOLDER_VARIABLE, Run

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from loopback_ports import free_port

DAY = date(2026, 11, 20)
OPEN_AT = ist_ns(DAY, "09:15")
START = {("ticks", 0): 0}
TARGET_PER_S = 30_000
SERVE = (
    "from kitepilot.run import current; from infra.clickhouse.server import main; "
    "raise SystemExit(main(current()))"
)


def messages(minutes: int) -> list[LogRecord]:
    """`minutes` of the market from 09:15 on as `ticks` messages, one per half second with packets."""
    made: list[LogRecord] = []
    market = SyntheticMarket(DAY, seed=1, instruments=200, updates_per_s=1.5)
    filled = (cut for cut in market.slices(OPEN_AT) if len(cut.packets))
    for cut in islice(filled, minutes * 120):
        frame = np.zeros(len(cut.packets), dtype=RECORD_DTYPE)
        frame["received_at"] = cut.sent_at
        frame["packet"] = cut.packets
        made.append(LogRecord("ticks", 0, len(made), cut.until, b"", frame.tobytes()))
    return made


@contextmanager
def server() -> Iterator[Run]:
    """A run whose embedded ClickHouse is up and migrated."""
    with tempfile.TemporaryDirectory() as home:
        url = f"http://127.0.0.1:{free_port()}"
        config = configuration.override(configuration.Config(), **{"storage.clickhouse_url": url})
        run = Run("paper-20261120-0001", Path(home) / "runs" / "paper-20261120-0001", config)
        run.folder.mkdir(parents=True)
        (run.folder / "config.yaml").write_text(configuration.dump(config))
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            env=os.environ | {RUN_FOLDER_VARIABLE: str(run.folder)},
            stderr=subprocess.DEVNULL,
        )
        try:
            migrate(run)
            yield run
        finally:
            process.terminate()
            process.wait(30)


def archived(run: Run, log: list[LogRecord]) -> tuple[float, float]:
    """(wall s, CPU s) of this process to put all records into the tables, flushing as the flow does."""
    archive = Archive(run.run_id, DAY, START, Inserter(connect(run, "sink"), run.folder / "archive.spool"))
    wall, cpu = time.perf_counter(), time.process_time()
    for begin in range(0, len(log), 200):
        archive.add(log[begin : begin + 200])
    archive.flush()
    spent = time.perf_counter() - wall, time.process_time() - cpu
    archive.close()
    return spent


def row_wise(run: Run, log: list[LogRecord]) -> tuple[float, float]:
    """The same ticks, one Python list per tick."""
    names = "run_id session_date token exchange_at received_at last_trade_at last_paise last_quantity "
    names += "average_paise volume total_buy_quantity total_sell_quantity open_paise high_paise low_paise "
    names += "close_paise bid_paise bid_quantity bid_orders ask_paise ask_quantity ask_orders log_topic "
    names += "log_partition log_offset row"
    with connect(run, "sink") as client:
        wall, cpu = time.perf_counter(), time.process_time()
        rows: list[list[Any]] = []
        for record in log:
            rows += [_row(tick, record.offset, n) for n, tick in enumerate(records(record.value))]
            if len(rows) >= 20_000:
                client.insert("ticks", rows, column_names=names.split())
                rows = []
        client.insert("ticks", rows, column_names=names.split())
        return time.perf_counter() - wall, time.process_time() - cpu


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _row(tick: Any, offset: int, number: int) -> list[Any]:
    p = tick["packet"]
    depth = [
        [int(level[f]) for level in p[s]] for s in ("bids", "asks") for f in ("price", "quantity", "orders")
    ]
    words = "last_price last_quantity average_price volume total_buy_quantity total_sell_quantity "
    words += "open high low close"
    return [
        "rows",
        DAY,
        int(p["token"]),
        _at(int(p["exchange_time"])),
        _at(int(tick["received_at"]) / 1e9),
        _at(int(p["last_trade_time"])),
        *(int(p[name]) for name in words.split()),
        *depth,
        "ticks",
        0,
        offset,
        number,
    ]


def disk_bytes(run: Run) -> tuple[int, int]:
    """(rows, bytes on disk) of `ticks` once merged."""
    with connect(run, "owner") as client:
        client.command("OPTIMIZE TABLE ticks FINAL")
        query = "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'ticks'"
        [(rows, size)] = client.query(query).result_rows
    return int(rows), int(size)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="5 minutes of session instead of 60")
    quick = arguments.parse_args().quick
    log = messages(5 if quick else 60)
    ticks = sum(len(record.value) for record in log) // RECORD_BYTES
    sample = log[: max(1, len(log) * 60_000 // ticks)]
    sampled = sum(len(record.value) for record in sample) // RECORD_BYTES
    with server() as run:
        wall, cpu = archived(run, log)
        rows, size = disk_bytes(run)
        assert rows == ticks, f"{ticks} ticks, {rows} rows"
        row_wall, row_cpu = row_wise(run, sample)
    result = {
        "benchmark": "archive",
        "ticks": ticks,
        "rows_per_s": round(ticks / wall),
        "core_fraction_at_30k_per_s": round(cpu / ticks * TARGET_PER_S, 3),
        "bytes_per_tick": round(size / rows, 1),
        "row_wise_rows_per_s": round(sampled / row_wall),
        "ratio_wall": round((row_wall / sampled) / (wall / ticks), 1),
        "ratio_cpu": round((row_cpu / sampled) / (cpu / ticks), 1),
    }
    for name, value in result.items():
        print(f"{name:28} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
