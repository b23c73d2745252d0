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
from flows.audit import Follower, acts_of, drain, topics_of
from infra.audit.acts import record_act
from infra.audit.trail import Trail
from infra.eventlog import open_log
from infra.postgres.embedded import Server, database_url
from kitepilot import config as configuration
from kitepilot.audit.acts import RELOAD_ASKED
from kitepilot.cli import opening
from kitepilot.config import Config
from kitepilot.events import Commanded, encode
from kitepilot.ports import EventLog
from kitepilot.reloading import COMMAND
from kitepilot.run import Run
from kitepilot.topics import TOPICS


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three runs, the second as the first, the third with less to lose; and one that no book knows.

    While the second was up its file was read again twice; one of the words never came on the log.
    """
    place = tmp_path_factory.mktemp("configurations")
    less = configuration.override(Config(), **{"risk.daily_loss_rupees": 9_000, "flags.resume_by_api": False})
    with Server(place):
        for config in (Config(), Config()):
            opening.record_run(opened := opening.create_run(config, place))
        log = reread(opened)
        opening.record_run(opening.create_run(less, place))
        opening.create_run(configuration.override(Config(), **{"session.speed": 7.0}), place)
        trail = Trail(database_url(opened))
        drain(follower := Follower(trail, (topics_of(opened), acts_of(place))))
        log.close()
        follower.close()
        trail.close()
        yield place


def reread(run: Run) -> EventLog:
    """Asked for quiet hours, and before for others that were never said."""
    (run.folder / "start_offsets.json").write_text(json.dumps({topic.name: 0 for topic in TOPICS}))
    log = open_log(run)
    log.create_topics(TOPICS)
    for name, hours in (("never", "01:00-02:00"), ("said", "22:00-07:00")):
        config = configuration.override(run.config, **{"alerts.quiet": hours})
        whole, digest = configuration.canonical(config).decode(), configuration.config_hash(config)
        record_act(
            run.home, RELOAD_ASKED, run.config_hash, run.run_id, "owner from 10.0.0.9",
            command_id=name, in_force=digest, config=whole,
        )  # fmt: skip
    word = Commanded(source="api", seq=0, event_at=1, command_id="said", command=COMMAND, argument=digest)
    log.append("session", [encode(word)])
    return log


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
    assert [(each.run_id[-4:], each.how) for each in told] == [
        ("0003", "opened"), ("0002", "reloaded"), ("0002", "opened"), ("0001", "opened"),
    ]  # fmt: skip
    assert told[0].changes == [
        Change("risk.daily_loss_rupees", Config().risk.daily_loss_rupees, 9_000),
        Change("alerts.quiet", "22:00-07:00", ""),
        Change("flags.resume_by_api", True, False),
    ]
    assert told[1].changes == [Change("alerts.quiet", "", "22:00-07:00")]
    assert (told[1].by, told[2].changes) == ("owner from 10.0.0.9", [])
    assert told[1].config_hash != told[2].config_hash == told[3].config_hash
    assert all(each.made.ist for each in told) and "@" in told[0].by


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
