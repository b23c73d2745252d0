"""The instruments file of all exchanges as one table, and what changed since an earlier day.

The file has about 117,000 rows (August 2026). It stays columnar: a day and its predecessor together fit in
some tens of megabytes. What the desk trades is read from it by `instruments.parse_instruments`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from kitepilot.market.instruments import InstrumentsError

#: Kite's header, in Kite's order (Kite Connect v3 documentation, read 2026-07-14).
COLUMNS = (
    "instrument_token", "exchange_token", "tradingsymbol", "name", "last_price", "expiry", "strike",
    "tick_size", "lot_size", "instrument_type", "segment", "exchange",
)  # fmt: skip
#: Currency ticks are finer than a paisa, so prices are decimals; `last_price` is not live and is dropped.
PRICE = pa.decimal128(18, 6)
SCHEMA = pa.schema(
    [
        ("instrument_token", pa.int64()),
        ("exchange_token", pa.int64()),
        ("tradingsymbol", pa.string()),
        ("name", pa.string()),
        ("expiry", pa.date32()),
        ("strike", PRICE),
        ("tick_size", PRICE),
        ("lot_size", pa.int64()),
        ("instrument_type", pa.string()),
        ("segment", pa.string()),
        ("exchange", pa.string()),
        ("closing_auction", pa.bool_()),
    ]
)
MAX_ROWS = 1_000_000
CASH, DERIVATIVES = "NSE", "NFO"


class Listed(NamedTuple):
    """What may not change under an open position without somebody hearing of it."""

    token: int
    tick_size: Decimal
    lot_size: int


class Change(NamedTuple):
    """One instrument that is not what it was: `field` tells in which way."""

    field: str  # renamed | token | tick_size | lot_size
    tradingsymbol: str  # of today
    before: str
    after: str


@dataclass(frozen=True)
class Diff:
    """What one exchange's list is against an earlier one. Symbols in alphabetical order."""

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    changes: tuple[Change, ...] = field(default=())

    def count(self, kind: str) -> int:
        return sum(change.field == kind for change in self.changes)


def read_listings(source: BinaryIO) -> pa.Table:
    """Kite's CSV (plain) -> a table with `SCHEMA`. NFO futures tell which NSE stocks have a closing auction.

    Raises:
        InstrumentsError: not that CSV, a row cut short, a cell that does not parse, an NSE symbol twice.
    """
    try:
        table = csv.read_csv(
            source,
            parse_options=csv.ParseOptions(newlines_in_values=False),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(COLUMNS, pa.string()), strings_can_be_null=False
            ),
        )
        header = tuple(table.column_names)
    except (pa.ArrowInvalid, UnicodeDecodeError) as err:
        raise InstrumentsError(f"instruments file: {str(err).splitlines()[0][:200]}") from err
    if header != COLUMNS:
        raise InstrumentsError(
            f"instruments file: row 1 is not Kite's header but {table.column_names[:3]}..."
        )
    if not 0 < table.num_rows <= MAX_ROWS:
        raise InstrumentsError(f"instruments file: {table.num_rows} rows are outside 1..{MAX_ROWS}")
    _refuse_cut_end(table)
    listed = pa.table({name: _column(table, name) for name in SCHEMA.names if name in COLUMNS})
    _refuse_twice(listed)
    return listed.append_column(SCHEMA.field("closing_auction"), _closing_auction(listed)).cast(SCHEMA)


def closing_auction_tokens(listed: pa.Table) -> frozenset[int]:
    """NSE tokens of the stocks that have futures, and with them (since 2026-08-03) a closing auction."""
    return frozenset(listed.filter(pc.field("closing_auction"))["instrument_token"].to_pylist())


def diff(before: pa.Table, after: pa.Table, exchange: str) -> Diff:
    """What changed on one exchange. A stock that kept its token under another name is renamed only."""
    old, now = _by_symbol(before, exchange), _by_symbol(after, exchange)
    gone, new = old.keys() - now.keys(), now.keys() - old.keys()
    names = {old[symbol].token: symbol for symbol in sorted(gone, reverse=True)}
    renamed = {symbol: names[now[symbol].token] for symbol in sorted(new) if now[symbol].token in names}
    one_to_one = {was: symbol for symbol, was in renamed.items()}
    renamed = {symbol: was for was, symbol in one_to_one.items()}
    changes = [Change("renamed", symbol, was, symbol) for symbol, was in renamed.items()]
    for symbol in now.keys() & old.keys() | renamed.keys():
        changes += _differences(symbol, old[renamed.get(symbol, symbol)], now[symbol])
    return Diff(
        new=tuple(sorted(new - renamed.keys())),
        gone=tuple(sorted(gone - one_to_one.keys())),
        changes=tuple(sorted(changes)),
    )


def exchanges(listed: pa.Table) -> Mapping[str, int]:
    """Rows of each exchange."""
    counts = listed.group_by("exchange").aggregate([("exchange", "count")])
    return dict(sorted(zip(*(counts[c].to_pylist() for c in ("exchange", "exchange_count")), strict=True)))


def rows_csv(listed: pa.Table) -> bytes:
    """The table's rows as Kite's CSV again, for those who read only that (`last_price` is 0)."""
    text = [pc.cast(listed[name], pa.string()) for name in COLUMNS if name != "last_price"]
    table = pa.table(dict(zip([n for n in COLUMNS if n != "last_price"], text, strict=True)))
    table = table.append_column("last_price", pa.array(["0"] * len(table), pa.string())).select(COLUMNS)
    sink = io.BytesIO()
    csv.write_csv(table, sink)
    return sink.getvalue()


def _differences(symbol: str, was: Listed, now: Listed) -> Iterator[Change]:
    for name in Listed._fields:
        before, after = getattr(was, name), getattr(now, name)
        if before != after:
            yield Change(name, symbol, f"{before}", f"{after}")


def _by_symbol(table: pa.Table, exchange: str) -> dict[str, Listed]:
    rows = table.filter(pc.field("exchange") == exchange)
    columns = (rows[name].to_pylist() for name in ("instrument_token", "tick_size", "lot_size"))
    return dict(zip(rows["tradingsymbol"].to_pylist(), map(Listed, *columns), strict=True))


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    text, wanted = table[name], SCHEMA.field(name).type
    if name == "expiry":
        text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    try:
        return pc.cast(text, wanted)
    except pa.ArrowInvalid as err:
        raise InstrumentsError(f"instruments file, column {name}: {str(err).splitlines()[0][:200]}") from err


def _refuse_cut_end(table: pa.Table) -> None:
    """A file cut inside its last cell has all its columns; but that exchange is none of the file's."""
    last, segment = table["exchange"][-1].as_py(), table["segment"][-1].as_py()
    of_its_segment = segment == last or segment.startswith(f"{last}-")
    if not of_its_segment and pc.sum(pc.equal(table["exchange"], last)).as_py() == 1:
        raise InstrumentsError(f"instruments file: it ends within a row (exchange {last!r})")


def _refuse_twice(listed: pa.Table) -> None:
    """Elsewhere symbols are not ours to judge; on NSE they are the key of everything."""
    symbols = listed.filter(pc.field("exchange") == CASH)["tradingsymbol"]
    counts = pc.value_counts(symbols).to_pylist() if len(pc.unique(symbols)) < len(symbols) else []
    twice = sorted(row["values"] for row in counts if row["counts"] > 1)
    if twice:
        raise InstrumentsError(f"instruments file: on NSE more than once: {', '.join(twice[:5])}")


def _closing_auction(listed: pa.Table) -> pa.ChunkedArray:
    futures = listed.filter((pc.field("exchange") == DERIVATIVES) & (pc.field("instrument_type") == "FUT"))
    has_futures = pc.is_in(listed["tradingsymbol"], value_set=pc.unique(futures["name"].combine_chunks()))
    cash = pc.and_(pc.equal(listed["segment"], CASH), pc.equal(listed["instrument_type"], "EQ"))
    return pc.and_(cash, has_futures)
