"""Recorded ticks computed again: bars, features, scores, marks and signals, to the last bit."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent))
from recorded_day import RecordedDay, a_recorded_day, make_home, messages, rewritten, write

from flows.market import make_pipeline
from flows.replay import ModelGoneError, market_of, verify_market
from flows.replay import Verdict as Finding
from flows.replay.market import InstrumentHashes, first_cell
from kitepilot import config as configuration
from kitepilot.config import Config
from kitepilot.events import (
    BarsClosed,
    DecisionParameters,
    FeaturesComputed,
    FeedChanged,
    SignalRaised,
    decode,
    encode,
)
from kitepilot.kernels.feature_docs import MARKET
from kitepilot.kernels.features import FEATURE_DOCS, FEATURE_NAMES
from kitepilot.market.pipeline import MarketPipeline, Out
from kitepilot.market.ticks import RECORD_BYTES, records
from kitepilot.topics import BARS, DEAD_LETTER, FEATURES, SESSION, TICKS


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> RecordedDay:
    return a_recorded_day(tmp_path_factory.mktemp("day"))


def found(day: RecordedDay) -> Finding:
    run = day.recorded()
    return verify_market(run, market_of(run, day.run.config, [day.home / "models"]))


def test_recorded_ticks_give_the_recorded_market_byte_for_byte(day: RecordedDay) -> None:
    finding = found(day)
    assert finding.equal, finding
    counted = {each.topic: each.messages for each in finding.streams}
    assert counted[BARS.name] == len(day.values(BARS.name))
    assert counted[FEATURES.name] == len(day.values(FEATURES.name)) >= 9
    assert counted[SESSION.name] > 600
    assert counted[DEAD_LETTER.name] == 3, "the bad input of the tape is refused again, at the same place"
    signals = [e for value in day.values(SESSION.name) if isinstance(e := decode(value), SignalRaised)]
    assert signals, "the day must raise signals to prove anything"
    assert set(finding.by_instrument) == {one.tradingsymbol for one in day.recorded().parameters.instruments}


@settings(max_examples=6, deadline=None)
@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_hashes_do_not_depend_on_how_the_ticks_were_cut_into_messages(
    day: RecordedDay, cuts: list[int]
) -> None:
    """Cut anywhere between records: another batch size, another pace of the feed."""
    whole = b"".join(value for value in day.values(TICKS.name) if len(value) % RECORD_BYTES == 0)
    terms = day.recorded().parameters

    def hashes(step: list[int]) -> dict[str, str]:
        pipeline, told = make_pipeline(day.run.config, terms, Path()), InstrumentHashes(terms.instruments)
        at, turn = 0, 0
        while at < len(whole):
            size = step[turn % len(step)] * RECORD_BYTES
            for _, event in pipeline.on_message(whole[at : at + size]):
                told.add(event)
            at, turn = at + size, turn + 1
        return told.hex()

    assert hashes(cuts) == hashes([5_000])


class Shards:
    """Several pipelines side by side, each with its own instruments; own records go to all of them."""

    def __init__(self, config: Config, terms: DecisionParameters, owners: list[int]) -> None:
        self._pipelines = [
            make_pipeline(config, replace(terms, instruments=mine), Path())
            for shard in sorted(set(owners))
            if (mine := tuple(one for one, at in zip(terms.instruments, owners, strict=True) if at == shard))
        ]
        self._tokens = [
            [0, *(one.token for one, at in zip(terms.instruments, owners, strict=True) if at == shard)]
            for shard in sorted(set(owners))
        ]

    def on_message(self, value: bytes, offset: int = -1) -> list[Out]:
        batch = records(value)
        out: list[Out] = []
        for pipeline, tokens in zip(self._pipelines, self._tokens, strict=True):
            mine = batch[np.isin(batch["packet"]["token"], tokens)]
            out += pipeline.on_message(mine.tobytes(), offset)
        return out


@settings(max_examples=6, deadline=None)
@given(owners=st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_an_instruments_bars_and_marks_do_not_depend_on_who_else_is_in_its_shard(
    day: RecordedDay, owners: list[int]
) -> None:
    """Features too, but for the one that compares with the shard's mean; models learn from the shard."""
    terms = day.recorded().parameters
    alone = {"models.online": "", "strategies.enabled": [], "strategies.parameters": {}}
    config = configuration.override(day.run.config, **alone)
    ticks = [value for value in day.values(TICKS.name) if len(value) % RECORD_BYTES == 0]

    def hashes(pipeline: Shards | MarketPipeline) -> dict[str, str]:
        told = InstrumentHashes(terms.instruments)
        for value in ticks:
            for _, event in pipeline.on_message(value):
                told.add(_own_features(event))
        return told.hex()

    assert hashes(Shards(config, terms, owners)) == hashes(make_pipeline(config, terms, Path()))


def _own_features(event):  # type: ignore[no-untyped-def]
    if not isinstance(event, FeaturesComputed):
        return event
    values = np.frombuffer(event.values, dtype="<f8").reshape(len(event.tokens), -1).copy()
    values[:, [doc.family == MARKET for doc in FEATURE_DOCS]] = 0.0  # they depend on the shard's list
    return replace(event, values=values.tobytes())


def test_the_instrument_the_bar_and_the_column_that_differ_are_named(
    day: RecordedDay, tmp_path: Path
) -> None:
    bars = decode(day.values(BARS.name)[200])
    assert isinstance(bars, BarsClosed)
    changed = replace(bars, high_paise=[*bars.high_paise[:-1], bars.high_paise[-1] + 5])
    other = rewritten(
        day, tmp_path, lambda topic, at, value: [encode(changed) if (topic, at) == ("bars", 200) else value]
    )
    finding = found(other)
    assert finding.status == "differs" and finding.difference is not None
    instruments = day.recorded().parameters.instruments
    cell = first_cell(finding.difference, instruments)
    assert cell is not None
    names = {one.token: one.tradingsymbol for one in instruments}
    assert (cell.instrument, cell.bar_close_at) == (names[bars.tokens[-1]], bars.close_at)
    assert cell.column == f"{bars.interval_s} s bar high_paise"
    assert (cell.recorded, cell.replayed) == (bars.high_paise[-1] + 5, bars.high_paise[-1])


def test_one_bit_of_one_feature_is_a_difference(day: RecordedDay, tmp_path: Path) -> None:
    computed = decode(day.values(FEATURES.name)[6])
    assert isinstance(computed, FeaturesComputed)
    values = np.frombuffer(computed.values, dtype="<f8").copy()
    where = int(np.flatnonzero(np.isfinite(values))[-1])
    values[where] = np.nextafter(values[where], np.inf)
    changed = encode(replace(computed, values=values.tobytes()))
    other = rewritten(
        day, tmp_path, lambda topic, at, value: [changed if (topic, at) == ("features", 6) else value]
    )
    finding = found(other)
    assert finding.difference is not None
    cell = first_cell(finding.difference, day.recorded().parameters.instruments)
    assert cell is not None
    assert cell.column == FEATURE_NAMES[where % len(FEATURE_NAMES)]
    assert cell.recorded == values[where] != cell.replayed


def test_a_tick_that_was_lost_shows_in_what_was_computed_from_it(day: RecordedDay, tmp_path: Path) -> None:
    ticks = day.values(TICKS.name)
    lost = max(range(400, 500), key=lambda at: len(ticks[at]))
    other = rewritten(
        day, tmp_path, lambda topic, at, value: [] if (topic, at) == (TICKS.name, lost) else [value]
    )
    assert found(other).status == "differs"


def test_backfilled_bars_are_another_producers_and_are_not_recomputed(
    day: RecordedDay, tmp_path: Path
) -> None:
    bars = decode(day.values(BARS.name)[50])
    assert isinstance(bars, BarsClosed)
    fetched = encode(replace(bars, source="ingest.backfill", seq=0, backfilled=True))
    other = rewritten(
        day,
        tmp_path,
        lambda topic, at, value: [value, fetched] if (topic, at) == (BARS.name, 50) else [value],
    )
    assert found(other).equal


def test_a_market_stopped_after_the_days_end_is_whole_and_before_it_is_cut_short(
    day: RecordedDay, tmp_path: Path
) -> None:
    last = len(day.values(SESSION.name))
    more = [*day.values(TICKS.name), *messages(11)[-60:]]
    other = make_home(tmp_path / "after")
    write(other.log, {topic: day.values(topic) for topic in (BARS.name, FEATURES.name, SESSION.name)})
    write(other.log, {TICKS.name: more, DEAD_LETTER.name: day.values(DEAD_LETTER.name)})
    finding = found(other)
    assert finding.equal and finding.notes
    early = rewritten(
        day,
        tmp_path / "before",
        lambda topic, at, value: (
            [] if (topic == BARS.name and at > 300) or (topic == SESSION.name and at == last) else [value]
        ),
    )
    assert found(early).status == "cut_short"


def test_the_feeds_word_in_the_tick_partition_is_part_of_what_is_compared(day: RecordedDay) -> None:
    assert any(isinstance(decode(value), FeedChanged) for value in day.values(SESSION.name))


def test_a_model_that_is_gone_is_said_so_and_nothing_is_computed(day: RecordedDay, tmp_path: Path) -> None:
    config = configuration.override(day.run.config, **{"models.offline": "lightgbm"})
    with pytest.raises(ModelGoneError, match="scored by lightgbm-885aa7d0, and that artifact is gone"):
        market_of(day.recorded(), config, [tmp_path], "lightgbm-885aa7d0")
