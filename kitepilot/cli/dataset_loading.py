"""A dataset's sessions into ClickHouse, where it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kitepilot.cli.importing import progress
from kitepilot.cli.readiness.books import clickhouse_trouble
from kitepilot.config import Config
from kitepilot.run import Run

if TYPE_CHECKING:
    from rich.console import Console

    from research.datasets.manifest import Manifest


def load(config: Config, home: Path, manifest: Manifest, console: Console) -> str:
    """Make the table `dataset_bars` hold the dataset; in words what was done, or why it was not.

    A load that was stopped is finished by importing the same again.
    """
    import pyarrow.parquet as pq

    from infra.clickhouse.client import connect
    from infra.clickhouse.dataset_bars import forget_sessions, known_sessions, load_session
    from infra.clickhouse.migrate import migrate
    from research.datasets.manifest import folder_of
    from research.datasets.session_files import path_of

    if trouble := clickhouse_trouble(config, home):
        return f"not loaded: {trouble}"
    folder, sent = folder_of(home, manifest.name), 0
    run = Run("datasets", home / "runs" / "datasets", config)
    migrate(run)
    with connect(run, "owner") as client, progress(console) as tell:
        known = known_sessions(client, manifest.name)
        for number, entry in enumerate(manifest.sessions):
            tell("loading into ClickHouse", number, len(manifest.sessions))
            there = known.pop(entry.session, set())
            bars = pq.ParquetFile(path_of(folder, entry.session)).read()
            sent += load_session(client, manifest.name, entry.session, entry.sha256, bars, there)
        forget_sessions(client, manifest.name, known)
    return f"{sent:,} rows loaded, {manifest.rows:,} are there"
