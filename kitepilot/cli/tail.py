"""`kitepilot ticks`: the newest tick records, for a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kitepilot import config as configuration
from kitepilot.cli.report import ist_clock
from kitepilot.cli.supervise import Supervisor
from kitepilot.config import ConfigError
from kitepilot.market.ticks import KIND_FEED, read_own_record, records
from kitepilot.run import Run
from kitepilot.topics import TICKS

NS = 1_000_000_000
MESSAGES_BACK = 400


def newest_run(home: Path) -> Run:
    """The run last started in this home.

    Raises:
        ConfigError: there is none.
    """
    folder = Supervisor(home).run_folder()
    if folder is None or not (folder / "start_offsets.json").exists():
        raise ConfigError(f"no run in {home} yet: `kitepilot paper` makes one")
    return Run(folder.name, folder, configuration.load(folder / "config.yaml"))


def last_ticks(run: Run, symbol: str, count: int) -> list[dict[str, Any]]:
    """Up to `count` newest ticks (of one instrument, or of all when `symbol` is empty), oldest first.

    Among them are rows of the feed: `time` and what it said, `up` or `down <why>`.
    """
    from infra.eventlog import open_log

    names = {t.token: t.tradingsymbol for t in run.parameters().instruments}
    log = open_log(run)
    try:
        end = log.end_offset(TICKS.name)
        begin = max(run.start_offsets()[TICKS.name], log.begin_offset(TICKS.name), end - MESSAGES_BACK)
        reader = log.reader({(TICKS.name, 0): begin})
        rows = [
            row
            for record in reader.poll(MESSAGES_BACK)
            for row in _rows(record.value, names)
            if "feed" in row or symbol in ("", row["symbol"])
        ]
        reader.close()
    finally:
        log.close()
    return rows[-count:]


def _rows(message: bytes, names: dict[int, str]) -> Iterator[dict[str, Any]]:
    for record in records(message):
        packet = record["packet"]
        token = int(packet["token"])
        if token == 0:
            kind, event_at, received_at, text = read_own_record(record.tobytes())
            if kind == KIND_FEED:
                yield {"time": ist_clock(event_at or received_at), "feed": text}
            continue
        yield {
            "time": ist_clock(int(packet["exchange_time"]) * NS),
            "symbol": names.get(token, str(token)),
            "last": int(packet["last_price"]) / 100,
            "bid": int(packet["bids"][0]["price"]) / 100,
            "ask": int(packet["asks"][0]["price"]) / 100,
            "volume": int(packet["volume"]),
        }
