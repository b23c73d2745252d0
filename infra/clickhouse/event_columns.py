"""Rows of many messages -> Arrow columns of one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from infra.clickhouse.event_rows import SHAPES, Rows, Shape

Columns = dict[str, pa.Array]


def event_columns(table: str, offsets: Sequence[int], rows: Sequence[Rows]) -> Columns:
    """Columns of `table` but for the run's own; `offsets[i]` is the log offset of `rows[i]`'s message."""
    shape = SHAPES[table]
    if shape.scalar:
        columns = _scalar(shape, rows)
        counts = np.ones(len(rows), dtype=np.int64)
    else:
        columns = {name: _joined(name, kind, rows) for name, kind in shape.columns.items()}
        counts = np.array([len(part["row"]) for part in rows], dtype=np.int64)  # type: ignore[call-overload]
    columns["log_offset"] = pa.array(np.repeat(np.array(offsets, dtype=np.uint64), counts))
    return columns


def _scalar(shape: Shape, rows: Sequence[Rows]) -> Columns:
    by_column = zip(*rows, strict=True)
    return {
        name: pa.array(values, kind)
        for (name, kind), values in zip(shape.columns.items(), by_column, strict=True)
    }


def _joined(name: str, kind: pa.DataType, parts: Sequence[Any]) -> pa.Array:
    if name == "names":
        return _names([part["names"] for part in parts])
    if name == "values":
        return _values(parts)
    if kind == pa.string():
        return pa.array([value for part in parts for value in part[name]], kind)
    joined = np.concatenate([part[name] for part in parts])
    if pa.types.is_timestamp(kind):
        joined = joined.view("M8[ns]")
    return pa.array(joined)


def _values(parts: Sequence[Any]) -> pa.Array:
    """One list of features per row; the width is the message's number of names."""
    widths = np.concatenate(
        [np.full(len(part["row"]), len(part["names"][0]), dtype=np.int32) for part in parts]
    )
    starts = np.concatenate(([0], np.cumsum(widths))).astype(np.int32)
    values = np.concatenate([part["values"] for part in parts])
    return pa.ListArray.from_arrays(pa.array(starts), pa.array(values))


def _names(parts: Sequence[tuple[list[str], int]]) -> pa.Array:
    """The names of each row, as indices into the distinct ones: they hardly ever change."""
    known: dict[str, int] = {}
    indices, widths = [], []
    for names, length in parts:
        numbered = [known.setdefault(name, len(known)) for name in names]
        indices.append(np.tile(np.array(numbered, dtype=np.int32), length))
        widths.append(np.full(length, len(names), dtype=np.int32))
    starts = np.concatenate(([0], np.cumsum(np.concatenate(widths)))).astype(np.int32)
    values = pa.DictionaryArray.from_arrays(pa.array(np.concatenate(indices)), pa.array(list(known)))
    return pa.ListArray.from_arrays(pa.array(starts), values)
