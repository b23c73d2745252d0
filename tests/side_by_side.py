"""Which test files are begun first where they run side by side, and which stay together.

A worker takes a whole file. Whatever is left to the end is waited for by idle workers, so what takes longest
comes first; and a day that the files of a folder look at together is traded once, not once a worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    import pytest

#: Folders with one running day for all of their files.
TOGETHER = ("tests/console",)

#: The longest units by the durations of a whole run, longest first. Two that wait for the same made day or
#: book do not stand beside each other at the start.
LONG = (
    "tests/e2e/test_paper_day.py",
    "tests/e2e/test_full_disk.py",
    "tests/console",
    "tests/e2e/test_kills.py",
    "tests/e2e/test_both_logs.py",
    "tests/superset/test_served_dashboards.py",
    "tests/analytics/test_days_are_redone.py",
    "tests/simulation/test_simulated_days.py",
    "tests/e2e/test_bad_input_while_trading.py",
    "tests/analytics/test_daily_pack.py",
    "tests/morning/test_live_closing.py",
    "tests/e2e/test_the_watchdog.py",
    "tests/research/test_agreement.py",
    "tests/faults/test_fault_table.py",
    "tests/gateway/test_gateway_is_killed.py",
    "tests/gateway/test_killed_at_every_await.py",
    "tests/simulation/test_mutants.py",
    "tests/models/test_seed.py",
    "tests/api/test_the_schema_is_kept.py",
    "tests/sandbox/test_sandbox_with_kite_clients.py",
    "tests/analytics/test_signals_marts.py",
    "tests/gateway/test_the_broker_squares_off.py",
    "tests/kite/test_storm.py",
    "tests/clickhouse/test_archive_waits.py",
    "tests/kernels/test_compiled_once.py",
)


def unit_of(nodeid: str) -> str:
    """What a test runs together with: its file, or the folder that stays together."""
    file = nodeid.split("::", 1)[0]
    return next((folder for folder in TOGETHER if file.startswith(f"{folder}/")), file)


def long_first(items: list[pytest.Item]) -> None:
    """Sort in place: the long units in their order, then the others as they were; a unit keeps its tests."""
    place = {unit: number for number, unit in enumerate(LONG)}
    items.sort(key=lambda item: place.get(unit_of(item.nodeid), len(LONG)))


class UnitsInOrder(LoadFileScheduling):
    """`--dist loadfile` in the order of the collection; its own begins with the files of most tests."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def schedule(self) -> None:
        self.config.option.loadscopereorder = False
        super().schedule()
