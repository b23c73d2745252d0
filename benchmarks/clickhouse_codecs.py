"""Bytes per row on disk of the big tables, column by column, under candidate codecs beside the one in use.

    python benchmarks/clickhouse_codecs.py [--quick]

A stretch of a synthetic session goes through the market pipeline and the archive's own code into an embedded
server. Each column is then stored once per candidate in one table of the same order, merged, and its
compressed bytes read off the parts. Few instruments and many hours: clocks which all instruments share must
not fall into one compressed block, as they would in a short stretch. Ratio: in use / best, so 1 means that
nothing better was tried. Prints one block per table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from archive import DAY, server
from synthetic_session import SyntheticSession

from flows.archive import Archive
from infra.clickhouse.client import connect
from infra.clickhouse.inserts import Inserter
from kitepilot.run import Run
from kitepilot.topics import TOPICS

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

CANDIDATES = (
    "ZSTD(1)",
    "ZSTD(3)",
    "LZ4",
    "T64, ZSTD(1)",
    "Delta, ZSTD(1)",
    "Delta, T64, ZSTD(1)",
    "DoubleDelta, ZSTD(1)",
    "GCD, ZSTD(1)",
    "GCD, T64, ZSTD(1)",
    "GCD, Delta, ZSTD(1)",
    "Gorilla, ZSTD(1)",
    "FPC, ZSTD(1)",
)
TABLES = ("ticks", "bars", "marks", "features")
WORTH = 0.02  # of a row's bytes: below that a column is not looked at


def filled(run: Run, instruments: int, minutes: int) -> None:
    """The session's stretch in the tables."""
    start = {(topic.name, 0): 0 for topic in TOPICS}
    into = Archive(run.run_id, DAY, start, Inserter(connect(run, "sink"), run.folder / "archive.spool"))
    for record in SyntheticSession(instruments, minutes).records():
        into.add([record])
    into.flush()
    into.close()


def columns_of(client: Client, table: str) -> dict[str, tuple[str, str]]:
    """Column -> (type, codec in use), of what is stored."""
    rows = client.query(
        "SELECT name, type, compression_codec FROM system.columns WHERE database = currentDatabase() "
        "AND table = {table:String} AND default_kind IN ('', 'DEFAULT') ORDER BY position",
        parameters={"table": table},
    ).result_rows
    return {name: (kind, codec.removeprefix("CODEC(").removesuffix(")")) for name, kind, codec in rows}


def sizes(client: Client, table: str) -> dict[str, int]:
    """Column -> compressed bytes, over all parts."""
    rows = client.query(
        "SELECT column, sum(column_data_compressed_bytes) FROM system.parts_columns "
        "WHERE active AND database = currentDatabase() AND table = {table:String} GROUP BY column",
        parameters={"table": table},
    ).result_rows
    return {str(column): int(size) for column, size in rows}


def stored(
    client: Client, source: str, name: str, columns: list[tuple[str, str, str, str]]
) -> dict[str, int]:
    """Bytes of (column, type, source column, codec) in one table of the source's order, merged."""
    [(order,)] = client.query(
        "SELECT sorting_key FROM system.tables WHERE database = currentDatabase() AND name = {t:String}",
        parameters={"t": source},
    ).result_rows
    keys = [key.strip() for key in order.split(",")]
    known = columns_of(client, source)
    spelled = [f"{key}_key {known[key][0]}" for key in keys]
    spelled += [
        f"{column} {kind}" + (f" CODEC({codec})" if codec else "") for column, kind, _, codec in columns
    ]
    client.command(
        f"CREATE TABLE {name} ({', '.join(spelled)}) ENGINE = MergeTree "
        f"ORDER BY ({', '.join(f'{key}_key' for key in keys)}) "
        "SETTINGS min_bytes_for_wide_part = 0, min_rows_for_wide_part = 0"
    )
    taken = ", ".join([*keys, *(origin for _, _, origin, _ in columns)])
    client.command(f"INSERT INTO {name} SELECT {taken} FROM {source} ORDER BY {order}")
    client.command(f"OPTIMIZE TABLE {name} FINAL")
    found = sizes(client, name)
    client.command(f"DROP TABLE {name}")
    return {column: found[column] for column, *_ in columns}


def fitting(client: Client, kind: str) -> list[str]:
    """The candidates the server takes for a type."""
    from clickhouse_connect.driver.exceptions import DatabaseError

    taken = []
    for codec in CANDIDATES:
        try:
            client.command(
                f"CREATE TABLE codec_of_type (v {kind} CODEC({codec})) ENGINE = MergeTree ORDER BY ()"
            )
        except DatabaseError:
            continue
        client.command("DROP TABLE codec_of_type")
        taken.append(codec)
    return taken


def compared(client: Client, table: str) -> dict[str, object]:
    """The table's bytes per row as it is, with the best candidates, and each column worth a look."""
    [(rows,)] = client.query(f"SELECT count() FROM {table}").result_rows
    columns = columns_of(client, table)
    used = stored(
        client, table, "as_used", [(name, kind, name, codec) for name, (kind, codec) in columns.items()]
    )
    total = sum(used.values())
    looked_at = {name: kind for name, (kind, _) in columns.items() if used[name] > WORTH * total}
    codecs = {kind: fitting(client, kind) for kind in set(looked_at.values())}
    tried = {
        f"{name}__{number}": (name, codec)
        for name, kind in looked_at.items()
        for number, codec in enumerate(codecs[kind])
    }
    trial = [(column, looked_at[name], name, codec) for column, (name, codec) in tried.items()]
    found = stored(client, table, "as_tried", trial)
    best = {
        name: min((found[c], codec) for c, (n, codec) in tried.items() if n == name) for name in looked_at
    }
    print(f"\n{table}: {rows:,} rows, {total / rows:.2f} bytes a row")
    for name, (size, codec) in sorted(best.items(), key=lambda item: -used[item[0]]):
        in_use = columns[name][1] or "LZ4"
        print(
            f"  {name:<22}{in_use:<22}{used[name] / rows:>8.2f}   best {codec:<22}{size / rows:>8.2f}"
            f"   ratio {used[name] / size:.2f}"
        )
    saved = sum(max(0, used[name] - size) for name, (size, _) in best.items())
    return {
        "rows": rows,
        "bytes_per_row": round(total / rows, 2),
        "best_bytes_per_row": round((total - saved) / rows, 2),
        "ratio": round(total / (total - saved), 3),
        "columns": {
            name: {"best": codec, "ratio": round(used[name] / size, 3)}
            for name, (size, codec) in best.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two hours of 2 instruments, not a day of 4")
    options = parser.parse_args()
    with server() as run:
        filled(run, *((2, 120) if options.quick else (4, 375)))
        with connect(run, "owner") as client:
            result = {"benchmark": "clickhouse_codecs"} | {table: compared(client, table) for table in TABLES}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
