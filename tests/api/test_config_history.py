"""Who opened which run with what: from the audit, run against the run before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import config_history
from api.config_history import Change, Configured, changes
from api.record import Record
from flows.audit import Follower, acts_of, drain
from infra.audit.trail import Trail
from infra.postgres.embedded import Server, database_url
from kitepilot import config as configuration
from kitepilot.cli import opening
from kitepilot.config import Config
from kitepilot.run import Run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three runs, the second as the first, the third with less to lose; and one that no book knows."""
    place = tmp_path_factory.mktemp("configurations")
    less = configuration.override(Config(), **{"risk.daily_loss_rupees": 9_000, "flags.resume_by_api": False})
    with Server(place):
        for config in (Config(), Config(), less):
            opening.record_run(opened := opening.create_run(config, place))
        opening.create_run(configuration.override(Config(), **{"session.speed": 7.0}), place)
        trail = Trail(database_url(opened))
        drain(follower := Follower(trail, (acts_of(place),)))
        follower.close()
        trail.close()
        yield place


@pytest.fixture
def record(home: Path) -> Iterator[Record]:
    asked = Record(Run("now", home / "runs" / "now", Config()))
    yield asked
    asked.close()


@pytest.mark.stack
@pytest.mark.parametrize("limit", [1, 2, 20])
async def test_each_run_is_told_with_what_had_changed_since_the_one_before(
    record: Record, limit: int
) -> None:
    told: list[Configured] = []
    cursor = None
    while True:
        rows, cursor = await config_history.history(record, limit, cursor)
        told += rows
        if cursor is None:
            break
    assert [each.run_id[-4:] for each in told] == ["0003", "0002", "0001"]
    assert told[0].changes == [
        Change("risk.daily_loss_rupees", Config().risk.daily_loss_rupees, 9_000),
        Change("flags.resume_by_api", True, False),
    ]
    assert told[1].changes == []
    assert all("@" in each.by and each.made.ist for each in told)


def audited(**changed: object) -> dict[str, Any]:
    return dict(json.loads(configuration.canonical(configuration.override(Config(), **changed))))


def test_a_key_that_an_older_version_did_not_have_is_no_change() -> None:
    before = audited()
    del before["flags"]
    assert changes(before, audited()) == []
    assert changes(before, audited(**{"flags.models_by_api": False})) == [
        Change("flags.models_by_api", True, False)
    ]
    assert changes({**before, "of_old": {"loud": True}}, audited()) == []


def test_a_strategys_text_is_told_by_its_digest_and_never_itself() -> None:
    (change,) = changes(
        audited(),
        {**audited(), "strategies": {**audited()["strategies"], "sources": {"mine": "secret sauce"}}},
    )
    assert (change.key, change.before) == ("strategies.sources", {})
    assert list(change.after) == ["mine"] and "sauce" not in str(change)
