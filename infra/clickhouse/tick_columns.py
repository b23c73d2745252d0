"""192-byte tick records -> columns of the `ticks` table, for all records of a batch at once.

A full packet has five levels on each side. An index packet (token & 0xFF == 9) has its own field order:
token, last, high, low, open, close, change, exchange time (facts of Kite's ticker, read 2026-07-14); its
volume, quantities and depth stay empty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kitepilot.market.ticks import RECORD_BYTES, SEGMENT_INDICES, records

LEVELS = 5
_LEVEL_FIELDS = (("paise", "price", "<i8"), ("quantity", "quantity", "<u4"), ("orders", "orders", "<u2"))
#: column: (field of a full packet, field that holds the same thing in an index packet, "" for none)
_PRICES = {
    "last_paise": ("last_price", "last_price"),
    "average_paise": ("average_price", ""),
    "open_paise": ("open", "volume"),
    "high_paise": ("high", "last_quantity"),
    "low_paise": ("low", "average_price"),
    "close_paise": ("close", "total_buy_quantity"),
}
_COUNTS = ("last_quantity", "volume", "total_buy_quantity", "total_sell_quantity")


def own_records(message: bytes) -> tuple[int, int]:
    """(all records, those that are ours and not the exchange's) of one `ticks` message.

    Raises:
        ValueError: the length is not a multiple of 192.
    """
    tokens = records(message)["packet"]["token"]
    return len(tokens), len(tokens) - int(np.count_nonzero(tokens))


def tick_columns(offsets: Sequence[int], messages: Sequence[bytes]) -> dict[str, pa.Array]:
    """Columns of `ticks` but for the run's own; one row per exchange packet, in log order.

    `offsets[i]` is the log offset of `messages[i]`; each message is whole records.
    """
    counts = np.array([len(message) // RECORD_BYTES for message in messages], dtype=np.int64)
    log_offset = np.repeat(np.array(offsets, dtype=np.uint64), counts)
    row = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    every = records(b"".join(messages))
    kept = every["packet"]["token"] != 0
    taken = every[kept]
    columns = _packet_columns(taken["packet"])
    columns["received_at"] = pa.array(taken["received_at"].astype("<i8").view("M8[ns]"))
    columns["log_offset"] = pa.array(log_offset[kept])
    columns["row"] = pa.array(row[kept].astype(np.uint32))
    return columns


def _packet_columns(packets: npt.NDArray[np.void]) -> dict[str, pa.Array]:
    token = packets["token"].astype("<u4")
    index = (token & 0xFF) == SEGMENT_INDICES
    columns = {"token": pa.array(token)}
    for name, (full, of_index) in _PRICES.items():
        columns[name] = pa.array(_chosen(packets, index, full, of_index).astype("<i8"))
    for name in _COUNTS:
        columns[name] = pa.array(_chosen(packets, index, name, "").astype("<u4"))
    exchange = _chosen(packets, index, "exchange_time", "open")
    columns["exchange_at"] = _seconds(exchange)
    columns["last_trade_at"] = _seconds(_chosen(packets, index, "last_trade_time", ""))
    starts = np.concatenate(([0], np.cumsum(np.where(index, 0, LEVELS)))).astype(np.int32)
    for side in ("bid", "ask"):
        depth = packets[f"{side}s"][~index]
        for name, field, kind in _LEVEL_FIELDS:
            values = pa.array(depth[field].astype(kind).ravel())
            columns[f"{side}_{name}"] = pa.ListArray.from_arrays(pa.array(starts), values)
    return columns


def _chosen(
    packets: npt.NDArray[np.void], index: npt.NDArray[np.bool_], full: str, of_index: str
) -> npt.NDArray[np.uint32]:
    values = packets[full].astype("<u4")
    if index.any():
        values[index] = packets[of_index][index] if of_index else 0
    return values


def _seconds(values: npt.NDArray[np.uint32]) -> pa.Array:
    return pa.array((values.astype("<i8") * 1000).view("M8[ms]"))
