"""The synthetic market: reproducible, on the grid, and shaped like a session."""

from __future__ import annotations

import hashlib
from datetime import date

import numpy as np
import pytest

from broker_adapter.sandbox.feed import FeedError, open_feed
from broker_adapter.sandbox.feed.port import SLICE_NS
from broker_adapter.sandbox.feed.synthetic import SyntheticMarket
from broker_adapter.sandbox.feed.tick_sizes import circuit_limits, tick_size_paise
from kitepilot.config import Config, override
from kitepilot.market import calendar
from kitepilot.market.calendar import ClosedDayError, ist_ns

DAY = date(2026, 11, 20)
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def market() -> SyntheticMarket:
    return SyntheticMarket(DAY, seed=7, instruments=24)


@pytest.fixture(scope="module")
def day(market):
    """Every packet of the day and the time it left, in send order."""
    chunks = list(market.chunks(300))
    return np.concatenate([c[1] for c in chunks]), np.concatenate([c[2] for c in chunks])


def _of(day, token):
    packets, sent = day
    mine = packets["token"] == token
    return packets[mine], sent[mine]


def _trading(day, one):
    """An instrument's packets of the continuous session, from the first traded one."""
    packets, sent = _of(day, one.token)
    keep = packets["exchange_time"] >= ist_ns(DAY, "09:15") // SECOND
    return packets[keep], sent[keep]


def _digest(market, chunk_s):
    bytes_sent, times = hashlib.sha256(), hashlib.sha256()
    for _, packets, sent in market.chunks(chunk_s):
        bytes_sent.update(packets.tobytes())
        times.update(sent.tobytes())
    return bytes_sent.hexdigest(), times.hexdigest()


@pytest.mark.parametrize("chunk_s", [1, 17, 7200])
def test_the_same_seed_gives_the_same_bytes_however_the_day_is_cut(chunk_s):
    assert _digest(SyntheticMarket(DAY, 7, 12), chunk_s) == _digest(SyntheticMarket(DAY, 7, 12), 60)


def test_one_company_s_day_made_alone_is_the_day_it_has_among_the_others(market, day):
    for one in market.instruments:
        alone = [packets for packets, _ in market.packets_of(one.token)]
        assert np.concatenate(alone).tobytes() == _of(day, one.token)[0].tobytes()
    assert list(market.packets_of(1)) == []


def test_another_seed_or_another_day_is_another_market():
    here = _digest(SyntheticMarket(DAY, 7, 3), 600)
    assert here != _digest(SyntheticMarket(DAY, 8, 3), 600)
    assert here != _digest(SyntheticMarket(date(2026, 11, 19), 7, 3), 600)


def test_a_seed_keeps_its_cast_from_day_to_day():
    today, yesterday = (SyntheticMarket(d, 7).instruments for d in (DAY, date(2026, 11, 19)))
    assert [one[:4] for one in today] == [one[:4] for one in yesterday]
    assert len({one.token for one in today}) == len({one.tradingsymbol for one in today}) == 50


def test_slices_cover_the_session_without_gap_and_hold_every_packet(market, day):
    session = calendar.session(DAY)
    slices = list(market.slices())
    untils = np.array([one.until for one in slices])
    assert untils[0] == session.pre_open_at + SLICE_NS
    assert untils[-1] >= session.close_at
    assert (np.diff(untils) == SLICE_NS).all()
    for one in slices:
        assert len(one.packets) == len(one.sent_at)
        assert ((one.sent_at < one.until) & (one.sent_at >= one.until - SLICE_NS)).all()
    assert np.concatenate([one.packets for one in slices]).tobytes() == day[0].tobytes()


def test_a_start_in_the_middle_of_the_day_gives_the_rest_of_the_same_day(market):
    noon = ist_ns(DAY, "12:00")
    rest = [one for one in market.slices() if one.until > noon]
    late = list(market.slices(noon))
    assert [one.until for one in late] == [one.until for one in rest]
    assert all(a.packets.tobytes() == b.packets.tobytes() for a, b in zip(late, rest, strict=True))


def test_packets_leave_in_order_and_some_leave_late(day):
    packets, sent = day
    assert (np.diff(sent) >= 0).all()
    delay = sent - packets["exchange_time"].astype(np.int64) * SECOND
    assert delay.min() >= 0
    late = (delay > 2.5 * SECOND).mean()
    assert 0 < late < 0.005


def test_every_price_is_on_its_grid(market, day):
    for one in market.instruments:
        packets, _ = _of(day, one.token)
        for field in ("last_price", "open", "high", "low", "close"):
            assert (packets[field] % one.tick_size_paise == 0).all(), (one.tradingsymbol, field)
        for side in ("bids", "asks"):
            assert (packets[side]["price"] % one.tick_size_paise == 0).all()


def test_the_day_s_accumulations_agree(market, day):
    for one in market.instruments:
        packets, _ = _trading(day, one)
        last, volume = packets["last_price"].astype(int), packets["volume"].astype(int)
        assert (np.diff(volume) >= 0).all()
        assert (packets["low"] <= last).all() and (last <= packets["high"]).all()
        assert (np.diff(packets["high"].astype(int)) >= 0).all()
        assert (np.diff(packets["low"].astype(int)) <= 0).all()
        assert len(np.unique(packets["open"])) == 1
        average = packets["average_price"].astype(int)
        assert (average >= packets["low"].astype(int)).all() and (average <= packets["high"]).all()
        assert (packets["last_trade_time"] <= packets["exchange_time"]).all()
        assert last.min() > one.lower_circuit_paise and last.max() < one.upper_circuit_paise


def test_the_average_price_is_turnover_over_volume(day, market):
    packets, _ = _trading(day, market.instruments[0])
    first, rest = packets[0], packets[1:]
    volume = np.r_[int(first["volume"]), rest["volume"].astype(np.int64)]
    traded = np.diff(volume)
    turnover = int(first["average_price"]) * int(first["volume"]) + np.cumsum(traded * rest["last_price"])
    assert np.abs(turnover / volume[1:] - rest["average_price"]).max() <= 2


def test_the_book_is_never_crossed_and_its_levels_step_away(market, day):
    packets, _ = day
    trading = packets[packets["exchange_time"] >= ist_ns(DAY, "09:15") // SECOND]
    bids, asks = trading["bids"]["price"].astype(int), trading["asks"]["price"].astype(int)
    assert (bids[:, 0] < asks[:, 0]).all()
    assert (np.diff(bids, axis=1) < 0).all() and (np.diff(asks, axis=1) > 0).all()
    assert (trading["bids"]["quantity"] > 0).all() and (trading["asks"]["orders"] > 0).all()


def test_pre_open_shows_yesterday_s_trade_and_a_volume_that_moves_both_ways_and_resets(market, day):
    falls = resets = 0
    for one in market.instruments:
        packets, _ = _of(day, one.token)
        before = packets[packets["last_trade_time"] < ist_ns(DAY, "09:00") // SECOND]
        assert (before["last_price"] == one.previous_close_paise).all()
        assert (before["average_price"] == 0).all()
        volume = before["volume"].astype(int)
        falls += int((np.diff(volume[volume > 0]) < 0).sum())
        resets += int(volume[-1] == 0)
        after = packets[packets["last_trade_time"] >= ist_ns(DAY, "09:00") // SECOND]
        assert after[0]["last_price"] == after[0]["open"] == after[0]["high"] == after[0]["low"]
    assert falls > 50
    assert resets == len(market.instruments)


def test_closing_auction_stocks_stop_at_1515_and_the_others_at_1530(market, day):
    assert {one.closing_auction for one in market.instruments} == {True, False}
    for one in market.instruments:
        packets, _ = _of(day, one.token)
        close = ist_ns(DAY, "15:15" if one.closing_auction else "15:30") // SECOND
        assert close - 120 < packets["exchange_time"].max() < close


def test_nobody_stopped_early_before_the_closing_auction_came():
    before = SyntheticMarket(date(2025, 7, 11), 7, 10)
    assert not any(one.closing_auction for one in before.instruments)


def test_duplicates_and_the_update_rate_are_what_was_asked(market, day):
    seconds = 6 * 3600
    rates, copies, total = [], 0, 0
    for one, quiet in zip(market.instruments, market._cast.quiet, strict=True):
        mine, _ = _trading(day, one)
        words = mine.view(np.uint8).reshape(len(mine), -1)
        copies += int((words[1:] == words[:-1]).all(axis=1).sum())
        total += len(mine)
        if not quiet:
            rates.append(len(mine) / seconds)
    assert 0.03 < copies / total < 0.13
    assert 1.3 < np.mean(rates) < 1.8


def test_a_halted_instrument_is_silent_for_the_whole_halt(market, day):
    halts = market.plan().halts
    assert halts
    for row, start, end in halts:
        packets, _ = _of(day, market.instruments[row].token)
        times = packets["exchange_time"].astype(np.int64) * SECOND
        assert not ((times > start + SECOND) & (times < end - SECOND)).any()
        assert end - start >= 180 * SECOND


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"instruments": 0}, "market.instruments is 0"),
        ({"instruments": 1001}, "1 to 1000"),
        ({"updates_per_s": 0.0}, "market.updates_per_s"),
        ({"updates_per_s": float("nan")}, "market.updates_per_s"),
        ({"seed": -1}, "market.seed is -1"),
    ],
)
def test_a_market_out_of_bounds_is_refused_by_name(arguments, word):
    with pytest.raises(FeedError, match=word):
        SyntheticMarket(DAY, **({"seed": 1} | arguments))


def test_a_closed_day_has_no_market():
    with pytest.raises(ClosedDayError):
        SyntheticMarket(date(2026, 11, 21), 1)


def test_the_configuration_opens_the_synthetic_market():
    feed = open_feed(override(Config(), **{"market.instruments": 5, "market.seed": 3}))
    assert len(feed.instruments) == 5
    assert feed.depth == "synthetic"
    assert "seed 3" in feed.description


@pytest.mark.parametrize(
    ("rupees", "on", "tick"),
    [
        (100, date(2024, 6, 7), 5),
        (100, date(2024, 6, 10), 1),
        (400, date(2024, 6, 10), 5),
        (249.99, DAY, 1),
        (250, DAY, 5),
        (1000, DAY, 5),
        (1000.10, DAY, 10),
        (5000, DAY, 10),
        (7000, DAY, 50),
        (15000, DAY, 100),
        (20001, DAY, 500),
    ],
)
def test_tick_sizes_follow_the_dated_table(rupees, on, tick):
    assert tick_size_paise(round(rupees * 100), on) == tick


def test_circuit_limits_are_on_the_grid_and_inside_ten_percent():
    lower, upper = circuit_limits(123_47, 5)
    assert lower % 5 == upper % 5 == 0
    assert 123_47 * 0.9 <= lower < 123_47 < upper <= 123_47 * 1.1
