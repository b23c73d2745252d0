"""Any history of crashes leaves raw tables and materialized views as one quiet day would."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest
from archive_messages import samples, tick_message
from clickhouse_process import new_run
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flows.archive import Archive, ArchiveState, start_of
from infra.clickhouse.client import connect
from infra.clickhouse.event_rows import SHAPES
from infra.clickhouse.inserts import Insert, Inserter
from kitepilot.events import AnyEvent, ApprovedIntent, encode
from kitepilot.ports import LogRecord
from kitepilot.run import Run

pytestmark = pytest.mark.stack

DAY = date(2026, 11, 20)
ROUNDS = 3
#: What a view's table holds, and the same question to the raw tables.
MINUTES = (
    "SELECT sum(ticks), sum(spread_paise_sum), sum(delay_ns_sum), max(day_volume) FROM tick_minute_states"
)
MINUTES_OF_TICKS = (
    "SELECT count(), sum(ask_paise[1] - bid_paise[1]), "
    "sum(toUnixTimestamp64Nano(received_at) - toUnixTimestamp64Milli(exchange_at) * 1000000), max(volume) "
    "FROM ticks"
)
LATENCIES = "SELECT count(), sum(latency_ns) FROM latencies"


class Crash(Exception):
    """The process dies here."""


class MortalInserter(Inserter):
    """The real inserter, but the process dies at one of its inserts: before it is sent, or once it landed."""

    def __init__(self, *of: Any, dies_at: int, landed: bool) -> None:
        super().__init__(*of)
        self._left, self._landed = dies_at, landed

    def _send(self, insert: Insert) -> None:
        self._left -= 1
        if self._left == 0 and not self._landed:
            raise Crash
        super()._send(insert)
        if self._left == 0:
            raise Crash


class Life(msgspec.Struct, frozen=True):
    """One process: how it cuts the log, how often it commits, and at which insert it dies."""

    records_at_once: int
    commits_every: int
    dies_at: int
    landed: bool


LIVES = st.lists(
    st.builds(Life, st.integers(1, 40), st.integers(1, 4), st.integers(1, 40), st.booleans()), max_size=3
)


def log_of(run: Run) -> list[LogRecord]:
    """`ROUNDS` of every message, topics interleaved, as the run would read them."""
    found: list[LogRecord] = []
    offsets: dict[str, int] = {}

    def put(topic: str, value: bytes) -> None:
        offsets[topic] = offsets.get(topic, -1) + 1
        found.append(LogRecord(topic, 0, offsets[topic], 0, b"", value))

    for seq in range(ROUNDS):
        put("ticks", tick_message(seq * 40, 40, clock=True))
        for topic, events in samples(seq).items():
            for event in events:
                put(topic, encode(ours(event, run), emitted_at=9_000_000 + seq))
    return found


def ours(event: AnyEvent, run: Run) -> AnyEvent:
    if not isinstance(event, ApprovedIntent):
        return event
    return msgspec.structs.replace(event, run_id=run.run_id, config_hash=run.config_hash)


def live(
    run: Run, log: list[LogRecord], life: Life | None, committed: tuple[int, ArchiveState | None]
) -> Any:
    """Read on from what was committed; returns what is committed when the process ends or dies."""
    spool = run.folder / "archive.spool"
    client = connect(run, "sink")
    dies_at, landed = (life.dies_at, life.landed) if life else (10**9, True)
    step, every = (life.records_at_once, life.commits_every) if life else (17, 1)
    inserter = MortalInserter(client, spool, dies_at=dies_at, landed=landed)
    try:
        position, state = committed
        archive = Archive(run.run_id, DAY, start_of(run), inserter, state)
        for turn, begin in enumerate(range(position, len(log), step), 1):
            archive.add(log[begin : begin + step])
            if turn % every == 0 or begin + step >= len(log):
                archive.flush()
                committed = (min(begin + step, len(log)), archive.state())
    except Crash:
        pass
    finally:
        client.close()
    return committed


def ask(run: Run, query: str, where: str = "") -> tuple[Any, ...]:
    with connect(run, "api") as client:
        asked = f"{query} WHERE run_id = {{run:String}} {where}"
        return tuple(client.query(asked, parameters={"run": run.run_id}).result_rows[0])


def counts(run: Run) -> dict[str, int]:
    return {table: ask(run, f"SELECT count() FROM {table}")[0] for table in ("ticks", *SHAPES)}


def test_whatever_dies_between_insert_and_commit_no_count_changes_in_tables_or_views(
    server_home: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home, url = server_home
    quiet = new_run(home, url, f"paper-quiet-{tmp_path_factory.mktemp('quiet').name}")
    assert live(quiet, log_of(quiet), None, (0, None))[0] == len(log_of(quiet))
    wanted = counts(quiet)
    latencies = ask(quiet, LATENCIES)
    assert wanted["ticks"] == 40 * ROUNDS and latencies[0] == 5 * ROUNDS

    @settings(
        max_examples=8,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],  # to shrink a history takes minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(LIVES)
    def held(lives: list[Life]) -> None:
        run = new_run(home, url, f"paper-history-{tmp_path_factory.mktemp('history').name}")
        log = log_of(run)
        committed: tuple[int, ArchiveState | None] = (0, None)
        for life in [*lives, None]:
            committed = live(run, log, life, committed)
        assert counts(run) == wanted
        assert ask(run, MINUTES) == ask(run, MINUTES_OF_TICKS)
        assert ask(run, LATENCIES) == latencies

    held()


def test_a_server_that_died_between_a_table_and_its_view_is_healed_by_the_repetition(run: Run) -> None:
    """The block is in `ticks`, the view never ran: the same token sent again adds to the view alone."""
    log = log_of(run)
    with connect(run, "owner") as owner:
        owner.command("DETACH TABLE tick_minutes_of_ticks")
        try:
            live(run, log, Life(1, 1, 1, landed=True), (0, None))
        finally:
            owner.command("ATTACH TABLE tick_minutes_of_ticks")
    assert (ask(run, "SELECT count() FROM ticks"), ask(run, MINUTES)[0]) == ((40,), 0)
    live(run, log, None, (0, None))
    assert ask(run, "SELECT count() FROM ticks") == (40 * ROUNDS,)
    assert ask(run, MINUTES) == ask(run, MINUTES_OF_TICKS)
