"""One real embedded PostgreSQL for the whole test session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.postgres.embedded import Server


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a running, migrated server in a home of its own."""
    home: Path = tmp_path_factory.mktemp("postgres-home")
    with Server(home) as server:
        yield server.url
