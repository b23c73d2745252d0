"""The schema comes up once, completely, in order; and the tables fit what the archive writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from clickhouse_process import new_run

from infra.clickhouse.client import connect
from infra.clickhouse.event_rows import SHAPES
from infra.clickhouse.migrate import FOLDER, Migration, MigrationError, migrate, migrations
from infra.clickhouse.tick_columns import tick_columns
from kitepilot.run import Run

OURS = {"run_id", "session_date", "log_topic", "log_partition", "log_offset"}


@pytest.fixture
def migrated(server_home: tuple[Path, str], tmp_path: Path) -> Run:
    return new_run(server_home[0], server_home[1], f"paper-{tmp_path.name}")


@pytest.mark.stack
def test_a_second_migration_does_nothing(migrated: Run) -> None:
    assert migrate(migrated) == []


@pytest.mark.stack
@pytest.mark.parametrize("died", migrations()[16:], ids=lambda m: m.title)
def test_a_migration_that_died_before_it_was_noted_is_finished(migrated: Run, died: Migration) -> None:
    with connect(migrated, "owner") as client:
        client.command(f"ALTER TABLE schema_migrations DELETE WHERE number = {died.number}",
                       settings={"mutations_sync": 1})  # fmt: skip
    assert [m.title for m in migrate(migrated)] == [died.title]
    assert migrate(migrated) == []


@pytest.mark.stack
def test_an_applied_file_that_was_edited_is_refused(migrated: Run, tmp_path: Path) -> None:
    for path in FOLDER.glob("*.sql"):
        (tmp_path / path.name).write_text(path.read_text())
    bars = tmp_path / "0002_bars.sql"
    bars.write_text(bars.read_text().replace("18 MONTH", "1 MONTH"))
    with pytest.raises(MigrationError, match=r"0002_bars.sql was changed after it had been applied"):
        migrate(migrated, tmp_path)


@pytest.mark.stack
@pytest.mark.parametrize("table", ["ticks", *SHAPES])
def test_every_stored_column_is_written_by_the_archive(migrated: Run, table: str) -> None:
    written = set(tick_columns([], [])) if table == "ticks" else set(SHAPES[table].columns) | {"log_offset"}
    with connect(migrated, "api") as client:
        rows = client.query(f"DESCRIBE TABLE {table}").result_rows
    stored = {name for name, _, default, *_ in rows if default == ""}
    assert stored == written | OURS


@pytest.mark.stack
def test_retention_and_deduplication_are_what_the_design_says(migrated: Run) -> None:
    with connect(migrated, "api") as client:
        engines = dict(
            client.query(
                "SELECT name, engine_full FROM system.tables WHERE database = 'kitepilot'"
            ).result_rows
        )
    kept = {
        name: engine.split(" TTL ")[1].split(" SETTINGS")[0]
        for name, engine in engines.items()
        if " TTL " in engine
    }
    assert kept.pop("ticks") == "toDateTime(archived_at) + toIntervalDay(30)"
    assert set(kept) == {"bars", "features", "scores", "marks", "tick_minute_states", "latencies"}
    assert set(kept.values()) == {"toDateTime(archived_at) + toIntervalMonth(18)"}
    fed_by_views = ["tick_minute_states", "latencies"]
    remembering = ["ticks", *SHAPES, *fed_by_views]
    assert all("non_replicated_deduplication_window = 1000" in engines[t] for t in remembering)


@pytest.mark.stack
def test_every_stored_moment_can_be_read_in_utc_and_in_ist(migrated: Run) -> None:
    with connect(migrated, "api") as client:
        rows = client.query(
            "SELECT c.table, c.name, c.type FROM system.columns AS c JOIN system.tables AS t "
            "ON t.database = c.database AND t.name = c.table WHERE c.database = 'kitepilot' "
            "AND t.engine != 'MaterializedView' AND c.type LIKE '%DateTime64%' "
            "AND c.table != 'schema_migrations'"
        ).result_rows
    found = {(table, name): kind for table, name, kind in rows}
    assert ("fills", "filled_at") in found
    for (table, name), kind in found.items():
        if name.endswith("_ist"):
            assert kind.endswith("'Asia/Kolkata')")
            assert (table, name.removesuffix("_ist")) in found
        else:
            assert "'UTC')" in kind
            assert (table, f"{name}_ist") in found, f"{table}.{name}"


def test_a_gap_or_a_strange_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0002_b.sql").write_text("")
    with pytest.raises(MigrationError, match="expected 0001"):
        migrations(tmp_path)
    (tmp_path / "0001_a.sql").write_text("")
    (tmp_path / "third.sql").write_text("")
    with pytest.raises(MigrationError, match="not named like"):
        migrations(tmp_path)
