"""One real PostgreSQL for these tests; each test has a database of its own in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from infra.postgres.embedded import Server
from infra.postgres.migrate import migrate

_NAMES = count()


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home: Path = tmp_path_factory.mktemp("audit-postgres")
    with Server(home) as server:
        plain = sa.make_url(server.url).set(drivername="postgresql", database="postgres")
        with psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True) as admin:
            admin.execute("CREATE DATABASE audit_template")
        migrate(sa.make_url(server.url).set(database="audit_template").render_as_string(hide_password=False))
        yield server.url


@pytest.fixture
def new_database(server_url: str) -> Callable[[], str]:
    """Makes a migrated database nobody else uses; returns its SQLAlchemy URL."""

    def make() -> str:
        url = sa.make_url(server_url)
        name = f"audit_{next(_NAMES)}"
        plain = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE audit_template")
        return url.set(database=name).render_as_string(hide_password=False)

    return make


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    return new_database()
