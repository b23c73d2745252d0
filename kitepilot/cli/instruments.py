"""The day's instruments: fetched, kept, compared with the last day's, shown."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from broker_adapter.kite import session as sessions
from broker_adapter.kite.instruments_file import Snapshots, download
from kitepilot.config import Config
from kitepilot.market import calendar, listings
from kitepilot.market.instruments import parse_instruments, tradable

SHOWN = 12  # of each kind of change
WORDS = {
    "renamed": "renamed (same token)",
    "token": "same symbol, other token",
    "tick_size": "tick size changed",
    "lot_size": "lot size changed",
}


@dataclass(frozen=True)
class Instruments:
    """The instruments of one day; `before` is the day they are compared with."""

    day: date
    rows: dict[str, int]
    tradable: int
    closing_auction: int
    before: date | None
    diffs: dict[str, listings.Diff]

    def as_json(self) -> dict[str, Any]:
        return {
            "date": f"{self.day}",
            "rows": self.rows,
            "tradable": self.tradable,
            "closing_auction": self.closing_auction,
            "before": self.before and f"{self.before}",
            "changes": {
                exchange: {
                    "new": len(diff.new),
                    "gone": len(diff.gone),
                    **{kind: diff.count(kind) for kind in WORDS},
                }
                for exchange, diff in self.diffs.items()
            },
            "nse": _in_full(self.diffs.get(listings.CASH, listings.Diff())),
        }


def today(config: Config) -> date:
    """The day whose instruments are wanted: live the calendar's, else that of the session in paper."""
    if config.mode == "live":
        return calendar.ist_date(time.time_ns())
    return date.fromisoformat(config.session.date)


def fetch(config: Config, home: Path) -> Instruments:
    """Download today's file and keep it; an earlier one of today is replaced.

    Raises:
        SessionError: no login. InstrumentsError: no usable file; what was kept stays.
    """
    day, snapshots = today(config), Snapshots.of(home, config.broker)
    session = sessions.held(home, config, time.time_ns())
    coming = snapshots.folder / f"{day}.download"
    try:
        with sessions.connection(config.broker) as http:
            download(http, session, coming)
        listed = snapshots.keep(day, coming)
    finally:
        coming.unlink(missing_ok=True)
    return compare(snapshots, day, listed)


def compare(snapshots: Snapshots, day: date, listed: pa.Table) -> Instruments:
    """A day's table against the newest earlier one. Raises `InstrumentsError` for a damaged earlier one."""
    before = snapshots.before(day)
    rows = dict(listings.exchanges(listed))
    earlier = snapshots.read(before) if before else None
    cash = listed.filter(pc.field("exchange") == listings.CASH)
    return Instruments(
        day=day,
        rows=rows,
        tradable=len(tradable(parse_instruments(listings.rows_csv(cash)))),
        closing_auction=len(listings.closing_auction_tokens(listed)),
        before=before,
        diffs={name: listings.diff(earlier, listed, name) for name in rows} if earlier is not None else {},
    )


def show(console: Console, found: Instruments) -> None:
    """Rows and changes by exchange; the cash market's changes by name."""
    console.print(
        f"{found.day}: {sum(found.rows.values()):,} instruments, {found.tradable:,} tradable on NSE, "
        f"{found.closing_auction:,} with a closing auction; compared with {found.before or 'nothing yet'}",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("exchange", "rows", "new", "gone", "renamed", "other token", "tick size", "lot size")
    for exchange, rows in found.rows.items():
        diff = found.diffs.get(exchange, listings.Diff())
        counts = (rows, len(diff.new), len(diff.gone), *(diff.count(kind) for kind in WORDS))
        table.add_row(exchange, *(f"{count:,}" for count in counts))
    console.print(table)
    cash = found.diffs.get(listings.CASH, listings.Diff())
    lists = {"new": cash.new, "gone": cash.gone}
    for kind, title in WORDS.items():
        lists[title] = tuple(
            f"{c.tradingsymbol} {c.before} -> {c.after}" for c in cash.changes if c.field == kind
        )
    for title, names in lists.items():
        if names:
            more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
            console.print(f"NSE {title}: {', '.join(names[:SHOWN])}{more}", highlight=False, soft_wrap=True)


def _in_full(diff: listings.Diff) -> dict[str, Any]:
    return {
        "new": diff.new,
        "gone": diff.gone,
        "changes": [change._asdict() for change in diff.changes],
    }
