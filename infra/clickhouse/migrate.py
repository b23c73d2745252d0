"""Numbered DDL files -> tables. Each file is one statement, applied once, in order, and never edited later.

Run twice or after a crash in the middle it continues where it stopped. One migration runs at a time: the
command line does it before anything else of a run starts.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.clickhouse.client import connect
from infra.clickhouse.statements import identifier
from kitepilot.run import Run

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

FOLDER = Path(__file__).parent / "ddl"
_NAME = re.compile(r"(?P<number>\d{4})_(?P<title>\w+)\.sql")
_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt32, title String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree ORDER BY number
"""
_CREATED = re.compile(
    r"(?:(?<=^CREATE TABLE )|(?<=^CREATE VIEW )|(?<=^CREATE MATERIALIZED VIEW )|(?<=\bADD COLUMN ))"
    r"(?!IF NOT EXISTS)",
    re.M,
)


class MigrationError(RuntimeError):
    """The schema cannot be brought up to date; names the file and what to do."""


@dataclass(frozen=True)
class Migration:
    """One DDL file. `checksum` is over its bytes: an applied file that changed is refused."""

    number: int
    title: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()[:16]

    @property
    def repeatable_sql(self) -> str:
        """A crash between the table and its ledger row must not block the next start."""
        return _CREATED.sub("IF NOT EXISTS ", self.sql)


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """The files of `folder` in order.

    Raises:
        MigrationError: a name that is not NNNN_title.sql, or a number missing or used twice.
    """
    found = []
    for path in sorted(folder.glob("*.sql")):
        name = _NAME.fullmatch(path.name)
        if name is None:
            raise MigrationError(f"{path} is not named like 0001_ticks.sql")
        found.append(Migration(int(name["number"]), name["title"], path.read_text()))
    for expected, migration in enumerate(found, 1):
        if migration.number != expected:
            raise MigrationError(f"{folder}: expected {expected:04d}_*.sql, found {migration.number:04d}")
    return found


def migrate(run: Run, folder: Path = FOLDER) -> list[Migration]:
    """Create the database and apply what is missing; returns what was applied.

    Raises:
        MigrationError: an applied file was changed since, or a statement failed.
        infra.clickhouse.client.ClickHouseUnreachableError: no server, or no rights.
    """
    database = run.config.storage.clickhouse_database
    with connect(run, "owner", database="default") as client:
        client.command(f"CREATE DATABASE IF NOT EXISTS {identifier(database)} ENGINE = Atomic")
    with connect(run, "owner") as client:
        client.command(_LEDGER)
        return _apply_missing(client, migrations(folder))


def _apply_missing(client: Client, wanted: list[Migration]) -> list[Migration]:
    rows = client.query("SELECT number, checksum FROM schema_migrations").result_rows
    applied = {int(number): str(checksum) for number, checksum in rows}
    done = []
    for migration in wanted:
        known = applied.get(migration.number)
        if known is None:
            _apply(client, migration)
            done.append(migration)
        elif known != migration.checksum:
            raise MigrationError(
                f"{migration.number:04d}_{migration.title}.sql was changed after it had been applied; "
                "put the change into a new file"
            )
    return done


def _apply(client: Client, migration: Migration) -> None:
    from clickhouse_connect.driver.exceptions import DatabaseError

    try:
        client.command(migration.repeatable_sql)
    except DatabaseError as err:
        raise MigrationError(f"{migration.number:04d}_{migration.title}.sql failed: {err}") from err
    client.insert(
        "schema_migrations",
        [[migration.number, migration.title, migration.checksum]],
        column_names=["number", "title", "checksum"],
    )
