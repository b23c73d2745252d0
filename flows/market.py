"""The market flow: ticks -> bars, features, scores, marks and signals. One process per shard.

    ticks --LogSource--> one item per poll -> key "S0" -> MarketPipeline -> LogSink -> session, bars, ...

Everything that decides is in `kitepilot.market.pipeline`; this module reads files at the start, hands
messages over, and writes what became of the records to `<run folder>/market_counts.json`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Dataflow
from bytewax.inputs import Source
from bytewax.operators import StatefulBatchLogic

from flows.connectors import LogSink, LogSource, to_sink
from flows.connectors.sink import Out
from flows.online_state import keep_online, read_online
from flows.run import run_flow
from flows.run_models import RunModels, models_of
from kitepilot.config import Config
from kitepilot.events import DecisionParameters
from kitepilot.kernels.compile import compile_all
from kitepilot.kernels.shard import FEATURE_NAMES, ShardSpec
from kitepilot.market.pipeline import MarketPipeline
from kitepilot.models.online_features import ONLINE_COLUMNS
from kitepilot.models.score_stream import Settings
from kitepilot.ports import EventLog, LogRecord
from kitepilot.run import Run
from kitepilot.strategies.plugins import make_strategies, make_strategy
from kitepilot.topics import TICKS

NAME = "market"
SHARD = "S0"
COUNTS_EVERY_S = 10.0
COUNTS_FILE = "market_counts.json"
MS = 1_000_000

Messages = list[LogRecord]


def shard_spec(parameters: DecisionParameters, grace_ms: int) -> ShardSpec:
    """The run's instruments as the kernel wants them."""
    terms = parameters.instruments
    return ShardSpec(
        tokens=np.array([one.token for one in terms], dtype=np.int64),
        tick_size_paise=np.array([one.tick_size_paise for one in terms], dtype=np.int64),
        open_at=np.full(len(terms), parameters.open_at, dtype=np.int64),
        close_at=np.array([one.continuous_close_at for one in terms], dtype=np.int64),
        grace_ns=grace_ms * MS,
    )


def build_pipeline(run: Run) -> MarketPipeline:
    """Everything the run's configuration names, loaded and checked; knows no tick yet.

    Raises:
        PluginError, ModelError: a strategy or model cannot be used; says which, why and what to do.
    """
    return make_pipeline(run.config, run.parameters(), run.scoring_folder, (run.models_folder,))


def make_pipeline(
    config: Config, parameters: DecisionParameters, models_folder: Path, carried_in: Sequence[Path] = ()
) -> MarketPipeline:
    """The pipeline of any run whose models lie in `models_folder`. Raises as `build_pipeline`.

    What the online model begins with is looked for in `models_folder`, then in `carried_in`.
    """
    return with_models(config, parameters, models_of(config, models_folder), (models_folder, *carried_in))


def with_models(
    config: Config, parameters: DecisionParameters, held: RunModels, carried_in: Sequence[Path]
) -> MarketPipeline:
    """The pipeline of any run, today's or a recorded one's. Raises `PluginError`."""
    strategies = config.strategies
    models = config.models
    return MarketPipeline(
        shard_spec(parameters, config.kernel.grace_ms),
        [one.tradingsymbol for one in parameters.instruments],
        make_strategies(strategies.enabled, strategies.parameters, FEATURE_NAMES, strategies.sources),
        held.panel,
        read_online(config, carried_in) if models.online else None,
        remake=lambda name, text: make_strategy(
            name, strategies.parameters.get(name, {}), FEATURE_NAMES, text
        ),
        scoring=Settings(
            offline_weight=models.offline_weight,
            half_life_closes=models.half_life_min,
            on_drift=models.on_drift,
            on_feature_drift=models.on_feature_drift,
            watched=held.watched,
            online_columns=ONLINE_COLUMNS,
        ),
    )


class CountsFile:
    """Publishes the pipeline's counts: every ten seconds of the machine's clock, and at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next_at = 0.0

    def offer(self, pipeline: MarketPipeline) -> None:
        if time.monotonic() >= self._next_at:
            self.write(pipeline)

    def write(self, pipeline: MarketPipeline) -> None:
        self._next_at = time.monotonic() + COUNTS_EVERY_S
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps({"event_at": pipeline.at, "counts": pipeline.counts}, indent=2))
        draft.replace(self._path)


class ShardLogic(StatefulBatchLogic[Messages, Out, bytes]):
    """Bytewax's hands around a `MarketPipeline`: state is its snapshot, one blob."""

    def __init__(self, pipeline: MarketPipeline, counts: CountsFile) -> None:
        self._pipeline = pipeline
        self._counts = counts

    def on_batch(self, values: list[Messages]) -> tuple[list[Out], bool]:
        out: list[Out] = []
        for messages in values:
            for message in messages:
                out += self._pipeline.on_message(message.value, message.offset)
        self._counts.offer(self._pipeline)
        return out, StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[list[Out], bool]:
        # the process drains; the session may go on after a restart, so nothing is closed here
        self._counts.write(self._pipeline)
        return [], StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        return self._pipeline.snapshot()


def market_flow(
    source: Source[Messages],
    sink: LogSink,
    make_pipeline: Callable[[], MarketPipeline],
    counts_path: Path,
) -> Dataflow:
    """Wire the flow. Step ids are part of the recovery state: renaming one forgets the day."""

    def build(resume: bytes | None) -> ShardLogic:
        pipeline = make_pipeline()
        if resume is not None:
            pipeline.restore(resume)
        return ShardLogic(pipeline, CountsFile(counts_path))

    flow = Dataflow(NAME)
    polled = op.input("ticks", flow, source)
    keyed = op.flat_map_batch("shard_key", polled, _keyed)
    events = op.stateful_batch("shard", keyed, build)
    to_sink("log", op.flat_map_batch("unkey", events, _unkeyed), sink)
    return flow


def _keyed(polls: list[Messages]) -> list[tuple[str, Messages]]:
    return [(SHARD, messages) for messages in polls]


def _unkeyed(items: list[tuple[str, Out]]) -> list[Out]:
    return [item for _, item in items]


def main(run: Run) -> int:
    """The `market` process of a run."""
    from infra.eventlog import open_log
    from infra.read_positions import Positions

    compile_all()
    pipeline = build_pipeline(run)  # here, so that a bad configuration fails before the first tick
    opener: Callable[[], EventLog] = partial(open_log, run)
    start = {(TICKS.name, 0): run.start_offsets()[TICKS.name]}
    source = LogSource(opener, start, note=Positions(run, NAME).note)
    flow = market_flow(source, LogSink(opener), lambda: pipeline, run.folder / COUNTS_FILE)
    ended = run_flow(flow, run, NAME)
    if pipeline.counts["labels"]:
        keep_online(run, pipeline.online_state)
    return ended
