"""What the chain costs: rows a second into the audit, against the same rows inserted without a chain.

    python benchmarks/audit.py [--quick]

Verdicts as the decision flow makes them go through the audit's own writer, into an embedded PostgreSQL
of its own, in batches as they come at full speed. Baselines, same columns and indexes: a plain client's
`executemany`, and COPY without hashing. Then the whole chain is verified. Prints a table, then one JSON line.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
import sqlalchemy as sa

from infra.audit.reading import open_book
from infra.audit.trail import COLUMNS, Trail
from infra.audit.verification import verify_book
from infra.postgres.embedded import Server
from kitepilot import events as e
from kitepilot.audit.entries import entry_of
from kitepilot.audit.records import Entry
from kitepilot.ports import LogRecord

BATCH = 2_000
CHECKS = tuple(e.Check(code=f"check_{n}", passed=True, observed=n / 3, limit=float(n)) for n in range(12))
PLAIN = """
    CREATE TABLE plain (LIKE audit);
    ALTER TABLE plain ALTER prev_hash DROP NOT NULL, ALTER hash DROP NOT NULL, ADD PRIMARY KEY (seq);
    CREATE INDEX ON plain (run_id, seq);
    CREATE INDEX ON plain (intent_id) WHERE intent_id <> '';
    CREATE INDEX ON plain (order_id) WHERE order_id <> '';
    CREATE INDEX ON plain (subject) WHERE subject <> ''"""


def verdicts(count: int) -> list[Entry]:
    """Entries of denied verdicts with a dozen checks each, about 900 bytes a body."""
    made = []
    for seq in range(count):
        verdict = e.Verdict(
            source="risk", seq=seq, event_at=seq, verdict_id=f"V{seq}", run_id="paper-20261120-0001",
            signal_id=f"S{seq}", strategy="vwap_reversion", token=408065, tradingsymbol="INFY",
            purpose=e.Purpose.ENTRY, side=e.Side.BUY, quantity=10, limit_price_paise=150_005, approved=False,
            denial="spread", intent_id="", state=e.TradingState.ACTIVE, checks=CHECKS,
        )  # fmt: skip
        entry = entry_of(verdict, LogRecord("decisions", 0, seq, seq, b"", b""), "")
        assert entry is not None
        made.append(entry)
    return made


def batches(entries: list[Entry]) -> list[list[Entry]]:
    return [entries[at : at + BATCH] for at in range(0, len(entries), BATCH)]


def rate(entries: list[Entry], write: Callable[[Sequence[Entry]], object]) -> float:
    """Rows a second."""
    began = time.perf_counter()
    for batch in batches(entries):
        write(batch)
    return len(entries) / (time.perf_counter() - began)


def plain_row(entry: Entry) -> tuple[object, ...]:
    named = {"seq": entry.log_offset + 1, "recorded_at": 0, "prev_hash": None, "hash": None}
    return tuple(named[name] if name in named else getattr(entry, name) for name in COLUMNS)


def measure(home: Path, rows: int) -> dict[str, float]:
    entries = verdicts(rows)
    with Server(home) as server:
        plain = sa.make_url(server.url).set(drivername="postgresql").render_as_string(hide_password=False)
        trail = Trail(server.url)
        found = {"chain_rows_per_s": rate(entries, trail.append)}
        trail.close()
        with psycopg.connect(plain, autocommit=True) as db:
            db.execute("SET synchronous_commit = off")
            db.execute(PLAIN)
            places = ", ".join(["%s"] * len(COLUMNS))
            insert = f"INSERT INTO plain ({', '.join(COLUMNS)}) VALUES ({places})"

            def by_insert(batch: Sequence[Entry]) -> None:
                with db.transaction(), db.cursor() as cursor:
                    cursor.executemany(insert, [plain_row(entry) for entry in batch])

            def by_copy(batch: Sequence[Entry]) -> None:
                into = f"COPY plain ({', '.join(COLUMNS)}) FROM STDIN"
                with db.transaction(), db.cursor() as cursor, cursor.copy(into) as copy:
                    for entry in batch:
                        copy.write_row(plain_row(entry))

            found["plain_insert_rows_per_s"] = rate(entries, by_insert)
            db.execute("TRUNCATE plain")
            found["plain_copy_rows_per_s"] = rate(entries, by_copy)
        with open_book(server.url) as book:
            began = time.perf_counter()
            verdict = verify_book(book, home)
            assert verdict.flaw is None and verdict.records == rows
            found["verified_rows_per_s"] = rows / (time.perf_counter() - began)
    found["chain_to_plain_insert"] = found["chain_rows_per_s"] / found["plain_insert_rows_per_s"]
    found["chain_to_plain_copy"] = found["chain_rows_per_s"] / found["plain_copy_rows_per_s"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    rows = 10_000 if parser.parse_args().quick else 60_000
    with tempfile.TemporaryDirectory() as home:
        found = measure(Path(home), rows)
    for name, value in found.items():
        print(f"{name:26}{value:>14,.2f}")
    print(json.dumps({"rows": rows} | {name: round(value, 2) for name, value in found.items()}))


if __name__ == "__main__":
    main()
