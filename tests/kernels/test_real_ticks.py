"""Real recorded ticks: the same bits however cut, the bars of the plain loop, the exchange's volume."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from kernel_tape import GRACE, NS, bits
from plain_bars import PlainBars

from kitepilot.kernels.shard import BarClose, Shard, ShardSpec
from kitepilot.market.ticks import KIND_CLOCK, RECORD_DTYPE, own_record

SHARED = Path(os.environ.get("KITEPILOT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
LTP = SHARED / "data/ticks/ltp_2021/2021-05-18.parquet"
FULL = SHARED / "data/ticks/kite_full_2025/kite_full.parquet"
IST_S = 19_800

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(
        not (LTP.exists() and FULL.exists()), reason=f"recorded ticks are not in {SHARED} (KITEPILOT_SHARED)"
    ),
]
Records = npt.NDArray[np.void]


def epoch_s(column: object) -> npt.NDArray[np.int64]:
    """Naive IST milliseconds -> epoch seconds; what is missing or before 1970 becomes 0."""
    naive = np.asarray(pc.fill_null(pc.cast(column, "int64"), 0))
    return np.maximum(naive // 1000 - IST_S, 0)


def paise(column: object) -> npt.NDArray[np.int64]:
    return np.rint(np.asarray(column) * 100).astype(np.int64)


def with_clocks(ticks: Records, times: npt.NDArray[np.int64], open_s: int) -> Records:
    """The ticks in order, with a clock whenever the newest plausible time moved on, and one after the end."""
    plausible = np.where((times > open_s - 3_600) & (times < open_s + 30_000), times, 0)
    newest = np.maximum.accumulate(np.maximum(plausible, open_s - 3_600))
    parts, start = [own_record(KIND_CLOCK, (open_s - 3_600) * NS, 1)], 0
    for place in [*np.flatnonzero(np.diff(newest)).tolist(), len(ticks) - 1]:
        parts.append(ticks[start : place + 1].tobytes())
        parts.append(own_record(KIND_CLOCK, int(newest[place]) * NS + NS // 2, place))
        start = place + 1
    parts.append(own_record(KIND_CLOCK, int(newest[-1]) * NS + 90 * NS, 1))
    return np.frombuffer(b"".join(parts), dtype=RECORD_DTYPE)


def session_of(tokens: list[int], open_s: int, tick_size: int = 5) -> ShardSpec:
    n = len(tokens)
    opens = np.full(n, open_s * NS)
    return ShardSpec(np.array(tokens), np.full(n, tick_size), opens, opens + 22_500 * NS, GRACE)


def last_price_day() -> tuple[ShardSpec, Records]:
    """Twelve stocks, 11:00 to 12:30: last price and volume only, as recorded, merged by running time."""
    table = pq.read_table(LTP).to_pandas().query("volume_cum > 0")
    names = sorted(table["symbol"].unique())[:12]
    table = table[table["symbol"].isin(names)]
    table["second"] = table["ts_ist"].astype("datetime64[s]").astype("int64") - IST_S
    table["arrival"] = table.groupby("symbol")["second"].cummax()
    open_s = int(np.datetime64("2021-05-18T03:45", "s").astype("int64"))
    table = table.sort_values(["arrival", "symbol", "seq"], kind="stable")
    table = table[table["arrival"].between(open_s + 6_300, open_s + 11_700)]
    tokens = {name: 256 * (place + 1) + 1 for place, name in enumerate(names)}
    ticks = np.zeros(len(table), dtype=RECORD_DTYPE)
    packet = ticks["packet"]
    packet["token"] = table["symbol"].map(tokens).to_numpy()
    packet["last_price"] = paise(table["ltp"])
    packet["volume"] = table["volume_cum"].to_numpy()
    packet["exchange_time"] = np.maximum(table["second"].to_numpy(), 0)
    return session_of(list(tokens.values()), open_s), with_clocks(ticks, table["second"].to_numpy(), open_s)


def full_mode_morning(day: str) -> tuple[ShardSpec, Records]:
    """Every recorded full-mode packet whose file is of that day, pre-open and depth included."""
    table = pq.read_table(FULL)
    days = pc.strftime(table["exchange_timestamp"], format="%Y-%m-%d")
    table = table.filter(pc.equal(days, day)).sort_by(
        [("exchange_timestamp", "ascending"), ("seq", "ascending")]
    )
    times = epoch_s(table["exchange_timestamp"])
    ticks = np.zeros(table.num_rows, dtype=RECORD_DTYPE)
    packet = ticks["packet"]
    same = {"token": "instrument_token", "last_quantity": "last_traded_quantity", "volume": "volume_traded"}
    for field, column in same.items():
        packet[field] = np.asarray(table[column])
    packet["last_price"] = paise(table["last_price"])
    packet["close"] = paise(table["close"])
    packet["exchange_time"] = times
    packet["last_trade_time"] = epoch_s(table["last_trade_time"])
    for side in ("bid", "ask"):
        for level in range(5):
            packet[f"{side}s"]["price"][:, level] = paise(table[f"{side}{level + 1}"])
            packet[f"{side}s"]["quantity"][:, level] = np.asarray(table[f"{side}{level + 1}_qty"])
    tokens = sorted({int(token) for token in packet["token"]})
    open_s = int(np.datetime64(f"{day}T03:45", "s").astype("int64"))
    return session_of(tokens, open_s, tick_size=1), with_clocks(ticks, times, open_s)


TAPES = {
    "last prices, 18 May 2021": last_price_day,
    "full mode, 11 July 2025": lambda: full_mode_morning("2025-07-11"),
    "full mode, 21 July 2025": lambda: full_mode_morning("2025-07-21"),
}


@pytest.fixture(scope="module", params=TAPES)
def recorded(request: pytest.FixtureRequest) -> tuple[ShardSpec, Records]:
    return TAPES[request.param]()


def test_real_ticks_cut_and_restored_anywhere_give_the_same_bits(recorded: tuple[ShardSpec, Records]) -> None:
    spec, tape = recorded
    whole = [bits(out) for out in Shard(spec).on_records(tape)]
    assert sum(piece.count(b"|") > 0 for piece in whole) > 1_000
    for seed in range(3):
        rng, shard, start, found = random.Random(seed), Shard(spec), 0, []
        while start < len(tape):
            end = start + rng.choice((1, 2, 7, 50, 300, 4_000))
            found += [bits(out) for out in shard.on_records(tape[start:end])]
            start = end
            if rng.random() < 0.02:
                shard = Shard.restore(spec, shard.snapshot())
        assert found == whole


def test_real_bars_equal_those_of_the_plain_loop(recorded: tuple[ShardSpec, Records]) -> None:
    spec, tape = recorded
    shard, plain = Shard(spec), PlainBars(spec)
    expected = plain.take(tape.tobytes())
    found = []
    for out in shard.on_records(tape):
        if isinstance(out, BarClose):
            columns = (out.rows, out.open, out.high, out.low, out.close, out.volume, out.tick_count)
            found.append(
                (out.interval_s, out.close_at, [tuple(row) for row in np.stack(columns, axis=1).tolist()])
            )
    assert found == expected
    assert {reason: count for reason, count in shard.counts.items() if count} == dict(plain.counts)
    assert shard.counts["ok"] > 0.5 * len(tape)


def test_the_volume_of_real_bars_is_what_the_exchange_counted(recorded: tuple[ShardSpec, Records]) -> None:
    """Bars of an instrument add up to its last accepted cumulative volume less where it began."""
    spec, tape = recorded
    totals = np.zeros(len(spec.tokens), dtype=np.int64)
    for out in Shard(spec).on_records(tape):
        if isinstance(out, BarClose) and out.interval_s == 1:
            totals[out.rows] += out.volume
    packet = tape["packet"]
    times = packet["exchange_time"].astype(np.int64) - int(spec.open_at[0]) // NS
    volume = packet["volume"].astype(np.int64)
    for row, token in enumerate(spec.tokens.tolist()):
        mine = packet["token"] == token
        inside = volume[mine & (times >= 0) & (times < 22_500)]
        auction = volume[mine & (times >= -300) & (times < 0)]
        began = auction[-1] if len(auction) else inside[0]
        first_trade = int(packet["last_quantity"][mine].max())
        assert totals[row] == pytest.approx(inside.max() - began, rel=0.002, abs=first_trade)
