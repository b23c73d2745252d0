"""One traded, archived and built day for every test of the book of analysis."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from book_of_a_day import Book, copied_book, made_book

from infra.analytics.dbt import dbt_program
from infra.analytics.outcome import Outcome


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first waits for the book to be made."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def book_template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """(home, outcome): made by one of the processes that run test files side by side, copied by each."""
    if dbt_program() is None:
        pytest.skip("dbt is not installed: `make bootstrap`")
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    kept = shared / "book.pickle"
    with (shared / "book.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            home = shared / "book-home"
            shutil.rmtree(home, ignore_errors=True)
            kept.write_bytes(pickle.dumps((home, made_book(home))))
        made: tuple[Path, Outcome] = pickle.loads(kept.read_bytes())
        return made


@pytest.fixture(scope="session")
def built_book(
    book_template: tuple[Path, Outcome], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Book]:
    """The traded day with its marts. For reading only: a test that writes takes `own_book`."""
    with copied_book(*book_template, tmp_path_factory.mktemp("book")) as book:
        yield book


@pytest.fixture(scope="module")
def own_book(book_template: tuple[Path, Outcome], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    """The same in a home that the module's tests may change."""
    with copied_book(*book_template, tmp_path_factory.mktemp("own-book")) as book:
        yield book
