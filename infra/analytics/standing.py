"""Is the book as it was last built? A print of what lies in ClickHouse and what the last build found, kept.

A build that finds nothing new would run every view, seed and test to come to what stands there already. So
the last complete build, if every test held, leaves what it was made from: the project's print and, of each
table, its blocks and changes. ClickHouse numbers every inserted block and every mutation of a table;
a merge gives no new number, so a quiet table keeps its print while its parts are merged.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from infra.analytics.book import FOLDER
from infra.analytics.outcome import Made, Outcome, Tested
from infra.clickhouse.client import connect
from kitepilot.run import Run

Tests = Literal["all", "data", "none"]
VERSION: Final = 1  # of what `remember` writes: another one is as none
_MORE: dict[Tests, int] = {"none": 0, "data": 1, "all": 2}

#: A part is called `partition_first_last_level`, and after a mutation `..._mutation`.
_BLOCKS = """
    SELECT database, table, partition_id, toString(max(max_block_number)),
        toString(max(toUInt64OrZero(extract(name, '^[^_]+_[0-9]+_[0-9]+_[0-9]+_([0-9]+)$'))))
    FROM system.parts
    WHERE active AND {of}
    GROUP BY database, table, partition_id
    ORDER BY database, table, partition_id
"""
_TABLES = "SELECT database, name, engine FROM system.tables WHERE {of} ORDER BY database, name"


@dataclass(frozen=True)
class Standing:
    """Prints of what a build rests on: the archive's tables, and the project's text and seeds."""

    archive: str
    project: str


def standing(run: Run, project: str) -> Standing:
    """As it is now; take it before a build, so that what is archived meanwhile is built the next time."""
    return Standing(_print(run, "database = {raw:String}"), project)


def remember(run: Run, before: Standing, outcome: Outcome, tested: Tests) -> None:
    """A complete build came to this; nothing is kept of one with a failure, which shall be told again."""
    if not outcome.ok:
        return
    said = {"version": VERSION, "tested": tested, "marts": _marts(run), "outcome": asdict(outcome)}
    path = _file(run)
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps(asdict(before) | said))
    unfinished.replace(path)


def forget(run: Run) -> None:
    """Something is about to change the marts."""
    _file(run).unlink(missing_ok=True)


def recall(run: Run, now: Standing, tested: Tests) -> Outcome | None:
    """What the last build found, where another would find the same; None where it has to be done."""
    kept = _kept(run, now)
    if kept is None or kept["archive"] != now.archive or _MORE[kept["tested"]] < _MORE[tested]:
        return None
    said = kept["outcome"]
    return Outcome(
        tuple(Made(**made) for made in said["made"]),
        tuple(Tested(**each) for each in said["tested"]),
        said["seconds"],
        kept=True,
    )


def only_rows_are_new(run: Run, now: Standing) -> bool:
    """Whether views and seeds stand as this project makes them: what was archived since changes neither."""
    return _kept(run, now) is not None


def _kept(run: Run, now: Standing) -> dict[str, Any] | None:
    """What `remember` left, where nobody changed the project or what dbt made since."""
    try:
        kept: dict[str, Any] = json.loads(_file(run).read_text())
    except (OSError, ValueError):
        return None
    same = kept.get("version") == VERSION and kept["project"] == now.project and kept["marts"] == _marts(run)
    return kept if same else None


def _marts(run: Run) -> str:
    """Of everything dbt makes: tables and views, too, that somebody dropped."""
    return _print(run, "startsWith(database, concat({raw:String}, '_'))")


def _print(run: Run, of: str) -> str:
    raw = {"raw": run.config.storage.clickhouse_database}
    digest = hashlib.sha256()
    with connect(run, "dbt", database="default") as client:
        for query in (_TABLES, _BLOCKS):
            for row in client.query(query.replace("{of}", of), raw).result_rows:
                digest.update(f"{row}\n".encode())
    return digest.hexdigest()


def _file(run: Run) -> Path:
    return run.home / FOLDER / f"{run.config.storage.clickhouse_database}.built.json"
