"""The market flow over recorded ticks: bars, features, scores, marks and signals, compared and hashed.

    ticks -> MarketPipeline -> compared with bars, features, session, dead letters; a hash per instrument

Backfilled bars come from another producer: they were fetched, not computed, and are left alone.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from msgspec.structs import replace

from flows.market import make_pipeline, with_models
from flows.replay.comparison import Comparison, Difference
from flows.replay.recorded import Progress, RecordedRun, UnreadableRunError
from flows.replay.verdict import Verdict, compared, notes_on, status_of
from flows.run_models import no_models, planned
from kitepilot import events as e
from kitepilot.config import REGISTRY, Config
from kitepilot.market.pipeline import MarketPipeline, Out
from kitepilot.models.loading import card_name, read_card
from kitepilot.models.plan import ModelPlan, kind_of
from kitepilot.models.port import ModelError
from kitepilot.risk.admission import admit
from kitepilot.topics import BARS, DEAD_LETTER, FEATURES, SESSION, TICKS

SOURCE = "market-0"
#: topic -> what the market flow calls itself there.
PRODUCERS = {
    SESSION.name: SOURCE,
    BARS.name: f"{SOURCE}.bars",
    FEATURES.name: f"{SOURCE}.features",
    DEAD_LETTER.name: f"{SOURCE}.dead",
}


BAR_FIELDS = ("open_paise", "high_paise", "low_paise", "close_paise", "volume", "tick_count")
MARK_FIELDS = ("last_paise", "bid_paise", "ask_paise", "quoted_at")


class ModelGoneError(UnreadableRunError):
    """The day was scored by a model that is not here any more."""


class Computes(Protocol):
    """Ticks messages -> events: a `MarketPipeline`, or several of them side by side."""

    def on_message(self, value: bytes, offset: int = -1) -> list[Out]: ...


def verify_market(run: RecordedRun, pipeline: Computes, progress: Progress = lambda records: None) -> Verdict:
    """Compute the day again from its ticks and compare every message of the market flow with the record."""
    comparisons = {
        # on `session` what the decisions refuse is nobody's word, whatever name it carries
        topic: Comparison(topic, source, run.records(topic), admit if topic == SESSION.name else e.decode)
        for topic, source in PRODUCERS.items()
    }
    hashes = InstrumentHashes(run.parameters.instruments)
    difference = None
    for record in run.records(TICKS.name, progress):
        for topic, event in pipeline.on_message(record.value, record.offset):
            comparisons[topic].take(event)
            hashes.add(event)
            difference = difference or comparisons[topic].difference
        if difference:
            break
    else:
        for comparison in comparisons.values():
            comparison.finish()
        difference = next((c.difference for c in comparisons.values() if c.difference), None)
    return Verdict(
        part="market",
        status=status_of(run, comparisons, difference),
        streams=tuple(compared(each) for each in comparisons.values()),
        difference=difference,
        unreadable=sum(each.unreadable for each in comparisons.values()),
        notes=tuple(notes_on(run, comparisons)),
        by_instrument=hashes.hex(),
    )


class InstrumentHashes:
    """SHA-256 of what was computed for each instrument, whoever computed it and however it was cut.

    Bars (interval, close, OHLC, volume, ticks), marks (close, last, bid, ask, quote time), features with
    scores (bits of float64), signals (canonical, without their number).
    """

    def __init__(self, instruments: Iterable[e.InstrumentTerms]) -> None:
        self._names = {one.token: one.tradingsymbol for one in instruments}
        self._hashes: dict[int, Any] = defaultdict(hashlib.sha256)

    def add(self, event: e.AnyEvent) -> None:
        if isinstance(event, e.SignalRaised):
            raw = e.canonical(replace(event, seq=0))
            self._hashes[event.token].update(raw)
            return
        for token, row in zip(*_rows(event), strict=True):
            self._hashes[token].update(row)

    def hex(self) -> dict[str, str]:
        return {self._names.get(token, str(token)): sha.hexdigest() for token, sha in self._hashes.items()}


def _rows(event: e.AnyEvent) -> tuple[Sequence[int], Iterable[bytes]]:
    """Tokens, and for each the bytes of its row."""
    if isinstance(event, e.BarsClosed):
        whole = np.array([getattr(event, field) for field in BAR_FIELDS], dtype="<i8")
        return event.tokens, _bytes(whole, b"b%d/%d" % (event.interval_s, event.close_at))
    if isinstance(event, e.Marked):
        quotes = np.array([getattr(event, field) for field in MARK_FIELDS], dtype="<i8")
        return event.tokens, _bytes(quotes, b"m%d" % event.event_at)
    if isinstance(event, e.FeaturesComputed):
        values = np.frombuffer(event.values, dtype="<f8").reshape(len(event.tokens), -1).T
        scores = np.array(list(event.scores.values()), dtype="<f8").reshape(-1, len(event.tokens))
        return event.tokens, _bytes(np.vstack((values, scores)), b"f%d" % event.close_at)
    return (), ()


def _bytes(columns: Any, head: bytes) -> Iterator[bytes]:
    for row in np.ascontiguousarray(columns.T):
        yield head + row.tobytes()


@dataclass(frozen=True)
class Cell:
    """One value that differs. `column` is a bar's field, a feature's name or a model's score."""

    instrument: str
    bar_close_at: int  # session time, ns
    column: str
    recorded: Any
    replayed: Any


def first_cell(difference: Difference, instruments: Iterable[e.InstrumentTerms]) -> Cell | None:
    """The first value in a columnar message that differs; None when the two are no rows of one bar."""
    one, other = difference.recorded.event if difference.recorded else None, difference.replayed
    if one is None or other is None or type(one) is not type(other):
        return None
    names = {each.token: each.tradingsymbol for each in instruments}
    try:
        theirs, ours = _table(one), _table(other)
    except ValueError:  # columns of unequal length
        return None
    for key in dict.fromkeys((*theirs, *ours)):
        if repr(theirs.get(key)) != repr(ours.get(key)):  # repr: a NaN equals itself, 0.0 is not -0.0
            token, column = key
            return Cell(names.get(token, str(token)), _close_at(one), column, theirs.get(key), ours.get(key))
    return None


def _close_at(event: e.AnyEvent) -> int:
    if isinstance(event, e.BarsClosed | e.FeaturesComputed):
        return event.close_at
    return event.bar_close_at if isinstance(event, e.SignalRaised) else event.event_at


def _table(event: e.AnyEvent) -> dict[tuple[int, str], Any]:
    """(token, column) -> value of a columnar message."""
    columns: dict[str, Sequence[Any]] = {}
    tokens: Sequence[int] = []
    if isinstance(event, e.BarsClosed):
        tokens, label = event.tokens, f"{event.interval_s} s bar "
        columns = {label + field: getattr(event, field) for field in BAR_FIELDS}
    elif isinstance(event, e.Marked):
        tokens = event.tokens
        columns = {field: getattr(event, field) for field in MARK_FIELDS}
    elif isinstance(event, e.FeaturesComputed):
        tokens = event.tokens
        values = np.frombuffer(event.values, dtype="<f8").reshape(len(tokens), -1)
        columns = {name: values[:, at].tolist() for at, name in enumerate(event.names)}
        columns |= {f"score of {model}": scores for model, scores in event.scores.items()}
    elif isinstance(event, e.SignalRaised):
        return {(event.token, name): value for name, value in _fields_of(event)}
    return {
        (token, column): value
        for column, values in columns.items()
        for token, value in zip(tokens, values, strict=True)
    }


def _fields_of(signal: e.SignalRaised) -> Iterator[tuple[str, Any]]:
    """A signal's fields, its features and scores one by one."""
    for name in signal.__struct_fields__:
        value = getattr(signal, name)
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", each) for key, each in value.items())
        elif name != "emitted_at":
            yield name, value


def market_of(
    run: RecordedRun,
    config: Config,
    model_folders: Sequence[Path],
    model_id: str = "",
    plan: ModelPlan | None = None,
) -> MarketPipeline:
    """The pipeline that the run had: its instruments, strategies and models.

    `plan` is the run's own choice of models. A run of an earlier KitePilot has none: there `model_id` is what
    the archive noted, and without it the record's first features name it. Artifacts are looked for in
    `model_folders`, and in a folder of its own name in each.

    Raises:
        ModelGoneError: none of the folders has that model. PluginError: a strategy is gone or changed.
    """
    if not config.models.offline:
        return with_models(config, run.parameters, no_models(), model_folders)
    wanted = model_id or _scored_by(run, config.models.offline)
    if plan is None and wanted:
        plan = ModelPlan(live=wanted)
    if plan is None:
        folder = _folder_of("", config.models.offline, model_folders)
        return make_pipeline(config, run.parameters, folder, model_folders)
    held = planned(config, plan, lambda each: _folder_of(each, kind_of(each), model_folders))
    return with_models(config, run.parameters, held, model_folders)


def _scored_by(run: RecordedRun, kind: str) -> str:
    """The offline model's id as the record's first scores name it; "" when nothing was scored."""
    for record in run.records(FEATURES.name):
        try:
            event = e.decode(record.value)
        except e.UndecodableError:
            continue
        if isinstance(event, e.FeaturesComputed) and event.source == PRODUCERS[FEATURES.name]:
            beginning = "" if kind == REGISTRY else f"{kind}-"
            return next((model for model in event.scores if model.startswith(beginning) and "-" in model), "")
    return ""


def _folder_of(model_id: str, kind: str, folders: Sequence[Path]) -> Path:
    found: list[str] = []
    for folder in (each for parent in folders for each in (parent / model_id, parent)):
        path = folder / card_name(kind)
        if not path.exists():
            continue
        try:
            card = read_card(path.read_bytes(), str(path))
        except ModelError:
            continue
        if not model_id or card.model_id == model_id:
            return folder
        found.append(card.model_id)
    here = f"here is {', '.join(dict.fromkeys(found))}" if found else "there is none here"
    raise ModelGoneError(
        f"the day was scored by {model_id or kind}, and that artifact is gone ({here}): bars and features "
        "cannot be compared with their scores; `--only decisions` still verifies the decisions"
    )
