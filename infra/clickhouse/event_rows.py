"""Events -> rows of their tables. What a message becomes is decided here and nowhere else.

Scalar tables take one row per message, with the columns of the event's own fields. Columnar events (bars,
features, marks) take one row per instrument. `rows_of` refuses what a table cannot hold, so that building
the columns later cannot fail.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from kitepilot import events as e

_INT64 = 1 << 63
_NS = pa.timestamp("ns")
_TEXT, _WHOLE, _REAL, _YES = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_MAP = pa.map_(pa.string(), pa.float64())

#: Columns at the end of every table of events.
ENVELOPE = {"source": _TEXT, "seq": _WHOLE, "event_at": _NS, "emitted_at": _NS}

Rows = tuple[Any, ...] | dict[str, Any]  # one row of a scalar table | equal-length columns


class UnstorableError(ValueError):
    """A decoded message whose content no table can hold; carries the reason for the dead letter."""


@dataclass(frozen=True)
class Shape:
    """A table's columns but for the run's and the log's own, and whether its rows are scalar."""

    table: str
    columns: dict[str, pa.DataType]
    scalar: bool = True


def _kind(name: str, hint: Any) -> pa.DataType:
    if hint == dict[str, float]:
        return _MAP
    if hint == tuple[str, ...]:
        return pa.list_(_TEXT)
    if hint in (bool, float):
        return _YES if hint is bool else _REAL
    if hint is int:
        return _NS if name.endswith("_at") else _WHOLE
    return _TEXT


def _own_fields(event: type[e.Event], *left_out: str) -> dict[str, pa.DataType]:
    hints = typing.get_type_hints(event)
    names = [f.name for f in msgspec.structs.fields(event) if f.name not in ENVELOPE]
    return {n: _kind(n, hints[n]) for n in names if n not in ("run_id", *left_out)}


_CHECKS = {
    "check_code": pa.list_(_TEXT),
    "check_passed": pa.list_(_YES),
    "check_observed": pa.list_(_REAL),
    "check_limit": pa.list_(_REAL),
}
_BAR = {"interval_s": _WHOLE, "close_at": _NS, "token": _WHOLE}
_PAISE = ("open_paise", "high_paise", "low_paise", "close_paise")
_ROW = {"row": pa.uint32()}

SHAPES = {
    shape.table: shape
    for shape in (
        Shape("signals", _own_fields(e.SignalRaised) | ENVELOPE),
        Shape("order_updates", _own_fields(e.OrderUpdated) | ENVELOPE),
        Shape("fills", _own_fields(e.Filled) | ENVELOPE),
        Shape("foreign_fills", _own_fields(e.ForeignFilled) | ENVELOPE),
        Shape("verdicts", _own_fields(e.Verdict, "checks") | _CHECKS | ENVELOPE),
        Shape("account", _own_fields(e.AccountMarked) | ENVELOPE),
        Shape("intents", _own_fields(e.ApprovedIntent) | ENVELOPE),
        Shape("orders", _own_fields(e.OrderJournaled) | ENVELOPE),
        Shape("events", {"kind": _TEXT, "subject": _TEXT, "detail": _TEXT} | ENVELOPE),
        Shape(
            "dead_letters",
            {
                "reason": _TEXT,
                "origin_topic": _TEXT,
                "origin_partition": _WHOLE,
                "origin_offset": _WHOLE,
                "count": _WHOLE,
                "detail": _TEXT,
                "payload": pa.binary(),
            }
            | ENVELOPE,
        ),
        Shape(
            "bars",
            _BAR
            | dict.fromkeys((*_PAISE, "volume", "tick_count"), _WHOLE)
            | {"backfilled": _YES}
            | ENVELOPE
            | _ROW,
            scalar=False,
        ),
        Shape(
            "features",
            _BAR | {"names": pa.list_(_TEXT), "values": pa.list_(_REAL)} | ENVELOPE | _ROW,
            scalar=False,
        ),
        Shape(
            "scores", _BAR | {"model": _TEXT, "score": _REAL, "weight": _REAL} | ENVELOPE | _ROW, scalar=False
        ),
        Shape(
            "marks",
            dict.fromkeys(("token", "last_paise", "bid_paise", "ask_paise"), _WHOLE)
            | {"quoted_at": _NS, "received_at": _NS}
            | ENVELOPE
            | _ROW,
            scalar=False,
        ),
    )
}


def rows_of(event: e.AnyEvent) -> list[tuple[str, Rows]]:
    """(table, rows) of one message; empty when it has nothing to store (a second without quotes).

    Raises:
        UnstorableError: columns of unequal length, or a number outside 64 bits.
    """
    try:
        return [(table, rows) for table, rows in _MAKERS[type(event)](event) if not _is_empty(rows)]
    except (ValueError, OverflowError) as err:
        raise UnstorableError(str(err)) from err


def _is_empty(rows: Rows) -> bool:
    return isinstance(rows, dict) and len(rows["row"]) == 0


def _envelope(event: e.Event) -> tuple[Any, ...]:
    return event.source, event.seq, event.event_at, event.emitted_at


def _checked(row: tuple[Any, ...]) -> tuple[Any, ...]:
    for value in row:
        if isinstance(value, int) and not -_INT64 <= value < _INT64:
            raise UnstorableError(f"{value} does not fit 64 bits")
    return row


def _fields_of(table: str) -> Callable[[Any], list[tuple[str, Rows]]]:
    names = [n for n in SHAPES[table].columns if n not in ENVELOPE and n not in _CHECKS]

    def make(event: Any) -> list[tuple[str, Rows]]:
        values = [_plain(getattr(event, name)) for name in names]
        return [(table, _checked((*values, *_envelope(event))))]

    return make


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, StrEnum):
        return value.value
    return list(value.items()) if isinstance(value, dict) else value


def _verdict(event: e.Verdict) -> list[tuple[str, Rows]]:
    checks = (
        [check.code for check in event.checks],
        [check.passed for check in event.checks],
        [float(check.observed) for check in event.checks],
        [float(check.limit) for check in event.checks],
    )
    [(table, row)] = _verdict_fields(event)
    own = len(row) - len(ENVELOPE)
    assert isinstance(row, tuple)
    return [(table, (*row[:own], *checks, *row[own:]))]


_verdict_fields = _fields_of("verdicts")


def _rare(subject: Callable[[Any], str]) -> Callable[[Any], list[tuple[str, Rows]]]:
    def make(event: Any) -> list[tuple[str, Rows]]:
        kind = str(msgspec.inspect.type_info(type(event)).tag)  # type: ignore[attr-defined]
        detail = msgspec.json.encode(event).decode()
        return [("events", _checked((kind, subject(event), detail, *_envelope(event))))]

    return make


def _dead_letter(event: e.DeadLetter) -> list[tuple[str, Rows]]:
    where = (event.topic, event.partition, event.offset)
    row = (event.reason, *where, event.count, event.detail, event.payload, *_envelope(event))
    return [("dead_letters", _checked(row))]


@dataclass
class _Grid:
    """Columns of one columnar event, all of `length`; repeated values are filled in."""

    event: e.Event
    length: int
    columns: dict[str, Any] = field(default_factory=dict)

    def put(self, name: str, values: Any, dtype: str = "<i8") -> None:
        column = np.asarray(values, dtype=dtype)
        if column.shape != (self.length,):
            raise UnstorableError(f"column {name} has {column.size} values, {self.length} expected")
        self.columns[name] = column

    def fill(self, name: str, value: int) -> None:
        self.columns[name] = np.full(self.length, value, dtype="<i8")

    def done(self) -> dict[str, Any]:
        for name in ("seq", "event_at", "emitted_at"):
            self.fill(name, getattr(self.event, name))
        self.columns["source"] = [self.event.source] * self.length
        self.columns["row"] = np.arange(self.length, dtype="<u4")
        return self.columns


def _marks(event: e.Marked) -> list[tuple[str, Rows]]:
    grid = _Grid(event, len(event.tokens))
    grid.put("token", event.tokens)
    for name in ("last_paise", "bid_paise", "ask_paise", "quoted_at"):
        grid.put(name, getattr(event, name))
    grid.fill("received_at", event.received_at)
    return [("marks", grid.done())]


def _bar_grid(event: e.BarsClosed | e.FeaturesComputed) -> _Grid:
    grid = _Grid(event, len(event.tokens))
    grid.fill("interval_s", event.interval_s)
    grid.fill("close_at", event.close_at)
    grid.put("token", event.tokens)
    return grid


def _bars(event: e.BarsClosed) -> list[tuple[str, Rows]]:
    grid = _bar_grid(event)
    for name in (*_PAISE, "volume", "tick_count"):
        grid.put(name, getattr(event, name))
    grid.columns["backfilled"] = np.full(grid.length, event.backfilled)
    return [("bars", grid.done())]


def _features(event: e.FeaturesComputed) -> list[tuple[str, Rows]]:
    grid = _bar_grid(event)
    expected = grid.length * len(event.names) * 8
    if len(event.values) != expected:
        raise UnstorableError(f"values has {len(event.values)} bytes, {expected} expected")
    grid.columns["values"] = np.frombuffer(event.values, dtype="<f8")
    grid.columns["names"] = (event.names, grid.length)
    made: list[tuple[str, Rows]] = [("features", grid.done())]
    for model, scores in event.scores.items():
        scored = _bar_grid(event)
        scored.put("score", scores, "<f8")
        scored.put("weight", [event.weights.get(model, 0.0)] * scored.length, "<f8")
        scored.columns["model"] = [model] * scored.length
        made.append(("scores", scored.done()))
    return made


_MAKERS: dict[type[e.Event], Callable[[Any], list[tuple[str, Rows]]]] = {
    e.RunStarted: _rare(lambda event: event.run_id),
    e.Commanded: _rare(lambda event: event.command),
    e.FeedChanged: _rare(lambda event: event.state),
    e.StateChanged: _rare(lambda event: event.state.value),
    e.ForeignOrderUpdated: _rare(lambda event: event.status.value),
    e.Alarmed: _rare(lambda event: event.kind),
    e.Reconciled: _rare(lambda event: event.verdict),
    e.ProfileActivated: _rare(lambda event: f"version {event.profile.version}"),
    e.FundsMarked: _rare(lambda event: str(event.available_paise)),
    e.BandsMarked: _rare(lambda event: str(len(event.tokens))),
    e.ClockMeasured: _rare(lambda event: str(event.skew_ms)),
    e.ModelActivated: _rare(lambda event: event.model),
    e.StrategySwitched: _rare(lambda event: event.strategy),
    e.ModelJudged: _rare(lambda event: event.model),
    e.DriftFound: _rare(lambda event: event.feature or event.model),
    e.PostbackReceived: _rare(lambda event: event.status),
    e.ForeignFilled: _fields_of("foreign_fills"),
    e.SignalRaised: _fields_of("signals"),
    e.OrderUpdated: _fields_of("order_updates"),
    e.Filled: _fields_of("fills"),
    e.Verdict: _verdict,
    e.AccountMarked: _fields_of("account"),
    e.ApprovedIntent: _fields_of("intents"),
    e.OrderJournaled: _fields_of("orders"),
    e.DeadLetter: _dead_letter,
    e.Marked: _marks,
    e.BarsClosed: _bars,
    e.FeaturesComputed: _features,
}
