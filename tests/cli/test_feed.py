"""What a person is told of the feed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from msgspec import json as msgspec_json
from typer.testing import CliRunner

from broker_adapter import feed_records, ingest
from infra.eventlog import open_log
from kitepilot import config as configuration
from kitepilot.cli import feed
from kitepilot.cli.feed import feed_line, feed_state
from kitepilot.cli.main import app
from kitepilot.cli.tail import last_ticks
from kitepilot.events import DecisionParameters, InstrumentTerms
from kitepilot.market.ticks import KIND_CLOCK, KIND_FEED, RECORD_DTYPE, own_record
from kitepilot.run import Run
from kitepilot.topics import TICKS, TOPICS

SECOND = 1_000_000_000
TEN = 1_795_149_000  # 2026-11-20 10:00:00 IST
INFY = 408065


def folder_with(tmp_path: Path, **counts: object) -> Path:
    (tmp_path / feed.COUNTS_FILE).write_text(json.dumps(counts))
    return tmp_path


def test_the_file_and_its_figures_are_the_ingesters() -> None:
    assert feed.COUNTS_FILE == ingest.COUNTS_FILE
    assert {"feed", "frame_at", *feed.SHOWN} <= set(feed_records.Counts.__struct_fields__)


def test_a_feed_that_is_down_says_why_and_since_when_nothing_came(tmp_path: Path) -> None:
    counts = {"feed": "down: login needed: handshake refused", "frame_at": 5 * SECOND, "reconnects": 2}
    state = feed_state(folder_with(tmp_path, **counts, minutes_to_backfill=3), now=12 * SECOND)
    assert feed_line(state) == (
        "down: login needed: handshake refused, last frame 7.0 s ago, 2 reconnects, "
        "3 minutes still to backfill"
    )


def test_before_the_first_word_nothing_is_claimed(tmp_path: Path) -> None:
    assert feed_line(feed_state(tmp_path, 1)) == "not heard of yet"
    assert feed_line(feed_state(folder_with(tmp_path, feed="up"), 1)) == "up, no frame yet"
    (tmp_path / feed.COUNTS_FILE).write_text("{")
    assert feed_state(tmp_path, 1) == {}


def a_run(home: Path) -> Run:
    """A run with three messages on `ticks`: feed up, a tick, feed down."""
    run = Run("r", home / "runs" / "r", configuration.Config())
    run.folder.mkdir(parents=True)
    terms = InstrumentTerms(
        token=INFY, tradingsymbol="INFY", tick_size_paise=10, lot_size=1, closing_auction=True,
        entry_cutoff_at=0, square_off_at=0, force_flat_at=0, continuous_close_at=0,
    )  # fmt: skip
    parameters = DecisionParameters(
        session_date="2026-11-20", open_at=0, close_at=0, instruments=(terms,), strategies=(),
        profile=configuration.Config().risk.profile(),
    )  # fmt: skip
    (run.folder / "parameters.json").write_bytes(msgspec_json.encode(parameters))
    (run.folder / "start_offsets.json").write_text(json.dumps({TICKS.name: 0}))
    tick = np.zeros(1, dtype=RECORD_DTYPE)
    tick["packet"]["token"], tick["packet"]["last_price"] = INFY, 157370
    tick["packet"]["exchange_time"] = TEN + 1
    log = open_log(run)
    log.create_topics(TOPICS)
    at = TEN * SECOND
    own = [
        own_record(KIND_CLOCK, at, 1),
        own_record(KIND_FEED, at, 1, "up"),
        own_record(KIND_FEED, at + 2 * SECOND, 1, "down silent for 6 s"),
    ]
    log.append(TICKS.name, [own[0], own[1], tick.tobytes(), own[2]])
    log.close()
    return run


def test_the_tail_of_ticks_shows_the_feed_going_up_and_down(tmp_path: Path) -> None:
    rows = last_ticks(a_run(tmp_path), "", 10)
    assert [(row["time"], row.get("symbol", row.get("feed"))) for row in rows] == [
        ("10:00:00", "up"), ("10:00:01", "INFY"), ("10:00:02", "down silent for 6 s"),
    ]  # fmt: skip
    assert rows[1]["last"] == 1573.7


def test_status_of_a_home_where_nothing_runs_has_the_same_keys(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["status", "--json"], env={"KITEPILOT_HOME": str(tmp_path)})
    assert told.exit_code == 3
    assert json.loads(told.stdout)["feed"] == {}
