"""The short form of `make stress-clickhouse`: the same eight clients for a few seconds."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from clickhouse_process import new_run
from stress import CLIENTS, stress

pytestmark = pytest.mark.stack


def test_eight_clients_at_once_are_all_served_and_every_row_is_kept_once(
    server_home: tuple[Path, str],
) -> None:
    told, wrong = stress(new_run(*server_home, f"paper-stress-{uuid.uuid4().hex[:6]}"), seconds=3)
    assert wrong == []
    assert {name for name, done in told.items() if done.rounds} == set(CLIENTS)
