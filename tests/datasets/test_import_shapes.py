"""Columns, zones and labels of files as owners have them; what is guessed is right or is asked about."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bar_files import COLUMNS, DAYS, Row, generated_rows, imported, write_parquet

from broker_adapter.kite.candle_files import CandleFiles, Window
from broker_adapter.kite.candle_windows import Days
from broker_adapter.kite.candles import Candle
from kitepilot.market.calendar import IST
from research.datasets.manifest import DatasetError
from research.datasets.reading import Told, planned
from research.datasets.sources import sources_in
from research.datasets.stored import open_bars

ROWS = generated_rows(2)
IST_MINUTES = timedelta(minutes=330)


def csv_of(path: Path, header: str, cells: Callable[[Row], str], rows: list[Row] = ROWS) -> Path:
    path.write_text("\n".join([header, *map(cells, rows)]) + "\n")
    return path


def prices(row: Row) -> str:
    return ",".join(f"{price:.2f}" for price in row[2:6])


def stamped(time: Callable[[datetime], object]) -> Callable[[Row], str]:
    """A row with its time written in one way."""
    return lambda row: f"{row[0]},{time(row[1])},{prices(row)},{row[6]}"


PLAIN = "symbol,time,open,high,low,close,volume"
SHAPES: dict[str, tuple[str, Callable[[Row], str]]] = {
    "naive IST": ("Symbol,Datetime,O,H,L,C,V", stamped(str)),
    "with an offset": (
        "ticker,timestamp,open,high,low,close,volume",
        stamped(lambda at: f"{at:%Y-%m-%dT%H:%M:%S}+05:30"),
    ),
    "in UTC with a Z": (PLAIN, stamped(lambda at: f"{at - IST_MINUTES:%Y-%m-%dT%H:%M:%S}Z")),
    "date and time apart": (
        "<TICKER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOLUME>",
        stamped(lambda at: f"{at:%Y%m%d,%H:%M}"),
    ),
    "day before month": (
        "symbol,date,open,high,low,close,volume",
        stamped(lambda at: f"{at:%d-%m-%Y %H:%M}"),
    ),
    "epoch seconds": (PLAIN, stamped(lambda at: int(at.replace(tzinfo=IST).timestamp()))),
    "stamped :59": (PLAIN, stamped(lambda at: at + timedelta(seconds=59))),
    "end of the minute": (PLAIN, stamped(lambda at: at + timedelta(minutes=1))),
    "UTC without saying": (PLAIN, stamped(lambda at: at - IST_MINUTES)),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    home = tmp_path_factory.mktemp("plain")
    return imported(home, write_parquet(home / "a.parquet", ROWS)).sha256


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_bars_in_any_shape_have_the_same_hash(tmp_path: Path, plain: str, shape: str) -> None:
    manifest = imported(tmp_path, csv_of(tmp_path / "a.csv", *SHAPES[shape]))
    assert manifest.sha256 == plain
    said = [line for check in manifest.checks if check.check == "zone and labels" for line in check.lines]
    unusual = {"stamped :59": "second 59", "end of the minute": "shifted", "UTC without saying": "UTC"}
    assert len(said) == (shape in unusual)
    assert all(unusual[shape] in line for line in said)


@pytest.mark.parametrize("zone", ["+05:30", "UTC", "Asia/Kolkata"])
def test_parquet_with_a_zone_is_read_by_it(tmp_path: Path, plain: str, zone: str) -> None:
    table = pq.read_table(write_parquet(tmp_path / "a.parquet", ROWS))
    instants = [row[1].replace(tzinfo=IST).astimezone(UTC) for row in ROWS]
    pq.write_table(
        table.set_column(1, "date", pa.array(instants, pa.timestamp("us", zone))), tmp_path / "b.parquet"
    )
    assert imported(tmp_path, tmp_path / "b.parquet").sha256 == plain


def test_ist_that_was_written_as_utc_is_recognised(tmp_path: Path, plain: str) -> None:
    table = pq.read_table(write_parquet(tmp_path / "a.parquet", ROWS))
    wrong = [row[1].replace(tzinfo=UTC) for row in ROWS]
    pq.write_table(
        table.set_column(1, "date", pa.array(wrong, pa.timestamp("us", "UTC"))), tmp_path / "b.parquet"
    )
    manifest = imported(tmp_path, tmp_path / "b.parquet")
    assert manifest.sha256 == plain
    assert manifest.sources[0].read_as.startswith("IST written as UTC")


def test_candles_of_the_broker_come_in_with_their_tokens(tmp_path: Path, plain: str) -> None:
    files, window = CandleFiles(tmp_path / "candles", "minute"), Days(DAYS[0], DAYS[-1])
    for number, symbol in enumerate(("SYN000", "SYN001")):
        candles = tuple(
            Candle(
                int(row[1].replace(tzinfo=IST).timestamp()),
                *(round(price * 100) for price in row[2:6]),
                row[6],
            )
            for row in ROWS
            if row[0] == symbol
        )
        files.write(symbol, 1_000 + 256 * number + 1, Window(window, (window,), candles))
    manifest = imported(tmp_path, tmp_path / "candles")
    assert manifest.sha256 == plain
    assert manifest.tokens == {"SYN000": 1_001, "SYN001": 1_257}
    assert open_bars(tmp_path, "d").read(DAYS[0]).tokens.tolist() == [1_001, 1_257]


def test_a_file_without_a_symbol_column_is_of_the_symbol_it_is_named_for(tmp_path: Path) -> None:
    mine = [row for row in ROWS if row[0] == "SYN001"]
    path = tmp_path / "M&M.csv.gz"
    lines = ["time;open;high;low;close", *(f"{row[1]};{prices(row).replace(',', ';')}" for row in mine)]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    manifest = imported(tmp_path, path)
    assert list(manifest.tokens) == ["M&M"]
    assert any(check.check == "no volume" for check in manifest.checks)


def test_columns_that_are_not_found_are_asked_for_by_name(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "a.parquet", ROWS, [*COLUMNS[:2], "first", "high", "low", "final", "volume"]
    )
    with pytest.raises(
        DatasetError, match=r"no column looks like open, close; the file has symbol, .*--map open=COLUMN"
    ):
        imported(tmp_path, path)
    manifest = imported(tmp_path, path, told=Told(columns={"open": "first", "close": "final"}))
    assert manifest.mapping["open"] == "first"
    with pytest.raises(DatasetError, match="--map open=nope: no such column"):
        imported(tmp_path, path, told=Told(columns={"open": "nope", "close": "final"}))


def test_bars_of_another_interval_are_refused_in_words(tmp_path: Path) -> None:
    five = [row for row in ROWS if row[1].minute % 5 == 0]
    with pytest.raises(DatasetError, match="its bars are of 5 minutes"):
        imported(tmp_path, write_parquet(tmp_path / "a.parquet", five))
    days = [("A", datetime(2021, 5, 10 + day), 1.0, 1.0, 1.0, 1.0, 1) for day in range(4)]
    with pytest.raises(DatasetError, match="its bars are of a day"):
        imported(tmp_path, write_parquet(tmp_path / "b.parquet", days))


def test_a_cut_line_and_a_word_for_a_number_cost_their_rows_alone(tmp_path: Path) -> None:
    header, cells = SHAPES["naive IST"]
    lines = [header, *map(cells, ROWS)]
    lines[10] = lines[10].rsplit(",", 2)[0]
    lines[20] = lines[20].replace(prices(ROWS[19]), "n/a,2,3,4")
    (tmp_path / "a.csv").write_text("\n".join(lines))
    manifest = imported(tmp_path, tmp_path / "a.csv")
    assert (manifest.rows, manifest.refused) == (len(ROWS) - 2, 2)


def test_files_that_are_no_data_are_left_out_of_a_folder_and_refused_by_name(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data" / "a.parquet", ROWS)
    (tmp_path / "data" / "_quality.csv").write_text("x\n1\n")
    (tmp_path / "data" / "notes.md").write_text("notes")
    found, left_out = sources_in([tmp_path / "data"])
    assert [source.path.name for source in found] == ["a.parquet"]
    assert [path.name for path in left_out] == ["_quality.csv", "notes.md"]
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 no")
    for path in (tmp_path / "torn.parquet", tmp_path / "nowhere"):
        with pytest.raises(DatasetError, match=path.name):
            planned(sources_in([path])[0], Told())


def test_special_sessions_are_kept_and_read_only_when_asked_for(tmp_path: Path) -> None:
    muhurat = date(2021, 11, 4)
    rows = [
        ("A", datetime(2021, 11, 3, 10, 0), 1.0, 1.0, 1.0, 1.0, 1),
        ("A", datetime(2021, 11, 4, 18, 20), 1.0, 1.0, 1.0, 1.0, 1),
    ]
    imported(tmp_path, write_parquet(tmp_path / "a.parquet", rows))
    stored = open_bars(tmp_path, "d")
    assert tuple(stored.sessions) == (date(2021, 11, 3),)
    special = type(stored)(stored.folder, specials=True)
    assert special.read(muhurat).close.shape == (60, 1)
