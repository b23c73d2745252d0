"""Bars: against plain Python on messy input, and each rule of the session on its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_tape import (
    ALPHA,
    BETA,
    GRACE,
    INDEX,
    NS,
    OPEN,
    bars_of,
    clock,
    closes,
    feed,
    messy_session,
    refusals,
    run,
    spec,
    tick,
)
from plain_bars import PlainBars

from kitepilot.kernels.shard import BarClose, FeedRecord, Rejected, Shard, ShardSpec

START = clock(-1)


def plain_rows(out: BarClose) -> list[tuple[int, ...]]:
    columns = (out.rows, out.open, out.high, out.low, out.close, out.volume, out.tick_count)
    return [tuple(row) for row in np.stack(columns, axis=1).tolist()]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_bars_and_counts_equal_those_of_a_plain_loop_on_a_messy_session(seed: int) -> None:
    tape = messy_session(seed)
    shard, plain = Shard(spec()), PlainBars(spec())
    outputs = [out for out in run(shard, tape) if isinstance(out, BarClose)]
    expected = plain.take(b"".join(tape))
    assert [(out.interval_s, out.close_at, plain_rows(out)) for out in outputs] == expected
    assert {reason: count for reason, count in shard.counts.items() if count} == dict(plain.counts)


def test_a_second_makes_one_bar_in_arrival_order() -> None:
    tape = [START, tick(0, 10_010, 5), tick(0, 10_040, 9), tick(0, 9_990, 30), tick(0, 10_000, 31), clock(3)]
    assert bars_of(run(Shard(spec()), tape))[0] == (10_010, 10_040, 9_990, 10_000, 31 - 5, 4)


def test_a_bar_closes_when_the_clock_passes_its_end_and_the_grace() -> None:
    shard = Shard(spec())
    assert not bars_of(run(shard, [START, tick(0, 10_000, 5), clock(2.499)]))
    assert 0 in bars_of(run(shard, [clock(2.5)]))


def test_a_tick_never_closes_a_bar() -> None:
    outputs = run(Shard(spec()), [START, tick(0, 10_000, 5), *(tick(s, 10_000, s + 9) for s in range(1, 59))])
    assert not closes(outputs)


def test_a_late_tick_is_published_and_its_volume_is_in_the_next_bar() -> None:
    first, late, after = tick(0, 10_000, 100), tick(0, 12_000, 140), tick(3, 10_005, 150)
    outputs = run(Shard(spec()), [START, first, clock(3), late, after, clock(6)])
    bars = bars_of(outputs)
    assert bars[0][:4] == (10_000,) * 4
    assert bars[3] == (10_005, 10_005, 10_005, 10_005, 50, 1)
    assert [(out.reason, out.payload) for out in outputs if isinstance(out, Rejected)] == [("late", late)]


def test_a_silent_instrument_gets_flat_bars_only_after_its_first_trade() -> None:
    outputs = run(Shard(spec()), [START, tick(2, 10_000, 5, quantity=5), clock(8)])
    bars = bars_of(outputs)
    assert sorted(bars) == [2, 3, 4, 5]
    assert bars[2] == (10_000, 10_000, 10_000, 10_000, 5, 1)
    assert bars[5] == (10_000, 10_000, 10_000, 10_000, 0, 0)
    assert not bars_of(outputs, row=1)


def test_every_session_second_closes_even_without_bars() -> None:
    outputs = closes(run(Shard(spec()), [clock(-3), *(clock(half / 2) for half in range(-5, 9))]))
    assert [out.close_at // NS - OPEN for out in outputs] == list(range(-4, 3))


def test_pre_open_packets_are_counted_not_barred_and_their_volume_may_fall() -> None:
    shard = Shard(spec())
    packets = [tick(-830, 10_000, 900), tick(-820, 10_000, 200), tick(-810, 10_000, 0)]
    outputs = run(shard, [clock(-850), *packets, clock(-800)])
    assert shard.counts["pre_open"] == 3
    assert not refusals(outputs)
    assert not bars_of(outputs)


def test_a_packet_after_the_open_with_yesterdays_trade_makes_no_bar() -> None:
    shard = Shard(spec())
    assert not bars_of(run(shard, [START, tick(1, 10_000, 7, traded=-63_000), clock(9)]))
    assert shard.counts["pre_open"] == 1


def test_the_first_volume_counts_from_the_auction() -> None:
    tape = [clock(-200), tick(-190, 10_000, 4_000, traded=-400), START, tick(0, 10_000, 4_030), clock(3)]
    assert bars_of(run(Shard(spec()), tape))[0][4] == 30


def test_an_indicative_volume_of_the_early_pre_open_is_no_baseline() -> None:
    tape = [clock(-600), tick(-590, 10_000, 4_000, traded=-63_000), START, tick(0, 10_000, 4_030, quantity=3)]
    assert bars_of(run(Shard(spec()), [*tape, clock(3)]))[0][4] == 3


def test_ticks_at_the_continuous_close_are_not_barred_and_flat_bars_stop() -> None:
    shard = Shard(spec(length_s=100))
    outputs = run(shard, [clock(90), tick(98, 10_000, 5), clock(98.5), tick(100, 11_000, 9), clock(130)])
    assert sorted(bars_of(outputs)) == [98, 99]
    assert shard.counts["after_close"] == 1
    assert np.isnan(closes(outputs)[-1].features).all()


def test_a_minute_is_made_of_its_seconds() -> None:
    tape = [
        START,
        tick(0, 10_000, 1),
        clock(1),
        tick(31, 10_300, 8),
        clock(31.5),
        tick(59, 9_900, 9),
        clock(62),
    ]
    outputs = run(Shard(spec()), tape)
    assert bars_of(outputs, interval_s=60) == {0: (10_000, 10_300, 9_900, 9_900, 8, 3)}
    last_second, minute = [
        out for out in outputs if isinstance(out, BarClose) and out.close_at == (OPEN + 60) * NS
    ]
    assert (last_second.interval_s, minute.interval_s) == (1, 60)
    assert minute.features.tobytes() == last_second.features.tobytes()


def test_an_index_has_bars_without_volume_or_book() -> None:
    tape = [START, tick(0, 2_512_345, token=INDEX, previous=2_500_000), clock(3)]
    outputs = run(Shard(spec()), tape)
    assert bars_of(outputs, row=3)[0] == (2_512_345,) * 4 + (0, 1)
    assert closes(outputs)[-1].bid_paise[3] == 0


@pytest.mark.parametrize(
    ("reason", "record"),
    [
        ("unknown_token", tick(1, 10_000, 9, token=12_801)),
        ("off_grid", tick(1, 10_001, 9)),
        ("bad_price", tick(1, 0, 9)),
        ("bad_price", tick(1, 30_005, 9)),
        ("bad_price", tick(1, 3_330, 9)),
        ("volume_fell", tick(1, 10_000, 4)),
        ("negative_volume", tick(1, 10_000, 2**32 - 10)),
        ("not_today", tick(1 - 86_400, 10_000, 9)),
        ("not_today", tick(-OPEN, 10_000, 9, book=(9_995, 10_005, 1, 1))),
        ("not_full", tick(-OPEN, 10_000, 9, traded=-OPEN)),
        ("future", tick(61, 10_000, 9)),
        ("late", tick(-3 + 1, 10_000, 9)),
        ("bad_own_record", feed(1, "x")[:12] + (7).to_bytes(4, "big") + feed(1, "x")[16:]),
        ("clock_jump", clock(-5)),
        ("clock_jump", clock(86_400)),
    ],
)
def test_bad_input_is_refused_whole_and_the_bar_is_unharmed(reason: str, record: bytes) -> None:
    early = spec(tokens=(ALPHA, BETA))
    shard = Shard(
        ShardSpec(early.tokens, early.tick_size_paise, early.open_at - 60 * NS, early.close_at, GRACE)
    )
    good = tick(0, 10_000, 5)
    outputs = run(shard, [clock(0.5), good, record, clock(3)])
    assert [(out.reason, out.payload, out.count) for out in outputs if isinstance(out, Rejected)] == [
        (reason, record, 1)
    ]
    assert shard.counts[reason] == 1
    assert bars_of(outputs)[0] == (10_000,) * 4 + (0, 1)


def test_a_price_at_the_edge_of_the_absurd_is_taken_and_one_tick_past_it_is_not() -> None:
    outputs = run(Shard(spec()), [START, tick(0, 30_000, 5), tick(0, 3_335, 5), clock(3)])
    assert bars_of(outputs)[0][5] == 2
    assert refusals(run(Shard(spec()), [START, tick(0, 30_005, 5), clock(3)])) == {"bad_price": 1}
    assert refusals(run(Shard(spec()), [START, tick(0, 3_330, 5), clock(3)])) == {"bad_price": 1}


def test_a_tick_sixty_seconds_ahead_waits_for_its_second() -> None:
    outputs = run(Shard(spec()), [clock(0), tick(60, 10_000, 5), clock(63)])
    assert sorted(bars_of(outputs)) == [60]


def test_exact_repeats_are_counted_and_change_nothing() -> None:
    once, again = tick(0, 10_000, 5), Shard(spec())
    outputs = run(again, [START, once, once, once, clock(3)])
    assert bars_of(outputs) == bars_of(run(Shard(spec()), [START, once, clock(3)]))
    assert again.counts["duplicate"] == 2
    assert not refusals(outputs)


def test_a_count_that_starts_again_is_followed_after_twenty_falls() -> None:
    falls = [tick(1, 10_000, volume) for volume in range(1, 21)]
    shard = Shard(spec())
    tape = [START, tick(0, 10_000, 5_000), clock(1), *falls, tick(1, 10_000, 24), clock(4)]
    assert bars_of(run(shard, tape))[1] == (10_000,) * 4 + (4, 2)
    assert shard.counts["volume_fell"] == 19
    assert shard.counts["volume_reset"] == 1


def test_before_the_first_clock_nothing_can_be_placed() -> None:
    assert refusals(run(Shard(spec()), [tick(0, 10_000, 5), START])) == {"no_clock": 1}


def test_a_clock_that_goes_back_is_ignored() -> None:
    shard = Shard(spec())
    outputs = run(shard, [clock(0), tick(5, 10_000, 5), clock(8), clock(2), clock(8.5)])
    assert refusals(outputs) == {"clock_jump": 1}
    assert shard.watermark == OPEN * NS + 8_500_000_000
    times = [out.close_at for out in closes(outputs)]
    assert times == sorted(set(times))


def test_a_leap_of_five_minutes_closes_every_second_and_a_longer_one_is_bounded_and_said() -> None:
    within = run(Shard(spec()), [clock(0), tick(0, 10_000, 5), clock(300)])
    assert not refusals(within)
    assert len(closes(within)) == 300
    leap = clock(7_200)
    beyond = run(Shard(spec()), [clock(0), tick(0, 10_000, 5), leap, tick(7_200, 10_100, 9), clock(7_203)])
    letter = next(out for out in beyond if isinstance(out, Rejected))
    assert (letter.reason, letter.payload) == ("clock_jump", leap)
    assert "6900 one-second bars" in letter.detail
    assert len(closes(beyond)) == 300 + 3
    assert bars_of(beyond)[7_200] == (10_100, 10_100, 10_100, 10_100, 4, 1)


def test_a_feed_record_keeps_its_place() -> None:
    outputs = run(Shard(spec()), [START, tick(0, 10_000, 5), clock(2.5), feed(2.6, "down: reset"), clock(4)])
    kinds = [type(out).__name__ for out in outputs]
    assert kinds.index("FeedRecord") == len(closes(run(Shard(spec()), [START, clock(2.5)])))
    down = next(out for out in outputs if isinstance(out, FeedRecord))
    assert (down.state, down.text, down.event_at) == ("down", "down: reset", OPEN * NS + 2_600_000_000)


def test_quotes_are_the_newest_known_and_changed_is_since_the_close_before() -> None:
    book = (9_995, 10_005, 50, 60)
    later = tick(1, 10_005, 6, book=(10_000, 10_010, 50, 60))
    first, second = closes(
        run(Shard(spec()), [clock(1.5), tick(0, 10_000, 5, book=book), later, clock(3.5)])
    )[-2:]
    assert (first.last_paise[0], first.bid_paise[0], first.ask_paise[0]) == (10_005, 10_000, 10_010)
    assert first.quoted_at[0] == (OPEN + 1) * NS
    assert first.changed.tolist() == [True, False, False, False]
    assert not second.changed.any()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"tokens": np.array([257, 257])}, "twice"),
        ({"tokens": np.array([0, 257])}, "32-bit"),
        ({"tick_size_paise": np.array([5, 0])}, "tick size"),
        ({"grace_ns": 60 * NS + 1}, "grace"),
        ({"close_at": np.array([0, 0])}, "ends before"),
        ({"open_at": np.array([OPEN * NS - 86_400 * NS, OPEN * NS])}, "IST date"),
        ({"open_at": np.array([OPEN * NS])}, "equal length"),
    ],
)
def test_a_shard_that_makes_no_sense_is_refused(change: dict[str, object], text: str) -> None:
    good = spec(tokens=(ALPHA, BETA))
    fields = {
        name: getattr(good, name) for name in ("tokens", "tick_size_paise", "open_at", "close_at", "grace_ns")
    }
    with pytest.raises(ValueError, match=text):
        ShardSpec(**(fields | change))
