"""What holds for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from side_by_side import UnitsInOrder, long_first

if TYPE_CHECKING:
    from xdist.remote import Producer

# How long an example takes is the machine's affair: speed is claimed by benchmarks, not by tests.
settings.register_profile("kitepilot", deadline=None)
settings.load_profile("kitepilot")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # one of several processes that share the files
        long_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> UnitsInOrder | None:
    """Nothing where another way of sharing out was asked for."""
    return UnitsInOrder(config, log) if config.getvalue("dist") == "loadfile" else None
