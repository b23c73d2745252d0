"""What makes each strategy speak, what keeps it silent, and what a user's mistake is told."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.events import Side
from kitepilot.kernels.shard import FEATURE_NAMES
from kitepilot.strategies.cooldown import NS, Cooldown
from kitepilot.strategies.micro_momentum import MicroMomentum
from kitepilot.strategies.plugins import PluginError, make_strategies
from kitepilot.strategies.port import MarketView, Wish
from kitepilot.strategies.score_follower import ScoreFollower
from kitepilot.strategies.vwap_reversion import VwapReversion

NOON = 1_795_160_000 * NS
TOKENS = (257, 513, 769)
CALM: dict[str, float] = dict.fromkeys(FEATURE_NAMES, 0.0) | {
    "minutes_since_open": 120.0,
    "spread": 2.0,
    "vol_300s": 10.0,
    "volume_ratio": 2.0,
}
STRETCHED = {"vwap_dev": 150.0, "ret_60s": -5.0}
LEANING = {"imbalance_l5": 0.7, "trade_imbalance_10s": 0.9, "trade_imbalance_60s": 0.6}


def view(
    rows: list[dict[str, float]], interval_s: int = 60, at: int = NOON, score: list[float] | None = None
) -> MarketView:
    n = len(rows)
    features = np.array([[(CALM | row)[name] for name in FEATURE_NAMES] for row in rows])
    price = np.full(n, 50_000, dtype=np.int64)
    return MarketView(
        interval_s=interval_s,
        close_at=at,
        tokens=np.array(TOKENS[:n], dtype=np.int64),
        tradingsymbols=tuple(f"KP{token}" for token in TOKENS[:n]),
        names=FEATURE_NAMES,
        features=features,
        scores={"blend": np.array(score)} if score is not None else {},
        last_paise=price,
        bid_paise=price - 5,
        ask_paise=price + 5,
    )


def sides(wishes: list[Wish]) -> list[tuple[int, Side | None]]:
    return [(wish.row, wish.side) for wish in wishes]


def test_the_same_is_seen_in_bars_alone_when_it_is_told_to_read_them() -> None:
    unseen = dict.fromkeys(("vwap_dev", "ret_60s", "vol_300s", "spread"), float("nan"))
    above = {**unseen, "bar_vwap_dev": 150.0, "ret_1m": -5.0, "vol_60m": 10.0}
    still = {**unseen, "bar_vwap_dev": 150.0, "ret_1m": 0.0, "vol_60m": 10.0}
    assert sides(VwapReversion({"from_bars": 1}).on_close(view([above, still]))) == [(0, Side.SELL)]
    assert VwapReversion({}).on_close(view([above, still])) == []


def test_a_price_far_above_vwap_that_turns_is_sold_and_one_far_below_bought() -> None:
    below = {"vwap_dev": -150.0, "ret_60s": 5.0}
    wishes = VwapReversion({}).on_close(view([{}, STRETCHED, below]))
    assert sides(wishes) == [(1, Side.SELL), (2, Side.BUY)]


@pytest.mark.parametrize(
    "unless",
    [
        {"ret_60s": 5.0},
        {"spread": 50.0},
        {"vol_300s": 100.0},
        {"minutes_since_open": 5.0},
        {"minutes_since_open": 350.0},
        {"vwap_dev": float("nan")},
    ],
    ids=["still running away", "wide spread", "volatile", "too early", "too late", "warming up"],
)
def test_vwap_reversion_stays_silent_when(unless: dict[str, float]) -> None:
    assert VwapReversion({}).on_close(view([STRETCHED | unless])) == []


def test_a_book_and_trades_that_lean_the_same_way_are_followed() -> None:
    other_way = {name: -value for name, value in LEANING.items()}
    wishes = MicroMomentum({}).on_close(view([LEANING, other_way, {}], interval_s=1))
    assert sides(wishes) == [(0, Side.BUY), (1, Side.SELL)]


@pytest.mark.parametrize("name", [*LEANING, "volume_ratio"])
def test_micro_momentum_needs_every_sign(name: str) -> None:
    assert MicroMomentum({}).on_close(view([LEANING | {name: 0.0}], interval_s=1)) == []


def test_micro_momentum_does_not_chase_a_move_that_was_made() -> None:
    assert MicroMomentum({}).on_close(view([LEANING | {"ret_10s": 15.0}], interval_s=1)) == []


def test_a_likely_rise_is_bought_and_left_once_when_the_score_falls() -> None:
    follower = ScoreFollower({"entry_score": 0.6, "exit_score": 0.2, "horizon_s": 300})
    minute = 60 * NS
    history = [
        follower.on_close(view([{}, {}], at=NOON + number * minute, score=score))
        for number, score in enumerate([[0.7, 0.5], [0.1, 0.1], [0.1, 0.1]])
    ]
    assert [sides(wishes) for wishes in history] == [[(0, Side.BUY)], [(0, None)], []]


def test_a_wish_whose_horizon_is_over_is_not_left_again() -> None:
    follower = ScoreFollower({"entry_score": 0.6, "exit_score": 0.2, "horizon_s": 60})
    assert sides(follower.on_close(view([{}], score=[0.7]))) == [(0, Side.BUY)]
    assert follower.on_close(view([{}], at=NOON + 60 * NS, score=[0.1])) == []


def test_score_follower_is_silent_without_a_score() -> None:
    assert ScoreFollower({}).on_close(view([{}], score=[float("nan")])) == []
    assert ScoreFollower({}).on_close(view([{}])) == []


@pytest.mark.parametrize("make", [VwapReversion, MicroMomentum, ScoreFollower])
def test_an_instrument_is_silent_until_its_cooldown_is_over_also_after_a_restart(make: type) -> None:
    def close(at: int) -> MarketView:
        return view([STRETCHED | LEANING | {"ret_60s": -5.0}], interval_s=60, at=at, score=[0.99])

    first = make({"cooldown_s": 100})
    assert len(first.on_close(close(NOON))) == 1
    again = make({"cooldown_s": 100})
    again.restore(first.snapshot())
    assert again.on_close(close(NOON + 99 * NS)) == []
    assert len(again.on_close(close(NOON + 100 * NS))) == 1


@given(closes=st.lists(st.tuples(st.sampled_from(TOKENS), st.integers(0, 500)), max_size=60))
def test_a_token_never_speaks_twice_within_its_cooldown(closes: list[tuple[int, int]]) -> None:
    cooldown, spoken = Cooldown(seconds=60), []
    tokens = np.array(TOKENS, dtype=np.int64)
    for token, second in sorted(closes, key=lambda pair: pair[1]):
        if cooldown.choose(np.array([TOKENS.index(token)]), tokens, second * NS):
            spoken.append((token, second))
    for token in TOKENS:
        times = [second for spoke, second in spoken if spoke == token]
        assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(times))


def test_a_view_names_the_features_there_are() -> None:
    with pytest.raises(KeyError, match="vwap_dev"):
        view([{}]).feature("vwap")


@pytest.mark.parametrize(
    ("enabled", "parameters", "told"),
    [
        (["vwap_reversal"], {}, "did you mean `vwap_reversion`"),
        (["micro_momentum"] * 2, {}, "twice"),
        (["micro_momentum"], {"score_follower": {"entry_score": 0.5}}, "not in strategies.enabled"),
        (["vwap_reversion"], {"vwap_reversion": {"entry_stretsh": 2}}, "did you mean `entry_stretch`"),
        (["vwap_reversion"], {"vwap_reversion": {"stop_bps": 0}}, "outside 1"),
        (["vwap_reversion"], {"vwap_reversion": {"stop_bps": float("nan")}}, "outside 1"),
        (["score_follower"], {"score_follower": {"exit_score": 0.9}}, "not below"),
    ],
)
def test_a_mistake_in_the_configuration_is_explained(
    enabled: list[str], parameters: dict[str, dict[str, float]], told: str
) -> None:
    with pytest.raises(PluginError, match=told):
        make_strategies(enabled, parameters, FEATURE_NAMES)


def test_a_strategy_whose_features_do_not_exist_is_refused_before_the_day() -> None:
    with pytest.raises(PluginError, match="imbalance_l5"):
        make_strategies(["micro_momentum"], {}, ["spread"])


@pytest.mark.parametrize(
    "bad", [{"strength": 1.1}, {"horizon_s": 0}, {"stop_bps": 0}, {"take_profit_bps": 10_001}]
)
def test_a_wish_outside_its_bounds_cannot_be_made(bad: dict[str, float]) -> None:
    usual = {
        "row": 0,
        "side": Side.BUY,
        "strength": 1.0,
        "horizon_s": 60,
        "stop_bps": 10,
        "take_profit_bps": 10,
    }
    assert Wish(**usual)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="wish"):
        Wish(**usual | bad)  # type: ignore[arg-type]
