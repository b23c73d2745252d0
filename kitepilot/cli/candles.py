"""Historical candles on demand: the broker's -> Parquet in the home -> ClickHouse, with a bar of progress."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from broker_adapter.kite import session as sessions
from broker_adapter.kite.candle_download import Source, download
from broker_adapter.kite.candle_files import CandleFiles, content_of
from broker_adapter.kite.candle_windows import MAX_DAYS, Days, windows
from broker_adapter.kite.clock import WallClock
from broker_adapter.kite.instruments_file import Snapshots
from broker_adapter.kite.limits import BlockingLimits, shares_of
from kitepilot.cli.instruments import today
from kitepilot.cli.readiness.books import clickhouse_trouble
from kitepilot.config import Config, ConfigError
from kitepilot.market import listings
from kitepilot.run import Run

FOLDER = "candles"
OLDEST = date(2015, 1, 1)  # minute data reaches back to about February 2015 (staff, forum 8722)


@dataclass
class Result:
    """What the command did, all symbols together."""

    interval: str
    symbols: list[str]
    first: str
    last: str
    requests: int = 0
    candles: int = 0
    files: int = 0
    outside_session: int = 0
    rows_loaded: int = 0
    clickhouse: str = "not asked for"
    unusual: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Wish:
    """What to fetch; checked on making. Raises `ConfigError`."""

    symbols: tuple[str, ...]
    interval: str
    days: Days

    def __post_init__(self) -> None:
        if self.interval not in MAX_DAYS:
            raise ConfigError(f"--interval {self.interval!r}: choose one of {', '.join(MAX_DAYS)}")
        if not self.symbols:
            raise ConfigError("name at least one symbol, e.g. `kitepilot candles INFY --from 2026-01-01`")
        if not OLDEST <= self.days.first <= self.days.last:
            raise ConfigError(f"--from {self.days.first} --to {self.days.last}: not a range after {OLDEST}")


def wish(config: Config, symbols: Sequence[str], interval: str, first: str, last: str | None) -> Wish:
    """The command's words, checked. No day after today can be asked for; `--to` is today without a word."""
    try:
        end = min(date.fromisoformat(last), today(config)) if last else today(config)
        return Wish(tuple(dict.fromkeys(symbols)), interval, Days(date.fromisoformat(first), end))
    except ValueError as err:
        raise ConfigError(f"--from and --to want dates like 2026-01-31: {err}") from err


def fetch(config: Config, home: Path, what: Wish, console: Console) -> Result:
    """Download what is missing; each window is on disk before the next is asked for.

    Raises:
        SessionError, InstrumentsError, ConfigError: cannot begin. DownloadError, CandleFileError: cannot go
            on; the same command goes on where this one stopped.
    """
    session = sessions.held(home, config, time.time_ns())
    tokens = tokens_of(config, home, what.symbols)
    result = Result(what.interval, list(what.symbols), f"{what.days.first}", f"{what.days.last}")
    files = CandleFiles(home / FOLDER, what.interval)
    limits = BlockingLimits(WallClock(), shares_of(config.broker))
    spans = list(windows(what.interval, what.days))
    with sessions.connection(config.broker) as http, _progress(console) as progress:
        source, bar = Source(http, session, limits), progress.add_task("", total=len(tokens) * len(spans))
        for symbol, token in tokens.items():
            progress.update(bar, description=symbol)
            for span in spans:
                part = Days(max(span.first, what.days.first), min(span.last, what.days.last))
                tally = download(source, files, symbol, token, part, today(config))
                result.requests += tally.requests
                result.candles += tally.candles
                result.files += tally.files
                progress.advance(bar)
    _count_unusual(files, what, result)
    return result


def load(config: Config, home: Path, what: Wish, result: Result) -> None:
    """What the files hold into ClickHouse; where that does not run, the same command loads it another day."""
    from infra.clickhouse.candles import known_parts, load_part
    from infra.clickhouse.client import connect
    from infra.clickhouse.migrate import migrate

    if trouble := clickhouse_trouble(config, home):
        result.clickhouse = f"not loaded: {trouble}"
        return
    run = Run("candles", home / "runs" / "candles", config)
    migrate(run)
    files = CandleFiles(home / FOLDER, what.interval)
    with connect(run, "owner") as client:
        for symbol in what.symbols:
            known = known_parts(client, what.interval, symbol)
            for span in windows(what.interval, what.days):
                path = files.path(symbol, span)
                if path.exists():
                    part = str(path.relative_to(files.folder))
                    table, content = pq.ParquetFile(path).read(), content_of(path)
                    there = known.get(part, set())
                    result.rows_loaded += load_part(
                        client, what.interval, symbol, part, content, table, there
                    )
    result.clickhouse = "loaded"


def tokens_of(config: Config, home: Path, symbols: Sequence[str]) -> dict[str, int]:
    """NSE symbols (stocks or indices) -> tokens, by the newest kept instruments file.

    Raises:
        ConfigError: no file is kept, or a symbol is not in it. InstrumentsError: the file is damaged.
    """
    snapshots = Snapshots.of(home, config.broker)
    days = snapshots.days()
    if not days:
        raise ConfigError(f"no instruments in {snapshots.folder}: `kitepilot instruments` first")
    listed = snapshots.read(days[-1])
    rows = listed.filter(
        (pc.field("exchange") == listings.CASH) & pc.field("tradingsymbol").isin(list(symbols))
    )
    found = dict(zip(rows["tradingsymbol"].to_pylist(), rows["instrument_token"].to_pylist(), strict=True))
    missing = [symbol for symbol in symbols if symbol not in found]
    if missing:
        raise ConfigError(f"not on NSE on {days[-1]}: {', '.join(missing[:10])}")
    return {symbol: found[symbol] for symbol in symbols}


def show(console: Console, result: Result) -> None:
    """Two lines: what was fetched, where it is."""
    console.print(
        f"{len(result.symbols):,} symbols, {result.interval}, {result.first} to {result.last}: "
        f"{result.requests:,} requests, {result.candles:,} candles, {result.files:,} files changed; "
        f"{result.outside_session:,} candles outside a session's hours or grid",
        highlight=False,
        soft_wrap=True,
    )
    for line in result.unusual:
        console.print(line, highlight=False, soft_wrap=True)
    console.print(
        f"ClickHouse: {result.clickhouse}, {result.rows_loaded:,} rows", highlight=False, soft_wrap=True
    )


def _count_unusual(files: CandleFiles, what: Wish, result: Result) -> None:
    for symbol in what.symbols:
        for span in windows(what.interval, what.days):
            path = files.path(symbol, span)
            if not path.exists():
                continue
            table = pq.read_table(path, columns=["begins_at", "in_session"], partitioning=None)
            odd = table.filter(~pc.field("in_session"))
            result.outside_session += odd.num_rows
            if odd.num_rows:
                first = pc.min(odd["begins_at"]).as_py()
                result.unusual.append(
                    f"{symbol}: {odd.num_rows} outside, the first at {first:%Y-%m-%d %H:%M} UTC"
                )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
