"""A month of 300 instruments in ClickHouse: bytes a row, a forecast for 18 months, how long readers wait.

    python benchmarks/clickhouse_size.py [--quick] [--sessions 21] [--tick-sessions 2]

One whole session of `COPIED` synthetic instruments goes through the market pipeline and the archive's own
code. The server then writes the other instruments and sessions as copies with other tokens, days and runs:
they are far apart in the tables' order, so nothing compresses better for being a copy. Queries are timed
(best of three, by HTTP, as a dashboard would ask) on the first session alone, then on all, and the ratio is
printed. `--quick` is one session of few instruments. Everything is deleted at the end.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from archive import DAY, server
from clickhouse_codecs import filled

from infra.clickhouse.client import connect

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

COPIED = 12
AT_ONCE = 3  # copies an insert: a busy machine writes them within the client's patience
SESSIONS_A_YEAR = 248
MONTHS = 18
LIMIT_MS = 300
SEED_RUN = "paper-20261120-0001"
#: Columns that move with the day, by table; `token` and `row` move with the instrument.
TIMES = {
    "bars": ("close_at", "event_at", "emitted_at"),
    "features": ("close_at", "event_at", "emitted_at"),
    "scores": ("close_at", "event_at", "emitted_at"),
    "marks": ("quoted_at", "received_at", "event_at", "emitted_at"),
    "ticks": ("exchange_at", "received_at", "last_trade_at"),
    "account": ("event_at", "emitted_at"),
}
PER_INSTRUMENT = ("bars", "features", "scores", "marks", "ticks")
ORDERS_A_DAY = 3_000  # the owner's limit

QUERIES = {
    "last 1 s bar of an instrument": (
        "SELECT close_at, close_paise FROM bars WHERE run_id = {run:String} AND interval_s = 1 "
        "AND token = {token:UInt32} ORDER BY close_at DESC LIMIT 1"
    ),
    "a day's 1 m candles": (
        "SELECT close_at_ist, open_paise, high_paise, low_paise, close_paise, volume FROM bars "
        "WHERE run_id = {run:String} AND interval_s = 60 AND token = {token:UInt32} ORDER BY close_at"
    ),
    "a day's 1 s bars": (
        "SELECT close_at_ist, close_paise, volume FROM bars "
        "WHERE run_id = {run:String} AND interval_s = 1 AND token = {token:UInt32} ORDER BY close_at"
    ),
    "the same by day, the run unknown": (
        "SELECT close_at_ist, close_paise FROM bars WHERE session_date = {day:Date} AND interval_s = 60 "
        "AND token = {token:UInt32} ORDER BY close_at"
    ),
    "turnover of a day's instruments": (
        "SELECT token, sum(volume * close_paise) AS paise FROM bars WHERE run_id = {run:String} "
        "AND interval_s = 60 GROUP BY token ORDER BY paise DESC LIMIT 20"
    ),
    "a day's P&L by minute": (
        "SELECT toStartOfMinute(event_at_ist) AS minute, argMax(realised_paise, event_at), "
        "argMax(charges_paise, event_at) FROM account WHERE run_id = {run:String} "
        "GROUP BY minute ORDER BY minute"
    ),
    "P&L of every day": (
        "SELECT session_date, run_id, argMax(realised_paise - charges_paise, event_at) FROM account "
        "GROUP BY session_date, run_id ORDER BY session_date"
    ),
    "an order's way": (
        "SELECT kind, status, latency_ns, event_at_ist FROM orders WHERE run_id = {run:String} "
        "AND intent_id = {intent:String} ORDER BY event_at, log_offset"
    ),
    "latencies of a day by stage": (
        "SELECT stage, quantiles(0.5, 0.95, 0.99)(latency_ms), count() FROM latencies "
        "WHERE run_id = {run:String} GROUP BY stage"
    ),
    "the slowest steps of a month": (
        "SELECT run_id, stage, subject, latency_ms FROM latencies WHERE session_date >= {day:Date} - 30 "
        "ORDER BY latency_ns DESC LIMIT 20"
    ),
    "the newest mark of every instrument": (
        "SELECT token, last_paise, event_at FROM marks WHERE run_id = {run:String} "
        "ORDER BY token DESC, event_at DESC LIMIT 1 BY token"
    ),
    "a feature through the day": (
        "SELECT close_at, values[indexOf(names, 'spread_bps')] FROM features WHERE run_id = {run:String} "
        "AND interval_s = 60 AND token = {token:UInt32} ORDER BY close_at"
    ),
    "feed health of a day by minute": (
        "SELECT begins_at_ist, sum(ticks), sum(seconds_with_ticks), max(max_delay_ms) FROM tick_minutes "
        "WHERE run_id = {run:String} GROUP BY begins_at_ist ORDER BY begins_at_ist"
    ),
    "the last tick of an instrument": (
        "SELECT * FROM ticks WHERE run_id = {run:String} AND token = {token:UInt32} "
        "ORDER BY exchange_at DESC, log_offset DESC LIMIT 1"
    ),
}


def run_of(day: date) -> str:
    return f"paper-{day:%Y%m%d}-0300"


def copied(client: Client, table: str, day: date, copies: range) -> None:
    """The seed session's instruments once for each of `copies`, as the run of `day`."""
    shift = (day - DAY).days
    changed = [f"'{run_of(day)}' AS run_id", f"toDate('{day}') AS session_date"]
    changed += [f"{name} + INTERVAL {shift} DAY AS {name}" for name in TIMES[table]]
    source = f"(SELECT * FROM {table} WHERE run_id = '{SEED_RUN}')"
    if table in PER_INSTRUMENT:
        changed += ["toUInt32(token + 16777216 * copy) AS token", f"toUInt32(row + {COPIED} * copy) AS row"]
        source += f" ARRAY JOIN range({copies.start}, {copies.stop}) AS copy"
    stored = ", ".join(
        name
        for (name,) in client.query(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {t:String} "
            "AND default_kind IN ('', 'DEFAULT') ORDER BY position",
            parameters={"t": table},
        ).result_rows
    )
    client.command(
        f"INSERT INTO {table} ({stored}) SELECT {stored} "
        f"FROM (SELECT * REPLACE ({', '.join(changed)}) FROM {source}) "
        "SETTINGS max_threads = 2"
    )


def ordered(client: Client, day: date) -> None:
    """Five journal lines for each of the day's orders, one after another."""
    client.command(
        "INSERT INTO orders (run_id, session_date, intent_id, token, kind, latency_ns, event_at, emitted_at, "
        f"seq, log_topic, log_offset) SELECT '{run_of(day)}', toDate('{day}'), "
        "substring(hex(sipHash128(intDiv(number, 5))), 1, 18), 408065, "
        "['submitting', 'accepted', 'update', 'fill', 'update'][number % 5 + 1], "
        "if(number % 5 = 1, 40000000 + sipHash64(number) % 60000000, 0), "
        f"toDateTime64('{day} 03:45:00', 9, 'UTC') + intDiv(number, 5) * 7 + number % 5 AS at, at, "
        f"number, 'orders', number FROM numbers({5 * ORDERS_A_DAY})"
    )


def weekdays(count: int) -> list[date]:
    """The newest `count` weekdays up to the seed's day, newest first."""
    days: list[date] = []
    day = DAY
    while len(days) < count:
        if day.weekday() < 5:
            days.append(day)
        day -= timedelta(days=1)
    return days


def timed(client: Client, day: date) -> dict[str, float]:
    """Milliseconds of each query of a dashboard, best of three."""
    run = run_of(day)
    rows = client.query(
        "SELECT any(token), (SELECT any(intent_id) FROM orders WHERE run_id = {run:String}) FROM bars "
        "WHERE run_id = {run:String} AND interval_s = 60",
        parameters={"run": run},
    ).result_rows
    asked: dict[str, Any] = {"run": run, "day": day, "token": rows[0][0], "intent": rows[0][1]}
    found = {}
    for name, query in QUERIES.items():
        took = []
        for _ in range(3):
            began = time.perf_counter()
            answer = client.query(query, parameters=asked).result_rows
            took.append(1000 * (time.perf_counter() - began))
        if not answer:
            raise AssertionError(f"{name}: no rows")
        found[name] = round(min(took), 1)
    return found


def measured(client: Client) -> dict[str, tuple[int, float]]:
    """Table -> (rows, bytes a row) on disk, all columns and indices."""
    rows = client.query(
        "SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active "
        "AND database = currentDatabase() GROUP BY table"
    ).result_rows
    return {str(table): (int(count), size / count) for table, count, size in rows if count}


def forecast(tables: dict[str, tuple[int, float]], sessions: dict[str, int], scale: float) -> dict[str, Any]:
    """GB after 18 months of 300 instruments (ticks: 30 days), and what features of seconds would add."""
    kept = SESSIONS_A_YEAR * MONTHS / 12
    found: dict[str, Any] = {}
    for table, (rows, size) in tables.items():
        days = sessions.get(table, max(sessions.values()))
        lasting = SESSIONS_A_YEAR * 30 / 365 if table == "ticks" else kept
        by = scale if table in (*PER_INSTRUMENT, "tick_minute_states") else 1.0
        a_day = rows / days * by
        found[table] = {
            "rows_a_day": round(a_day),
            "bytes_a_row": round(size, 2),
            "gb": round(a_day * size * lasting / 1e9, 2),
        }
    rows, size = tables["features"]
    found["features of seconds (not kept)"] = {
        "rows_a_day": round(rows / sessions["features"] * scale * 60),
        "bytes_a_row": round(size, 2),
        "gb": round(rows / sessions["features"] * scale * 60 * size * kept / 1e9),
    }
    return found


def filled_with(
    client: Client, days: list[date], tick_days: int, copies: int, until: float
) -> tuple[int, dict[str, float]]:
    """(sessions written before the clock reached `until`, the queries' times with the first alone)."""
    alone: dict[str, float] = {}
    written = 0
    for day in days:
        if written and time.monotonic() > until:
            break
        for table in TIMES:
            if table == "ticks" and written >= tick_days:
                continue
            for first in range(0, copies if table in PER_INSTRUMENT else 1, AT_ONCE):
                copied(client, table, day, range(first, min(first + AT_ONCE, copies)))
        ordered(client, day)
        written += 1
        alone = alone or timed(client, day)
        print(f"  {day} written", flush=True)
    for table in (*TIMES, "orders", "latencies", "tick_minute_states"):
        client.command(f"DELETE FROM {table} WHERE run_id = '{SEED_RUN}'")
    settle(client)
    return written, alone


def settle(client: Client) -> None:
    """Until no merge runs: what a night does."""
    while client.query("SELECT count() FROM system.merges").result_rows[0][0]:
        time.sleep(0.5)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one session of 12 instruments, an hour long")
    parser.add_argument("--sessions", type=int, default=21)
    parser.add_argument("--tick-sessions", type=int, default=2)
    parser.add_argument("--at-most-s", type=float, default=900, help="no further session after so long")
    options = parser.parse_args()
    sessions, tick_sessions, minutes, copies = options.sessions, options.tick_sessions, 375, 300 // COPIED
    if options.quick:
        sessions, tick_sessions, minutes, copies = 1, 1, 30, 1
    days = weekdays(sessions)
    with server() as run:
        filled(run, COPIED, minutes)
        with connect(run, "owner") as client:
            until = time.monotonic() + options.at_most_s
            sessions, alone = filled_with(client, days, tick_sessions, copies, until)
            together = timed(client, days[0])
            tables = measured(client)
    print(f"{sessions} sessions of {COPIED * copies} instruments, ticks of {tick_sessions}")
    by_table = dict.fromkeys(TIMES, sessions) | {"ticks": tick_sessions, "tick_minute_states": tick_sessions}
    sizes = forecast(tables, by_table, 300 / COPIED / copies * 375 / minutes)
    for table, figures in sorted(sizes.items(), key=lambda item: -item[1]["gb"]):
        print(
            f"{table:<32}{figures['rows_a_day']:>14,} rows a day{figures['bytes_a_row']:>10} bytes"
            f"{figures['gb']:>10} GB"
        )
    for name, took in together.items():
        print(f"{name:<40}{took:>8} ms   one session {alone[name]:>8} ms   ratio {took / alone[name]:.2f}")
    slow = [name for name, took in together.items() if took > LIMIT_MS]
    stored = {table: rows for table, (rows, _) in tables.items()}
    print(
        json.dumps(
            {
                "benchmark": "clickhouse_size",
                "sessions": sessions,
                "rows": stored,
                "sizes": sizes,
                "ms": together,
                "slow": slow,
            }
        )
    )
    return 1 if slow and not options.quick else 0


if __name__ == "__main__":
    raise SystemExit(main())
