"""A session of bars is traded by the same folds as a live one, and never kinder than the bars were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from typing import cast

import numpy as np
import pytest
from bar_days import DAY, Fails, Scripted, bars_of, flat, plan_of, scripted
from hypothesis import given, settings
from hypothesis import strategies as st

from kitepilot.events import ApprovedIntent, Filled, Purpose, Side
from kitepilot.kernels.features import FEATURE_NAMES
from kitepilot.market.calendar import ist_ns
from kitepilot.orders.charges import ExecutedOrder, charges_for
from kitepilot.strategies.ma_cross import MaCross
from kitepilot.strategies.port import MarketView, Strategy, Wish
from kitepilot.strategies.score_follower import ScoreFollower
from kitepilot.strategies.vwap_reversion import VwapReversion
from research.bar_engine.backtest import NothingToTradeError, backtest
from research.bar_engine.features import bar_features, rows_of
from research.bar_engine.session import SessionResult, trade_session
from research.bar_engine.venue import BarVenue, Minute
from research.bars import MINUTE_NS, SessionBars
from research.fills.model import FillModel
from research.generated_bars import GeneratedBars, weekdays

MA = partial(MaCross, {})
PAYING = FillModel()


def traded(wishes: dict[tuple[int, int], str], bars: SessionBars, **plan: int) -> SessionResult:
    return trade_session(plan_of(scripted(wishes, **plan)), bars)


def test_an_order_decided_at_a_close_fills_in_the_next_bar_at_its_open() -> None:
    path = flat(10)
    path[4] = (100_05, 101_00, 99_00, 100_00, 10_000)
    (trade,) = traded({(3, 0): "BUY", (5, 0): ""}, bars_of(path)).trades
    assert (trade.entry_paise, trade.quantity) == (10 * 100_05, 10)
    assert trade.opened_at - ist_ns(DAY, "09:15") == 4 * MINUTE_NS + 10**9
    assert trade.exit_reason == "signal"


def test_nothing_fills_in_a_bar_without_volume_and_an_exit_comes_again() -> None:
    path = flat(12)
    path[4] = (100_00, 100_00, 100_00, 100_00, 0)
    path[8] = None
    result = traded({(3, 0): "BUY", (5, 0): "BUY", (7, 0): ""}, bars_of(path))
    (trade,) = result.trades
    start = ist_ns(DAY, "09:15")
    assert trade.opened_at // MINUTE_NS == (start + 6 * MINUTE_NS) // MINUTE_NS
    assert trade.closed_at // MINUTE_NS == (start + 9 * MINUTE_NS) // MINUTE_NS
    assert result.noted["orders that met no traded bar fill nothing"] >= 2


def test_a_bar_that_reaches_stop_and_profit_is_a_loss() -> None:
    path = flat(8)
    path[6] = (100_00, 103_00, 97_00, 100_00, 10_000)
    (trade,) = traded({(3, 0): "BUY"}, bars_of(path), stop_bps=200, take_profit_bps=200).trades
    assert trade.exit_reason == "stop"
    assert trade.exit_paise == 10 * 98_00


def test_a_profit_is_taken_at_its_price_and_not_at_the_high() -> None:
    path = flat(8)
    path[6] = (100_00, 103_00, 99_50, 102_00, 10_000)
    (trade,) = traded(
        {(3, 0): "SELL"},
        bars_of(flat(4) + path[4:6] + [(100_00, 100_50, 97_00, 97_50, 9_000)] * 2),
        stop_bps=300,
        take_profit_bps=200,
    ).trades
    assert trade.exit_reason == "take_profit"
    assert trade.exit_paise == 10 * 98_00


def test_a_gap_through_the_stop_leaves_at_the_open() -> None:
    path = flat(6) + [(95_00, 95_50, 94_00, 95_00, 10_000)] * 3
    (trade,) = traded({(3, 0): "BUY"}, bars_of(path), stop_bps=200).trades
    assert trade.exit_reason == "stop"
    assert trade.exit_paise == 10 * 95_00


def test_a_position_opened_in_a_bar_can_be_stopped_in_it() -> None:
    path = flat(8)
    path[4] = (100_00, 100_50, 97_00, 100_00, 10_000)
    (trade,) = traded({(3, 0): "BUY"}, bars_of(path), stop_bps=200).trades
    assert trade.exit_reason == "stop"
    assert trade.closed_at - trade.opened_at < MINUTE_NS


def test_a_thin_bar_fills_a_part_and_the_position_leaves_over_many_bars() -> None:
    bars = bars_of(flat(20, volume=40))
    result = traded({(3, 0): "BUY", (6, 0): ""}, bars)
    (trade,) = result.trades
    assert trade.quantity == 4, "a tenth of forty shares"
    assert trade.exit_reason == "signal"


def test_at_a_locked_circuit_one_side_finds_nobody() -> None:
    locked = [(120_00, 120_00, 120_00, 120_00, 5_000)] * 12
    for side, filled in (("BUY", 0), ("SELL", 1)):
        result = traded({(3, 0): side, (6, 0): ""}, bars_of(locked))
        assert len(result.trades) == filled
        assert result.noted["orders at a locked circuit fill nothing"] > 0
        if side == "SELL":
            assert result.trades[0].exit_reason == "carried", "who is short cannot buy back"
            assert "could not be closed" in result.complaints[0]


def whole_day(minutes: int = 375) -> SessionBars:
    return bars_of(flat(minutes))


def test_the_day_is_left_at_the_calendars_square_off() -> None:
    (trade,) = traded({(10, 0): "BUY"}, whole_day()).trades
    assert trade.exit_reason == "square_off"
    assert ist_ns(DAY, "15:10") < trade.closed_at < ist_ns(DAY, "15:11") + 2 * 10**9
    assert traded({(340, 0): "BUY"}, whole_day()).denials["entry_cutoff"] == 1


def test_what_is_still_held_the_broker_closes_for_its_fee() -> None:
    path = flat(375)
    path[353:368] = [None] * 15  # nothing trades from our square-off until after the broker's
    (trade,) = traded({(10, 0): "BUY"}, bars_of(path)).trades
    assert trade.exit_reason == "broker"
    value = 10 * 100_00
    both = [ExecutedOrder(side=Side.BUY, quantity=10, notional_paise=value)]
    both.append(ExecutedOrder(side=Side.SELL, quantity=10, notional_paise=value, auto_square_off=True))
    assert trade.charges_paise == charges_for(both, DAY).total_paise


def test_stocks_with_a_closing_auction_are_left_before_theirs() -> None:
    day = date(2026, 11, 20)
    with_auction = [*flat(360), *([None] * 15)]
    result = traded({(10, 0): "BUY", (10, 1): "BUY"}, bars_of(with_auction, flat(375), day=day))
    assert {trade.exit_reason for trade in result.trades} == {"square_off"}
    assert all(trade.closed_at < ist_ns(day, "15:06") for trade in result.trades)
    assert sum(count for text, count in result.noted.items() if "closing auction" in text) == 1


def test_a_special_session_is_traded_only_when_asked_for_and_by_its_own_hours() -> None:
    day = date(2025, 10, 21)
    bars = bars_of(flat(60), day=day, opens="13:45")
    plan = plan_of(scripted({(5, 0): "BUY"}))
    with pytest.raises(ValueError, match="Muhurat"):
        trade_session(plan, bars)
    (trade,) = trade_session(replace(plan, special=True), bars).trades
    assert trade.exit_reason == "square_off"
    assert trade.closed_at < ist_ns(day, "14:45")


@settings(max_examples=12)
@given(
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.2]),
    st.sampled_from([FillModel(), FillModel(impact_bps=60)]),
)
def test_the_trades_add_up_to_the_folds_account_and_no_price_is_outside_its_bar(
    seed: int, missing: float, fills: FillModel
) -> None:
    source = GeneratedBars(3, [DAY], seed=seed, missing=missing, volatility_bps=20)
    bars = source.read(DAY)
    result = trade_session(plan_of(MA, fills), bars)
    assert sum(trade.gross_paise for trade in result.trades) == result.curve.gross_paise[-1]
    assert sum(trade.net_paise for trade in result.trades) == result.curve.net_paise[-1]
    assert sum(result.charges.values()) == sum(trade.charges_paise for trade in result.trades)
    for trade in result.trades:
        column = bars.symbols.index(trade.tradingsymbol)
        minute = int(np.searchsorted(bars.close_at, trade.opened_at))
        price = trade.entry_paise / trade.quantity
        assert bars.low[minute, column] <= price <= bars.high[minute, column]
        first, last = minute, int(np.searchsorted(bars.close_at, trade.closed_at))
        price = trade.exit_paise / trade.quantity
        assert bars.low[first : last + 1, column][bars.present[first : last + 1, column]].min() <= price
        assert price <= bars.high[first : last + 1, column].max()


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.integers(30, 370))
def test_bars_after_a_minute_never_change_what_was_traded_before_it(seed: int, cut: int) -> None:
    bars = GeneratedBars(3, [DAY], seed=seed, volatility_bps=20).read(DAY)
    other = GeneratedBars(3, [DAY], seed=seed + 1, volatility_bps=20).read(DAY)
    mixed = {
        name: np.concatenate([getattr(bars, name)[:cut], getattr(other, name)[cut:]])
        for name in ("open", "high", "low", "close", "volume", "present")
    }
    plan, until = plan_of(MA, PAYING), int(bars.close_at[cut - 1])
    whole, other_end = trade_session(plan, bars), trade_session(plan, replace(bars, **mixed))
    before = [[t for t in result.trades if t.closed_at <= until] for result in (whole, other_end)]
    key = [[(t.tradingsymbol, t.opened_at, t.closed_at, t.gross_paise) for t in some] for some in before]
    assert key[0] == key[1]
    assert np.array_equal(whole.curve.net_paise[:cut], other_end.curve.net_paise[:cut])


@pytest.mark.parametrize("how", ["raises", "loops"])
def test_a_strategy_that_fails_is_named_and_the_others_go_on(how: str) -> None:
    plan = plan_of(scripted({(5, 0): "BUY", (8, 0): ""}))
    both = replace(plan, make_strategies=partial(_with_failing, how), limit_s=0.5)
    result = trade_session(both, bars_of(flat(20)))
    assert len(result.trades) == 1
    (complaint,) = result.complaints
    assert "strategy broken" in complaint
    assert "2026-04-01 09:18" in complaint


def _with_failing(how: str) -> dict[str, object]:
    return {"broken": Fails(how), "scripted": Scripted({(5, 0): "BUY", (8, 0): ""})}


def test_the_result_is_the_same_over_any_number_of_processes() -> None:
    source = GeneratedBars(4, weekdays(date(2026, 4, 6), 4), seed=5, volatility_bps=20)
    plan = plan_of(MA, PAYING)
    one, two = (backtest(plan, source, name="ma_cross", jobs=jobs) for jobs in (1, 2))
    assert one.trades
    assert (one.trades, one.denials, one.charges, one.assumptions) == (
        two.trades,
        two.denials,
        two.charges,
        two.assumptions,
    )
    assert np.array_equal(one.curve.net_paise, two.curve.net_paise)
    assert one.net_paise == int(one.curve.net_paise[-1])


def test_closed_days_and_missing_sessions_are_left_out_by_name() -> None:
    holiday = date(2026, 4, 3)
    source = GeneratedBars(2, [date(2026, 4, 2), holiday], seed=5)
    found = backtest(
        plan_of(MA), source, name="ma_cross", sessions=[date(2026, 4, 2), holiday, date(2026, 4, 6)]
    )
    assert found.sessions == (date(2026, 4, 2),)
    assert ["2026-04-03" in found.left_out[0], "2026-04-06" in found.left_out[1]] == [True, True]
    with pytest.raises(NothingToTradeError, match="2026-04-03"):
        backtest(plan_of(MA), source, name="ma_cross", sessions=[holiday])


def test_the_loss_cap_ends_the_day() -> None:
    path = [*flat(6), *flat(20, price=92_00)]
    wishes = {(3, 0): "BUY", (3, 1): "BUY", (12, 0): "BUY"}
    plan = plan_of(scripted(wishes, stop_bps=200), daily_loss_rupees=60)
    result = trade_session(plan, bars_of(path, flat(26)))
    assert [trade.exit_reason for trade in result.trades] == ["daily_loss", "daily_loss"]
    assert result.states[0].startswith("reducing: daily_loss")
    assert result.denials["trading_state"] == 1


def waiting_order(limit: int) -> ApprovedIntent:
    """Five hundred shares to buy at a limit for the day: the fold itself sends only IOC."""
    return ApprovedIntent(
        source="decisions.intents",
        seq=0,
        event_at=0,
        intent_id="A" * 18,
        run_id="bars",
        config_hash="",
        signal_id="",
        verdict_id="",
        strategy="",
        purpose=Purpose.ENTRY,
        token=257,
        tradingsymbol="S0",
        side=Side.BUY,
        quantity=500,
        order_type="LIMIT",
        limit_price_paise=limit,
        validity="DAY",
        decision_price_paise=limit,
        received_at=0,
        signal_emitted_at=0,
    )


def test_an_order_that_waits_fills_behind_the_queue_at_its_price_and_freely_once_traded_through() -> None:
    plan = plan_of(scripted({}), FillModel(participation_bps=1_000, queue_bps=2_500))
    venue = BarVenue(plan, "bars", {257: 0}, [5], Counter())
    assert venue.send(waiting_order(99_00)) is None

    def minute(low: int, volume: int) -> list[tuple[int, int]]:
        bar = Minute([100_00], [100_50], [low], [volume], [True], [0])
        told = [*venue.meet(bar, {}, 1), *venue.rest(bar, 2)]
        return [(each.price_paise, each.quantity) for each in told if isinstance(each, Filled)]

    assert minute(99_05, 10_000) == []
    assert minute(99_00, 4_000) == [(99_00, 100)], "a quarter of a tenth at the price"
    assert minute(98_95, 3_000) == [(99_00, 300)], "a tenth once it trades through"
    assert minute(98_00, 90_000) == [(99_00, 100)]
    assert not venue.waiting


class FollowsAFeature:
    """Buys what has risen over five minutes; leaves by its horizon."""

    requires = ("ret_5m", "ret_1s", "spread")
    interval_s = 60

    def on_close(self, view: MarketView) -> list[Wish]:
        assert view.feature("spread")[0] > 0
        rise = view.feature("ret_5m")
        return [Wish(row, Side.BUY, 1.0, 600, 500, 500) for row in np.flatnonzero(rise > 20).tolist()]

    def snapshot(self) -> bytes:
        return b""

    def restore(self, blob: bytes) -> None:
        del blob


def test_features_are_the_live_kernels_and_what_bars_do_not_give_is_said() -> None:
    bars = GeneratedBars(4, [DAY], seed=3, volatility_bps=20).read(DAY)
    plan = replace(plan_of(partial(follower, {}), PAYING), features=bar_features())
    result = trade_session(plan, bars)
    assert not result.complaints
    assert result.trades
    rows = rows_of(bars)[:, :, FEATURE_NAMES.index("ret_5m")]
    for trade in result.trades:
        minute = int(np.searchsorted(bars.close_at, trade.opened_at)) - 1
        assert rows[minute, bars.symbols.index(trade.tradingsymbol)] > 20
    missing = [text for text in result.noted if "ret_1s" in text]
    assert len(missing) == 1
    assert not any("spread" in text for text in result.noted), "the modelled one stands in"


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        (VwapReversion({}), "vwap_dev, vol_300s, ret_60s"),
        (VwapReversion({"from_bars": 1}), ""),
        (ScoreFollower({}), "scores (blend)"),
    ],
    ids=["of ticks", "of bars", "of scores"],
)
def test_a_strategy_that_bars_leave_silent_is_told_why_and_no_other(strategy: Strategy, said: str) -> None:
    bars = GeneratedBars(2, [DAY], seed=3).read(DAY)
    noted = trade_session(replace(plan_of(lambda: strategy), features=bar_features()), bars).noted
    about = [text for text in noted if text.startswith(("scripted reads", "scripted rests"))]
    assert [text for text in about if said in text] == about
    assert len(about) == bool(said)


def follower(parameters: Mapping[str, float]) -> Strategy:
    del parameters
    return cast(Strategy, FollowsAFeature())
