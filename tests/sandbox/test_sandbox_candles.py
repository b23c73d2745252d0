"""Historical candles against the packets they are made of."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_market import ALPHA, DAY, INDEX, OPEN, SESSION, S, SmallMarket, ist, packet

from broker_adapter.sandbox.candles import MAX_DAYS, MINUTES, CandleDesk, fold
from broker_adapter.sandbox.feed.synthetic import SyntheticMarket
from broker_adapter.sandbox.minute_bars import Bar, MinuteBars
from kitepilot.market import calendar
from kitepilot.market.ticks import PACKET_DTYPE

CLOSE = SESSION.continuous_close_at


def trade(at: int, price: int, day_volume: int, sent_at: int | None = None) -> tuple[int, np.ndarray]:
    row = packet(ALPHA, price, at=at)
    row["volume"] = day_volume
    return sent_at or at, row


def desk_of(sends, played: int = CLOSE, earlier=lambda day: None, back: int = 5) -> CandleDesk:
    market = SmallMarket(list(sends), ends_at=CLOSE)
    return CandleDesk(market, SESSION, lambda: played, earlier, back)


def candles(
    desk: CandleDesk, interval: str = "minute", first: int = OPEN, last: int = CLOSE, token=ALPHA.token
):
    return asyncio.run(desk.candles(token, interval, first, last))


MORNING = (
    trade(OPEN + 1 * S, 500_00, 100),
    trade(OPEN + 20 * S, 501_00, 150),
    trade(OPEN + 30 * S, 499_00, 170),
    trade(OPEN + 40 * S, 502_00, 170),  # a quote: the day's volume did not move
    trade(OPEN + 59 * S, 500_50, 180),
    trade(OPEN + 60 * S, 500_55, 190),
    trade(OPEN + 200 * S, 505_00, 200),
)


def test_a_minute_holds_the_first_highest_lowest_and_last_trade_and_what_traded():
    first, second, third = candles(desk_of(MORNING))
    assert first[1:] == (500_00, 501_00, 499_00, 500_50, 180)
    assert (second.opens_s, second.close, second.volume) == (OPEN // S + 60, 500_55, 10)
    assert third.opens_s == OPEN // S + 180  # a minute without a trade is simply absent


@pytest.mark.parametrize(("played", "count"), [(OPEN + 60 * S, 1), (OPEN + 61 * S, 2), (OPEN + 199 * S, 2)])
def test_nothing_is_told_that_has_not_been_played(played, count):
    assert len(candles(desk_of(MORNING, played))) == count


def test_the_running_minute_grows_as_the_session_does():
    now = [OPEN + 2 * S]
    desk = CandleDesk(SmallMarket(list(MORNING)), SESSION, lambda: now[0], lambda day: None, 0)
    assert candles(desk)[0].volume == 100
    now[0] = OPEN + 31 * S
    assert candles(desk)[0][1:] == (500_00, 501_00, 499_00, 499_00, 170)


def test_from_and_to_are_both_included():
    desk = desk_of(MORNING)
    assert [bar.opens_s for bar in candles(desk, first=OPEN + 60 * S, last=OPEN + 180 * S)] == [
        OPEN // S + 60,
        OPEN // S + 180,
    ]
    assert len(candles(desk, first=OPEN + 61 * S, last=OPEN + 179 * S)) == 0


def test_pre_open_trades_belong_to_the_first_minute_and_late_stamps_to_none():
    early = trade(ist("09:08"), 498_00, 40)
    wrong = trade(OPEN - 24 * 3600 * S, 1_00, 5_000, sent_at=OPEN + 90 * S)
    (bar,) = candles(desk_of([early, MORNING[0], wrong]))
    assert (bar.open, bar.close, bar.volume) == (498_00, 500_00, 100)


def test_an_index_has_candles_without_volume():
    def level(at: int, value: int) -> tuple[int, bytes]:
        words = (INDEX.token, value, 0, 0, 0, 0, 0, at // S)
        return at, b"".join(word.to_bytes(4) for word in words)

    desk = desk_of([level(OPEN + S, 100_00), level(OPEN + 2 * S, 100_50), level(OPEN + 3 * S, 99_00)])
    (bar,) = candles(desk, token=INDEX.token)
    assert bar[1:] == (100_00, 100_50, 99_00, 99_00, 0)


def test_every_interval_of_kite_is_answered_and_has_a_limit():
    assert set(MINUTES) == set(MAX_DAYS)
    desk = desk_of(MORNING)
    for interval in MINUTES:
        bars = candles(desk, interval, first=calendar.ist_ns(DAY - timedelta(days=6), "00:00"))
        assert sum(bar.volume for bar in bars) == 200


@pytest.fixture(scope="module")
def day_of_trades():
    market = SyntheticMarket(DAY, 7, 3, 0.5)
    bars = MinuteBars(np.array([row.token for row in market.instruments]), market.session)
    packets = np.concatenate([chunk for _, chunk, _ in market.chunks()])
    return market, bars, packets


def test_bars_do_not_depend_on_how_the_packets_were_cut(day_of_trades):
    market, whole, packets = day_of_trades
    whole.add(packets)
    pieces = MinuteBars(np.array([row.token for row in market.instruments]), market.session)
    for piece in np.array_split(packets, 1_000):
        pieces.add(piece.astype(PACKET_DTYPE))
    for row in market.instruments:
        assert whole.bars(row.token) == pieces.bars(row.token)
        assert len(whole.bars(row.token)) > 300


PRICES = st.lists(st.integers(100, 60_000), min_size=4, max_size=4)


@given(
    st.dictionaries(st.integers(0, 374), st.tuples(PRICES, st.integers(0, 500)), min_size=1),
    st.sampled_from(["3minute", "4minute", "15minute", "60minute", "3hour", "day", "week"]),
)
def test_longer_candles_are_the_minutes_joined(traded, interval):
    minutes = []
    for number, (prices, volume) in sorted(traded.items()):
        low, first, last, high = sorted(prices)
        minutes.append(Bar(OPEN // S + 60 * number, first, high, low, last, volume))
    longer = fold(minutes, MINUTES[interval], SESSION)
    starts = [bar.opens_s for bar in longer]
    assert starts == sorted(set(starts))
    for bar, end in zip(longer, [*starts[1:], 2**62], strict=True):
        inside = [minute for minute in minutes if bar.opens_s <= minute.opens_s < end]
        assert bar.open == inside[0].open and bar.close == inside[-1].close
        assert bar.high == max(m.high for m in inside) and bar.low == min(m.low for m in inside)
        assert bar.volume == sum(m.volume for m in inside)
        length = 60 * MINUTES[interval]
        assert length <= 0 or inside[-1].opens_s - bar.opens_s < length
        assert length <= 0 or (bar.opens_s - OPEN // S) % length == 0


def test_earlier_sessions_come_from_their_own_feed_and_no_further_back_than_allowed():
    asked = []

    def earlier(day: date) -> SmallMarket:
        asked.append(day)
        at = calendar.session(day).open_at
        row = packet(ALPHA, 400_00, at=at)
        return SmallMarket([(at, row)], begins_at=at, ends_at=at + 60 * S)

    desk = desk_of(MORNING, earlier=earlier, back=2)
    days = candles(desk, "day", first=calendar.ist_ns(date(2026, 11, 2), "00:00"))
    assert [calendar.ist_date(bar.opens_s * S) for bar in days] == [
        date(2026, 11, 18),
        date(2026, 11, 19),
        DAY,
    ]
    candles(desk, "day", first=calendar.ist_ns(date(2026, 11, 2), "00:00"))
    assert asked == [date(2026, 11, 18), date(2026, 11, 19)]  # played once


def test_asking_for_today_plays_no_other_day():
    asked = []
    candles(desk_of(MORNING, earlier=asked.append))
    assert asked == []
    candles(desk_of(MORNING, earlier=asked.append), "week")
    assert len(asked) == 4  # a week's candle is made of the whole week


def test_a_recording_without_the_earlier_day_just_has_no_candles_of_it():
    desk = desk_of(MORNING)
    assert len(candles(desk, "day", first=calendar.ist_ns(DAY - timedelta(days=10), "00:00"))) == 1


def test_kite_s_client_reads_candles_and_is_told_when_it_asks_for_too_much(sandbox):
    from kiteconnect.exceptions import InputException

    venue = sandbox(SmallMarket(list(MORNING), ends_at=OPEN + 300 * S))
    kite = venue.login()
    venue.start()
    venue.ack(OPEN + 100 * S)
    venue.until(lambda state: state["session_time_ns"] >= OPEN + 62 * S)
    stamps = "2026-11-20 09:15:00", "2026-11-20 09:16:00"
    rows = kite.historical_data(ALPHA.token, *stamps, "minute", oi=True)
    assert [str(row["date"]) for row in rows] == ["2026-11-20 09:15:00+05:30", "2026-11-20 09:16:00+05:30"]
    assert (rows[0]["open"], rows[0]["volume"], rows[0]["oi"]) == (500.0, 180, 0)
    with pytest.raises(InputException, match="interval exceeds max limit: 60 days"):
        kite.historical_data(ALPHA.token, "2026-09-20 00:00:00", "2026-11-20 00:00:00", "minute")
    with pytest.raises(InputException, match="invalid token"):
        kite.historical_data(1, *stamps, "minute")
