"""Recordings: refused with file, column and row when they cannot be played; otherwise played as they are."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_adapter.sandbox.feed import FeedError, open_feed
from broker_adapter.sandbox.feed.port import SLICE_NS
from broker_adapter.sandbox.feed.recorded import open_recording
from kitepilot.config import Config, override
from kitepilot.market.calendar import ist_ns

DAY = date(2021, 5, 18)
OPEN = datetime(2021, 5, 18, 9, 15)
SECOND = 1_000_000_000


def _rows(count=40, symbol="RELI", start=OPEN):
    """A small recording of our own making: one row a second, price up a tick each time."""
    return {
        "symbol": [symbol] * count,
        "seq": list(range(count)),
        "ts_ist": [start + timedelta(seconds=k) for k in range(count)],
        "ltp": [2000.0 + 0.05 * k for k in range(count)],
        "volume_cum": [1000 + 10 * k for k in range(count)],
    }


def _write(path: Path, rows, types=None) -> Path:
    kinds = {"ts_ist": pa.timestamp("ms"), "seq": pa.int32(), "volume_cum": pa.int64()} | (types or {})
    file = path / "recording.parquet"
    columns = {name: pa.array(values, kinds.get(name)) for name, values in rows.items()}
    pq.write_table(pa.table(columns), file)
    return file


def _played(market):
    slices = list(market.slices())
    packets = np.concatenate([one.packets for one in slices])
    return slices, packets


@pytest.mark.parametrize("missing", ["symbol", "seq", "ts_ist", "ltp", "volume_cum"])
def test_a_missing_column_is_refused_by_name(tmp_path, missing):
    rows = _rows()
    del rows[missing]
    with pytest.raises(FeedError, match=rf"recording\.parquet: column `{missing}` is missing"):
        open_recording(_write(tmp_path, rows), DAY)


@pytest.mark.parametrize(
    ("column", "values", "kind", "wanted"),
    [
        ("ltp", ["a"] * 40, pa.string(), "a number"),
        ("volume_cum", [0.5] * 40, pa.float64(), "an integer"),
        ("ts_ist", ["09:15"] * 40, pa.string(), "a timestamp"),
        ("symbol", [1] * 40, pa.int64(), "text"),
        ("seq", ["x"] * 40, pa.string(), "an integer"),
    ],
)
def test_a_column_of_the_wrong_type_is_refused(tmp_path, column, values, kind, wanted):
    file = _write(tmp_path, _rows() | {column: values}, {column: kind})
    with pytest.raises(FeedError, match=rf"column `{column}` has type .*; it must be {wanted} .*row 0"):
        open_recording(file, DAY)


@pytest.mark.parametrize(
    ("column", "value"), [("ltp", float("nan")), ("ltp", -1.0), ("volume_cum", -5), ("ltp", 2000.123)]
)
def test_an_impossible_value_is_refused_with_its_row(tmp_path, column, value):
    rows = _rows()
    rows[column][17] = value
    with pytest.raises(FeedError, match=rf"recording\.parquet: column `{column}` is .* in row 17"):
        open_recording(_write(tmp_path, rows), DAY)


def test_a_missing_value_is_refused_with_its_row(tmp_path):
    rows = _rows()
    rows["ltp"][9] = None
    with pytest.raises(FeedError, match=r"column `ltp` has no value in row 9"):
        open_recording(_write(tmp_path, rows), DAY)


def test_times_in_utc_without_a_zone_are_recognised(tmp_path):
    file = _write(tmp_path, _rows(start=OPEN - timedelta(hours=5, minutes=30)))
    with pytest.raises(FeedError, match=r"column `ts_ist`: the times look like UTC.*row 0 .*03:45:00"):
        open_recording(file, DAY)


def test_times_that_were_labelled_utc_but_meant_ist_are_refused(tmp_path):
    rows = _rows(start=OPEN.replace(hour=12))
    file = _write(tmp_path, rows, {"ts_ist": pa.timestamp("ms", "UTC")})
    with pytest.raises(FeedError, match=r"column `ts_ist`: the times lie outside market hours; row 0"):
        open_recording(file, DAY)


def test_a_foreign_time_zone_is_refused(tmp_path):
    file = _write(tmp_path, _rows(), {"ts_ist": pa.timestamp("ms", "America/New_York")})
    with pytest.raises(FeedError, match=r"column `ts_ist` has time zone America/New_York .*row 0"):
        open_recording(file, DAY)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "+05:30"])
def test_an_instant_with_a_stated_zone_plays_like_its_ist_time(tmp_path, zone):
    plain = open_recording(_write(tmp_path, _rows()), DAY)
    rows = _rows(start=OPEN - timedelta(hours=5, minutes=30))
    aware = open_recording(_write(tmp_path, rows, {"ts_ist": pa.timestamp("ms", zone)}), DAY)
    assert _played(aware)[1].tobytes() == _played(plain)[1].tobytes()


def test_a_session_that_is_not_in_the_file_is_refused_with_the_days_that_are(tmp_path):
    with pytest.raises(FeedError, match=r"no row of the session 2021-05-19 .* days in it: 2021-05-18"):
        open_recording(_write(tmp_path, _rows()), date(2021, 5, 19))


def test_mixed_days_are_refused_with_the_first_row_of_another_day(tmp_path):
    rows = _rows()
    rows["ts_ist"][25:] = [stamp + timedelta(days=1) for stamp in rows["ts_ist"][25:]]
    with pytest.raises(FeedError, match=r"mixed days: 15 of 40 .* first is row 25 .* 2021-05-19"):
        open_recording(_write(tmp_path, rows), DAY)


def test_two_days_in_one_file_are_refused(tmp_path):
    first, second = _rows(), _rows(start=OPEN + timedelta(days=1))
    both = {name: first[name] + second[name] for name in first}
    with pytest.raises(FeedError, match=r"mixed days: 40 of 80 .* first is row 40"):
        open_recording(_write(tmp_path, both), DAY)


def test_what_is_no_recording_at_all_is_refused(tmp_path):
    with pytest.raises(FeedError, match="no such file or folder"):
        open_recording(tmp_path / "nowhere", DAY)
    (tmp_path / "text.parquet").write_text("not parquet")
    with pytest.raises(FeedError, match="not a readable Parquet file"):
        open_recording(tmp_path / "text.parquet", DAY)
    with pytest.raises(FeedError, match="0 rows"):
        open_recording(_write(tmp_path, _rows(0)), DAY)


def test_a_folder_plays_the_file_that_is_named_for_the_day(tmp_path):
    for day in (DAY, date(2021, 5, 19)):
        rows = _rows(start=datetime(day.year, day.month, day.day, 9, 15))
        _write(tmp_path, rows).rename(tmp_path / f"{day}.parquet")
    config = override(Config(), **{"market.feed": str(tmp_path), "session.date": "2021-05-18"})
    assert "2021-05-18.parquet" in open_feed(config).description
    with pytest.raises(FeedError, match=r"no file is named for the session 2021-05-20; found 2021-05-18"):
        open_feed(override(config, **{"session.date": "2021-05-20"}))


def test_strays_and_duplicates_are_played_as_they_are_and_counted(tmp_path):
    rows = _rows()
    rows["ts_ist"][20] = datetime(1970, 1, 1, 5, 30)
    rows["ts_ist"][21] = OPEN + timedelta(days=1)
    rows["ts_ist"][22] = OPEN + timedelta(seconds=3)  # a late packet
    rows["volume_cum"][22] = 1030
    for name in ("ts_ist", "ltp", "volume_cum"):
        rows[name][31] = rows[name][30]
    market = open_recording(_write(tmp_path, rows), DAY)
    slices, packets = _played(market)
    assert market.counts == market.counts.__class__(40, 1, 1, 1, 1, 0, 0, 1)
    assert (packets["exchange_time"][20], packets["volume"][20]) == (0, 1200)
    assert packets["exchange_time"][21] == ist_ns(date(2021, 5, 19), "09:15") // SECOND
    assert packets["exchange_time"][22] == ist_ns(DAY, "09:15") // SECOND + 3
    assert packets[31].tobytes() == packets[30].tobytes()
    sent = np.concatenate([one.sent_at for one in slices])
    assert sent[20] < ist_ns(DAY, "09:16") and sent[22] >= ist_ns(DAY, "09:15") + 19 * SECOND


def test_what_the_recorder_wrote_after_the_close_leaves_in_the_minute_after_it(tmp_path):
    rows = _rows()
    rows["ts_ist"][30:] = [datetime(2021, 5, 18, 18, 0) + timedelta(minutes=k) for k in range(10)]
    market = open_recording(_write(tmp_path, rows), DAY)
    slices, packets = _played(market)
    close = ist_ns(DAY, "15:30")
    assert len(packets) == 40
    assert slices[-1].until <= close + 60 * SECOND + SLICE_NS
    assert market.counts.after_close == 10


def test_modelled_depth_surrounds_the_last_price_and_says_that_it_is_modelled(tmp_path):
    market = open_recording(_write(tmp_path, _rows()), DAY)
    _, packets = _played(market)
    bids, asks = packets["bids"]["price"].astype(int), packets["asks"]["price"].astype(int)
    assert market.depth == "modelled" and "modelled" in market.description
    assert ((packets["last_price"] >= bids[:, 0]) & (packets["last_price"] <= asks[:, 0])).all()
    assert (bids[:, 0] < asks[:, 0]).all()
    assert (bids % 5 == 0).all() and (asks % 5 == 0).all()
    assert (np.diff(bids) < 0).all() and (np.diff(asks) > 0).all()
    assert packets["last_price"].tolist() == [200_000 + 5 * k for k in range(40)]
    assert packets["open"].tolist() == [200_000] * 40
    assert packets["high"].tolist() == packets["last_price"].tolist()


def test_an_index_is_shown_in_its_own_packets_and_cannot_be_ordered(tmp_path):
    share, index = _rows(), _rows(symbol="NIFTY 50") | {"volume_cum": [0] * 40}
    both = {name: share[name] + index[name] for name in share}
    market = open_recording(_write(tmp_path, both), DAY)
    slices, packets = _played(market)
    raw = [packet for one in slices for packet in one.raw]
    assert [one.tradingsymbol for one in market.instruments] == ["RELI"]
    assert [(one.tradingsymbol, one.token & 0xFF) for one in market.indices] == [("NIFTY 50", 9)]
    assert len(packets) == len(raw) == 40
    last = np.frombuffer(raw[-1], ">u4")
    assert len(raw[-1]) == 32
    assert last[:6].tolist() == [market.indices[0].token, 200_195, 200_195, 200_000, 200_000, 200_000]
    assert int(last[7]) == ist_ns(DAY, "09:15") // SECOND + 39


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.integers(-5, 400), st.integers(-4, 4), st.integers(-3, 50)),
        min_size=1,
        max_size=60,
    )
)
def test_every_row_is_sent_once_in_order_whatever_the_recorder_wrote(tmp_path, steps):
    at, price, volume, rows = OPEN, 40_000, 1000, {name: [] for name in _rows(0)}
    for k, (who, seconds, ticks, traded) in enumerate(steps):
        at = max(at + timedelta(seconds=seconds), OPEN)
        price, volume = max(price + ticks, 1), max(volume + traded, 0)
        for name, value in zip(rows, ("ABC"[who], k, at, price * 0.05, volume), strict=True):
            rows[name].append(value)
    slices, packets = _played(open_recording(_write(tmp_path, rows), DAY))
    sent = np.concatenate([one.sent_at for one in slices])
    assert len(packets) == len(steps)
    assert (np.diff(sent) >= 0).all()
    assert all(((one.sent_at < one.until) & (one.sent_at >= one.until - SLICE_NS)).all() for one in slices)
    by_price = sorted(round(p * 100) for p in rows["ltp"])
    assert sorted(packets["last_price"].tolist()) == by_price
    assert (packets["exchange_time"].astype(np.int64) * SECOND <= sent).all()


def test_the_packets_of_one_name_are_those_it_has_among_the_others(tmp_path):
    names = ("RELI", "INFY", "NIFTY 50")
    each = [_rows(symbol=name, start=OPEN + timedelta(seconds=3 * k)) for k, name in enumerate(names)]
    rows = {column: [value for one in each for value in one[column]] for column in each[0]}
    market = open_recording(_write(tmp_path, rows), DAY)
    slices, packets = _played(market)
    for one in market.instruments:
        ((alone, raw),) = market.packets_of(one.token)
        assert raw == [] and len(alone) == 40
        assert np.array_equal(alone, packets[packets["token"] == one.token].astype(alone.dtype))
    ((nothing, raw),) = market.packets_of(market.indices[0].token)
    assert raw == [packet for piece in slices for packet in piece.raw] and len(nothing) == 0
    assert list(market.packets_of(1)) == []


def _shared() -> Path:
    root = Path(os.environ.get("KITEPILOT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    if not (root / "data" / "ticks").is_dir():
        pytest.skip(f"real market data is not at {root}/data (set KITEPILOT_SHARED)")
    return root / "data" / "ticks"


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("folder", "session", "rows", "odd"),
    [
        ("ltp_2021", date(2021, 4, 16), 687_175, {"stamped_1970": 69_161, "other_day": 52_952}),
        ("ltp_2021", date(2021, 5, 18), 1_003_595, {"stamped_1970": 0, "duplicates": 28_303}),
        ("kite_full_2025", date(2025, 7, 10), 7_075, {"other_day": 0, "late": 0}),
        ("kite_full_2025", date(2025, 7, 11), 11_873, {"before_open": 2_271}),
        ("kite_full_2025", date(2025, 7, 21), 7_828, {"falling_volume": 0}),
    ],
)
def test_a_real_recording_is_played_whole(folder, session, rows, odd):
    market = open_recording(_shared() / folder, session)
    sent = sum(len(one.packets) + len(one.raw) for one in market.slices())
    assert sent == market.counts.rows == rows
    assert {name: getattr(market.counts, name) for name in odd} == odd


@pytest.mark.shared_data
def test_real_kite_packets_come_back_field_by_field():
    file = _shared() / "kite_full_2025" / "kite_full.parquet"
    market = open_recording(file, date(2025, 7, 10))
    _, packets = _played(market)
    table = pq.read_table(file, filters=[("symbol", "==", "INFY")])
    stamps = table["exchange_timestamp"].to_numpy()
    mine = stamps.astype("datetime64[D]") == np.datetime64("2025-07-10")
    infy = packets[packets["token"] == 408065]
    assert len(infy) == mine.sum() == 2_356
    for field, column in (
        ("last_price", "last_price"),
        ("open", "open"),
        ("average_price", "average_traded_price"),
    ):
        assert (infy[field] == np.rint(table[column].to_numpy()[mine] * 100)).all()
    assert (infy["volume"] == table["volume_traded"].to_numpy()[mine]).all()
    assert (infy["bids"]["price"][:, 0] == np.rint(table["bid1"].to_numpy()[mine] * 100)).all()
    assert (infy["asks"]["orders"][:, 4] == table["ask5_orders"].to_numpy()[mine]).all()
    utc = (stamps[mine] - np.timedelta64(19_800, "s")).astype("datetime64[s]").astype(np.int64)
    assert (infy["exchange_time"] == utc).all()
