"""The market flow: the same records give the same events, however they are cut, killed or resumed."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSource, run_main
from hypothesis import given, settings
from hypothesis import strategies as st
from market_tape import OPEN_AT, TICK_PAISE, TOKENS, S, broken, parameters, tape
from msgspec.structs import replace

from flows import market
from flows.connectors import LogSink
from infra.eventlog.sqlite_log import SqliteLog
from kitepilot.events import (
    AnyEvent,
    BarsClosed,
    DeadLetter,
    DriftFound,
    FeaturesComputed,
    FeedChanged,
    Marked,
    ModelJudged,
    SignalRaised,
    canonical,
    decode,
    stream_hash,
)
from kitepilot.kernels.shard import FEATURE_NAMES
from kitepilot.market.pipeline import MarketPipeline, Out, SnapshotError
from kitepilot.market.ticks import RECORD_BYTES
from kitepilot.models.card import FeatureReference
from kitepilot.models.drift_watch import Watched
from kitepilot.models.loading import make_online
from kitepilot.models.online_features import ONLINE_COLUMNS, ONLINE_FEATURES
from kitepilot.models.panel import Panel
from kitepilot.models.score_stream import Settings
from kitepilot.ports import LogRecord
from kitepilot.strategies.plugins import make_strategies
from kitepilot.strategies.port import MarketView, Wish
from kitepilot.topics import SESSION, TOPICS

EAGER = {
    "vwap_reversion": {
        "from_minute": 1,
        "entry_stretch": 0.5,
        "stretch_minutes": 1,
        "min_dev_bps": 1,
        "cooldown_s": 120,
        "turn_bps": 0,
    },
    "micro_momentum": {
        "from_minute": 1,
        "depth_imbalance": 0.1,
        "trade_imbalance": 0.01,
        "trade_imbalance_60s": 0,
        "max_move_vols": 20,
        "volume_ratio": 0,
        "max_spread_bps": 100,
        "cooldown_s": 60,
    },
}


class Optimist:
    """An offline model for tests of the wiring: its score is a feature brought into 0..1."""

    model_id = "optimist-1"

    def score(self, x: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + np.exp(-x[:, FEATURE_NAMES.index("ret_60s")] / 20.0))


def pipeline(
    extra: dict[str, object] | None = None, stale: str = "", watched: Watched | None = None
) -> MarketPipeline:
    strategies = make_strategies(list(EAGER), EAGER, FEATURE_NAMES) | make_strategies(
        ["score_follower"], {"score_follower": {"from_minute": 1, "entry_score": 0.6}}, FEATURE_NAMES
    )
    return MarketPipeline(
        market.shard_spec(parameters(), grace_ms=1_500),
        [one.tradingsymbol for one in parameters().instruments],
        strategies | (extra or {}),
        Panel(Optimist(), stale={"optimist-1": stale} if stale else {}),
        make_online("river_logistic", ONLINE_FEATURES),
        scoring=Settings(
            watched={"optimist-1": watched} if watched else {},
            on_feature_drift="reduce",
            online_columns=ONLINE_COLUMNS,
        ),
    )


def played(messages: list[bytes], flow: MarketPipeline | None = None) -> list[Out]:
    flow = flow or pipeline()
    return [out for message in messages for out in flow.on_message(message)]


def by_topic(out: list[Out]) -> dict[str, list[AnyEvent]]:
    topics: dict[str, list[AnyEvent]] = defaultdict(list)
    for topic, event in out:
        topics[topic].append(event)
    return dict(topics)


def hashes(out: list[Out]) -> dict[str, str]:
    return {topic: stream_hash(events) for topic, events in by_topic(out).items()}


TAPE = broken(tape(minutes=12))


@cache
def whole() -> list[Out]:
    """What one uninterrupted pipeline makes of the tape."""
    return played(TAPE)


def only(out: list[Out], kind: type) -> list:
    return [event for _, event in out if isinstance(event, kind)]


def test_a_market_of_twelve_minutes_gives_every_kind_of_event() -> None:
    kinds = {type(event) for _, event in whole()}
    assert kinds == {BarsClosed, FeaturesComputed, Marked, SignalRaised, FeedChanged, DeadLetter}
    assert {signal.strategy for signal in only(whole(), SignalRaised)} == {*EAGER, "score_follower"}


def test_sequence_numbers_have_no_gap_in_any_topic() -> None:
    for events in by_topic(whole()).values():
        assert [event.seq for event in events] == list(range(len(events)))
        assert len({event.source for event in events}) == 1


def test_session_time_moves_one_mark_a_second() -> None:
    times = [mark.event_at for mark in only(whole(), Marked)]
    assert len(times) > 700
    assert {after - before for before, after in itertools.pairwise(times)} == {S}


def test_a_signal_carries_the_quotes_and_features_it_was_raised_on() -> None:
    features = {event.close_at: event for event in only(whole(), FeaturesComputed)}
    minute = [signal for signal in only(whole(), SignalRaised) if signal.interval_s == 60]
    assert minute
    for signal in minute:
        seen = features[signal.bar_close_at]
        row = seen.tokens.index(signal.token)
        values = np.frombuffer(seen.values, dtype="<f8").reshape(len(seen.tokens), len(seen.names))
        np.testing.assert_array_equal(list(signal.features.values()), values[row])
        assert set(signal.scores) == {"optimist-1", "river_logistic", "blend"}
        assert signal.bid_paise == signal.last_paise - TICK_PAISE
        assert signal.event_at == signal.bar_close_at + 1_500_000_000


def test_a_signal_says_which_scores_it_rests_on_and_an_old_model_is_told_before_the_first_of_them() -> None:
    followers = [signal for signal in only(whole(), SignalRaised) if signal.strategy == "score_follower"]
    assert {signal.rests_on for signal in followers} == {("blend",)}
    rules = [signal for signal in only(whole(), SignalRaised) if signal.strategy != "score_follower"]
    assert {signal.rests_on for signal in rules} == {()}
    told = [event for topic, event in played(TAPE, pipeline(stale="a year old")) if topic == SESSION.name]
    (verdict,) = [event for event in told if isinstance(event, ModelJudged)]
    assert (verdict.model, verdict.state, verdict.detail) == ("blend", "stale", "a year old")
    minute = [e for e in told if isinstance(e, SignalRaised) and e.strategy == "score_follower" and e.side]
    assert told.index(verdict) < told.index(minute[0])


def test_features_that_training_never_saw_are_told_on_the_session_and_a_restart_changes_no_word() -> None:
    """Every spread in training was beyond any of this market; two features shifted are enough to act."""
    far = FeatureReference(edges=(1e9,), shares=(0.0, 1.0), missing=0.0)
    watched = Watched("optimist-1", {"spread": far, "ret_1s": far}, FEATURE_NAMES)
    messages = tape(minutes=61)
    whole = played(messages, pipeline(watched=watched))
    found = only(whole, DriftFound)
    assert [(each.feature, each.detector, each.act) for each in found] == [
        ("spread", "psi", "reduce"),
        ("ret_1s", "psi", "reduce"),
    ]
    assert {each.scores for each in found} == {("optimist-1", "blend")}
    first, second = pipeline(watched=watched), pipeline(watched=watched)
    out = played(messages[: len(messages) // 2], first)
    second.restore(first.snapshot())
    assert second.snapshot() == first.snapshot()
    assert hashes(out + played(messages[len(messages) // 2 :], second)) == hashes(whole)


def test_one_minute_bars_are_made_of_their_one_second_bars() -> None:
    volume: dict[tuple[int, int], int] = defaultdict(int)
    for bars in only(whole(), BarsClosed):
        minute = -(-(bars.close_at - OPEN_AT) // (60 * S))
        for token, shares in zip(bars.tokens, bars.volume, strict=True):
            volume[token, minute] += shares if bars.interval_s == 1 else -shares
    complete = {key: left for key, left in volume.items() if key[1] <= 11}
    assert len(complete) == 11 * len(TOKENS)
    assert set(complete.values()) == {0}


def test_bad_input_is_kept_with_its_bytes_and_the_day_goes_on() -> None:
    letters = {letter.reason: letter for letter in only(whole(), DeadLetter)}
    assert set(letters) == {"undecodable", "unknown_token", "off_grid"}
    assert letters["undecodable"].payload == b"torn" * 10
    assert "multiple of 192" in letters["undecodable"].detail
    assert len(letters["off_grid"].payload) == RECORD_BYTES


def test_counts_tell_what_became_of_every_record() -> None:
    flow = pipeline()
    out = played(TAPE, flow)
    counts = flow.counts
    records = sum(len(message) // RECORD_BYTES for message in TAPE if len(message) % RECORD_BYTES == 0)
    assert counts["records"] == records
    assert counts["messages"] == len(TAPE)
    assert counts["dead_letters"] == sum(letter.count for letter in only(out, DeadLetter))
    assert counts["labels"] > 0
    assert sum(counts[f"signals_{name}"] for name in (*EAGER, "score_follower")) == len(
        only(out, SignalRaised)
    )


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_same_records_give_the_same_events_however_they_are_cut(data: st.DataObject) -> None:
    good = [message for message in TAPE if len(message) % RECORD_BYTES == 0]
    joined = b"".join(good)
    total = len(joined) // RECORD_BYTES
    cuts = sorted({0, total, *data.draw(st.lists(st.integers(0, total), max_size=40))})
    pieces = [joined[start * RECORD_BYTES : end * RECORD_BYTES] for start, end in itertools.pairwise(cuts)]
    assert hashes(played(pieces)) == hashes(played(good))


@settings(max_examples=10, deadline=None)
@given(stops=st.lists(st.integers(0, len(TAPE)), min_size=1, max_size=4))
def test_a_restored_snapshot_goes_on_as_if_nothing_had_happened(stops: list[int]) -> None:
    flow, out, begin = pipeline(), [], 0
    for stop in [*sorted(stops), len(TAPE)]:
        out += played(TAPE[begin:stop], flow)
        begin = stop
        blob = flow.snapshot()
        flow = pipeline()
        flow.restore(blob)
        assert flow.snapshot() == blob
    assert hashes(out) == hashes(whole())


def test_a_snapshot_of_other_strategies_is_refused() -> None:
    blob = pipeline().snapshot()
    with pytest.raises(SnapshotError, match="score_follower"):
        pipeline({"another": Broken()}).restore(blob)


class Broken:
    """A user's strategy with a bug that shows at the third close."""

    requires = ()
    interval_s = 1

    def __init__(self) -> None:
        self.calls = 0

    def on_close(self, view: MarketView) -> list[Wish]:
        self.calls += 1
        if self.calls == 3:
            raise ZeroDivisionError("average of nothing")
        return []

    def snapshot(self) -> bytes:
        return self.calls.to_bytes(4, "big")

    def restore(self, blob: bytes) -> None:
        self.calls = int.from_bytes(blob, "big")


def test_a_strategy_that_raises_is_off_for_the_day_and_the_others_trade_on() -> None:
    out = played(TAPE, pipeline({"broken": Broken()}))
    failures = [letter for letter in only(out, DeadLetter) if letter.reason == "strategy_failed"]
    assert [letter.detail for letter in failures] == [
        "strategy broken is off: ZeroDivisionError: average of nothing"
    ]
    assert hashes(out)["session"] == hashes(whole())["session"]


# --- through Bytewax --------------------------------------------------------------------------------------


def polls(messages: list[bytes], size: int) -> list[list[LogRecord]]:
    records = [LogRecord("ticks", 0, offset, 0, b"", value) for offset, value in enumerate(messages)]
    return [records[start : start + size] for start in range(0, len(records), size)]


def wired(source: TestingSource, folder: Path) -> Dataflow:
    sink = LogSink(partial(SqliteLog, folder / "log"))
    return market.market_flow(source, sink, pipeline, folder / market.COUNTS_FILE)


def written(folder: Path) -> dict[str, list[AnyEvent]]:
    """Everything in the log, by topic, in order, without the sink's time stamps."""
    log = SqliteLog(folder / "log")
    reader = log.reader({(topic.name, 0): 0 for topic in TOPICS})
    events: dict[str, list[AnyEvent]] = defaultdict(list)
    while records := reader.poll(500):
        for record in records:
            events[record.topic].append(decode(record.value))
    log.close()
    return events


@pytest.fixture
def home(tmp_path: Path) -> Path:
    log = SqliteLog(tmp_path / "log")
    log.create_topics(TOPICS)
    log.close()
    return tmp_path


def test_the_flow_writes_what_the_pipeline_emits(home: Path) -> None:
    run_main(wired(TestingSource(polls(TAPE, 100)), home))
    events = written(home)
    for topic in ("session", "bars", "features"):
        assert stream_hash(events[topic]) == hashes(whole())[topic]
    counts = json.loads((home / market.COUNTS_FILE).read_text())
    assert counts["counts"]["messages"] == len(TAPE)


@pytest.mark.parametrize("polls_before", [1, 23, 41])
def test_a_flow_that_dies_repeats_the_same_numbers_and_loses_nothing(polls_before: int, home: Path) -> None:
    # one death per source: a resumed TestingSource does not count an ABORT it skips
    init_db_dir(home, 1)
    recovery = RecoveryConfig(home, timedelta(0))
    items = polls(TAPE, 50)
    source = TestingSource([*items[:polls_before], TestingSource.ABORT(), *items[polls_before:]])
    for _ in range(2):
        run_main(wired(source, home), epoch_interval=timedelta(0), recovery_config=recovery)
    for topic, expected in by_topic(whole()).items():
        first: dict[int, AnyEvent] = {}
        for event in written(home)[topic]:
            assert without_offset(first.setdefault(event.seq, event)) == without_offset(event)
        assert list(first) == list(range(len(expected)))
        for event, due in zip(first.values(), expected, strict=True):
            assert without_offset(event) == without_offset(due)


def without_offset(event: AnyEvent) -> bytes:
    """What must be equal again: not the sink's time stamp, nor the offset the pipeline was told."""
    return canonical(replace(event, offset=-1) if isinstance(event, DeadLetter) else event)


def test_step_ids_are_part_of_the_recovery_state_and_do_not_change(tmp_path: Path) -> None:
    flow = wired(TestingSource([]), tmp_path)
    names = [step.step_id.removeprefix("market.") for step in flow.substeps]
    assert flow.flow_id == "market"
    assert names == ["ticks", "shard_key", "shard", "unkey", "log_key", "log"]
    assert market.SHARD == "S0"
