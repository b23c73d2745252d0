"""The day's instruments of all exchanges: exact, refused when damaged, compared with the day before."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from morning_desk import SECRET, StubbornBroker, Venue

from broker_adapter.kite import session as sessions
from broker_adapter.kite.instruments_file import Snapshots
from kitepilot.cli.instruments import fetch
from kitepilot.cli.login import Way, log_in
from kitepilot.market import listings
from kitepilot.market.instruments import InstrumentsError, parse_instruments
from kitepilot.market.listings import COLUMNS, Change, Listed, diff, read_listings

HEAD = ",".join(COLUMNS)


@dataclass(frozen=True)
class Row:
    token: int
    symbol: str
    tick: str = "0.05"
    lot: int = 1
    kind: str = "EQ"
    segment: str = "NSE"
    exchange: str = "NSE"
    name: str = '"A NAME, LTD"'
    expiry: str = ""

    def __str__(self) -> str:
        cells = (self.token, self.token // 256, self.symbol, self.name, 0.0, self.expiry, 0.0, self.tick)
        return ",".join(map(str, (*cells, self.lot, self.kind, self.segment, self.exchange)))


def csv_of(rows: list[Row]) -> bytes:
    return "\n".join((HEAD, *map(str, rows))).encode() + b"\n"


def listed(*rows: Row) -> pa.Table:
    return read_listings(io.BytesIO(csv_of(list(rows))))


def future(token: int, name: str) -> Row:
    return Row(token, f"{name}26NOVFUT", "0.05", 75, "FUT", "NFO-FUT", "NFO", f'"{name}"', "2026-11-26")


def test_prices_are_exact_and_only_cash_stocks_with_futures_have_a_closing_auction() -> None:
    table = listed(
        Row(257, "ALPHA"),
        Row(513, "BETA", tick="0.1"),
        Row(265, "NIFTY 50", tick="0.0", lot=0, segment="INDICES"),
        Row(259, "USDINR26NOVFUT", "0.0025", 1000, "FUT", "CDS-FUT", "CDS", '"USDINR"', "2026-11-26"),
        future(770, "ALPHA"),
        future(1026, "NIFTY 50"),
        Row(521, "NIFTY BANK", tick="0.0", lot=0, segment="INDICES"),
    )
    assert table.schema == listings.SCHEMA
    assert listings.closing_auction_tokens(table) == frozenset({257})
    ticks = dict(zip(table["tradingsymbol"].to_pylist(), table["tick_size"].to_pylist(), strict=True))
    assert ticks["USDINR26NOVFUT"] == Decimal("0.0025")
    assert table["expiry"].to_pylist()[-2] == date(2026, 11, 26)
    again = parse_instruments(listings.rows_csv(table.slice(0, 2)))
    assert [(i.tradingsymbol, i.tick_size_paise, i.name) for i in again] == [
        ("ALPHA", 5, "A NAME, LTD"),
        ("BETA", 10, "A NAME, LTD"),
    ]


@given(cut=st.integers(min_value=1, max_value=2_000))
def test_a_file_cut_within_a_row_is_refused(cut: int) -> None:
    rows = [Row(256 * n + 1, f"S{n}") for n in range(1, 8)]
    whole = csv_of(rows)
    part = whole[: cut % len(whole)]
    try:
        table = read_listings(io.BytesIO(part))
    except InstrumentsError:
        return
    assert table["tradingsymbol"].to_pylist() == [row.symbol for row in rows][: len(table)]
    assert part.rstrip(b"\n").endswith(b",NSE")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>503 Service Unavailable</body></html>",
        HEAD.encode() + b"\n",
        HEAD.replace("tick_size", "tick").encode() + b"\n" + str(Row(257, "A")).encode(),
        csv_of([Row(257, "A", tick="0,05")]),
        csv_of([Row(257, "A", tick="five")]),
        csv_of([Row(257, "A"), Row(513, "A")]),
        csv_of([Row(257, "A", expiry="soon")]),
        b"\xff\xfe" + csv_of([Row(257, "A")]),
    ],
)
def test_what_is_not_the_instruments_file_is_refused_in_one_line(body: bytes) -> None:
    with pytest.raises(InstrumentsError, match="instruments file") as refused:
        read_listings(io.BytesIO(body))
    assert "\n" not in str(refused.value)


SYMBOLS = st.sampled_from("ABCDEFGH")
BOOK = st.dictionaries(
    SYMBOLS,
    st.builds(
        Listed,
        st.integers(min_value=1, max_value=9),
        st.sampled_from([Decimal("0.05"), Decimal("0.10")]),
        st.integers(min_value=1, max_value=3),
    ),
    max_size=8,
).filter(lambda book: len({row.token for row in book.values()}) == len(book))


def table_of(book: dict[str, Listed]) -> pa.Table:
    anchor = Row(256 * 99 + 4, "ANCHOR", exchange="BSE", segment="BSE")  # no file is empty
    rows = [
        Row(row.token * 256 + 1, symbol, f"{row.tick_size}", row.lot_size) for symbol, row in book.items()
    ]
    return listed(anchor, *rows, anchor)


@given(BOOK, BOOK)
def test_yesterdays_list_and_the_changes_make_todays(
    before: dict[str, Listed], after: dict[str, Listed]
) -> None:
    old, now = table_of(before), table_of(after)
    found = diff(old, now, "NSE")
    names = {c.tradingsymbol: c.before for c in found.changes if c.field == "renamed"}
    rebuilt = {s: row for s, row in listings._by_symbol(old, "NSE").items() if s not in found.gone}
    for symbol, was in names.items():
        rebuilt[symbol] = listings._by_symbol(old, "NSE")[was]
    for was in set(names.values()) - after.keys():
        del rebuilt[was]
    told = listings._by_symbol(now, "NSE")
    for change in found.changes:
        if change.field != "renamed":
            held = rebuilt[change.tradingsymbol]
            assert str(getattr(held, change.field)) == change.before != change.after
            rebuilt[change.tradingsymbol] = held._replace(
                **{change.field: type(getattr(held, change.field))(change.after)}
            )
    rebuilt |= {symbol: told[symbol] for symbol in found.new}
    assert rebuilt == told
    assert not set(found.new) & before.keys()
    assert not set(found.gone) & after.keys()


def test_a_new_name_for_an_old_token_is_a_renaming_and_neither_new_nor_gone() -> None:
    found = diff(
        listed(Row(257, "OLD"), Row(513, "KEPT"), Row(769, "LEFT")),
        listed(Row(257, "FRESH", tick="0.1"), Row(1025, "KEPT", lot=2), Row(1281, "CAME")),
        "NSE",
    )
    assert (found.new, found.gone) == (("CAME",), ("LEFT",))
    assert found.changes == (
        Change("lot_size", "KEPT", "1", "2"),
        Change("renamed", "FRESH", "OLD", "FRESH"),
        Change("tick_size", "FRESH", "0.050000", "0.100000"),
        Change("token", "KEPT", "513", "1025"),
    )


# --- fetched from a broker --------------------------------------------------------------------------------


def test_the_command_keeps_the_days_file_and_tells_what_changed(
    venue: Venue, own_home: Path, command: Callable[..., Any], person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = venue.config()
    refused = command(config, "instruments")
    assert (refused.exit_code, "a login is needed" in refused.output) == (2, True)
    monkeypatch.setenv("KITEPILOT_API_SECRET", SECRET)
    log_in(config, own_home, Way(wait_s=20), person.reads)

    first = json.loads(command(config, "instruments", "--json").output)
    assert (first["date"], first["before"], first["changes"]) == ("2026-11-20", None, {})
    assert first["tradable"] > 0
    snapshots = Snapshots.of(own_home, config.broker)
    bytes_of_day = snapshots.csv(date(2026, 11, 20)).read_bytes()

    again = json.loads(command(config, "instruments", "--json").output)
    assert again == first
    assert snapshots.csv(date(2026, 11, 20)).read_bytes() == bytes_of_day

    earlier = snapshots.read(date(2026, 11, 20))
    pq.write_table(earlier.slice(1), snapshots.parquet(date(2026, 11, 19)))  # the first came overnight
    shown = command(config, "instruments")
    assert shown.exit_code == 0
    assert f"NSE new: {earlier['tradingsymbol'][0].as_py()}" in shown.output


@pytest.mark.parametrize(
    ("status", "kind", "body", "told"),
    [
        (200, "text/html", b"<html>maintenance</html>", "text/html instead of"),
        (200, "text/csv", b"<html>maintenance</html>", "instruments file"),
        (200, "text/csv", csv_of([Row(257, "A")])[:-8], "instruments file"),
        (200, "text/csv", csv_of([Row(257, "A")]), "refused as incomplete"),
        (503, "text/csv", b"", "answered 503"),
        (403, "application/json", b"{}", "a login is needed"),
    ],
)
def test_a_damaged_answer_is_refused_and_yesterdays_file_stays(
    stubborn: StubbornBroker, own_home: Path, status: int, kind: str, body: bytes, told: str
) -> None:
    config = stubborn.config()
    held = sessions.Session(
        api_key=config.broker.api_key, access_token="t", user_id="u", login_time="", rest_url=stubborn.url
    )
    sessions.hold(own_home, config, held)
    snapshots = Snapshots.of(own_home, config.broker)
    snapshots.folder.mkdir(parents=True)
    rows = [Row(256 * n + 1, f"S{n}") for n in range(1, 8)]
    pq.write_table(listed(*rows), snapshots.parquet(date(2026, 11, 19)))
    stubborn.says(status, kind, body)
    with pytest.raises(InstrumentsError, match=told):
        fetch(config, own_home)
    assert [path.name for path in snapshots.folder.iterdir()] == ["2026-11-19.parquet"]


def test_a_transfer_that_breaks_off_is_refused(stubborn: StubbornBroker, own_home: Path) -> None:
    config = stubborn.config()
    held = sessions.Session(
        api_key=config.broker.api_key, access_token="t", user_id="u", login_time="", rest_url=stubborn.url
    )
    sessions.hold(own_home, config, held)
    body = csv_of([Row(256 * n + 1, f"S{n}") for n in range(1, 8)])
    stubborn.says(200, "text/csv", body, length=len(body) + 10)
    with pytest.raises(InstrumentsError, match="could not be read"):
        fetch(config, own_home)
    assert Snapshots.of(own_home, config.broker).days() == []
