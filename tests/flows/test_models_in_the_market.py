"""Live, canary, shadows and a rollback inside the market flow: who is followed, who only watches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from market_tape import parameters, tape

from flows import market
from kitepilot.events import DeadLetter, FeaturesComputed, ModelActivated, SignalRaised
from kitepilot.kernels.shard import FEATURE_NAMES
from kitepilot.market.pipeline import MarketPipeline, Out
from kitepilot.market.ticks import KIND_MODEL, own_record
from kitepilot.models.loading import make_online
from kitepilot.models.online_features import ONLINE_COLUMNS, ONLINE_FEATURES
from kitepilot.models.panel import Panel, canary_rows
from kitepilot.models.score_stream import Settings
from kitepilot.strategies.plugins import make_strategies

TAPE = tape(minutes=12)
TOKENS = np.array([one.token for one in parameters().instruments], dtype=np.int64)


class Model:
    """Scores what a feature says, turned by `sign`; raises from a close on when told to."""

    def __init__(self, model_id: str, sign: float = 1.0, raises_at: int = 1_000) -> None:
        self.model_id = model_id
        self._sign, self._raises_at, self._calls = sign, raises_at, 0

    def score(self, x: np.ndarray) -> np.ndarray:
        self._calls += 1
        if self._calls > self._raises_at:
            raise RuntimeError("no memory left")
        return 1.0 / (1.0 + np.exp(-self._sign * x[:, FEATURE_NAMES.index("ret_60s")] / 20.0))


def flow(panel: Panel, online: bool = True) -> MarketPipeline:
    follower = {"score_follower": {"from_minute": 1, "entry_score": 0.55, "cooldown_s": 60}}
    return MarketPipeline(
        market.shard_spec(parameters(), grace_ms=1_500),
        [one.tradingsymbol for one in parameters().instruments],
        make_strategies(["score_follower"], follower, FEATURE_NAMES),
        panel,
        make_online("river_logistic", ONLINE_FEATURES) if online else None,
        scoring=Settings(online_columns=ONLINE_COLUMNS),
    )


def played(messages: Sequence[bytes], pipeline: MarketPipeline) -> list[Out]:
    return [out for message in messages for out in pipeline.on_message(message)]


def only(out: list[Out], kind: type) -> list:
    return [event for _, event in out if isinstance(event, kind)]


def told(out: list[Out]) -> list[str]:
    """Signals by what they ask for: what a shadow must not change. As text: a NaN equals itself there."""
    return [repr((s.signal_id, s.side, s.strength, s.scores, s.models)) for s in only(out, SignalRaised)]


def word(text: str) -> bytes:
    return own_record(KIND_MODEL, 0, 0, text)


def test_a_shadow_is_scored_beside_the_others_and_changes_nothing_that_is_followed() -> None:
    alone = played(TAPE, flow(Panel(Model("live-1"))))
    watched = played(TAPE, flow(Panel(Model("live-1"), shadows=[Model("shadow-1", -1.0)])))
    assert told(alone) and told(alone) == told(watched)
    for before, after in zip(only(alone, FeaturesComputed), only(watched, FeaturesComputed), strict=True):
        shadow = np.array(after.scores.pop("shadow-1"))
        assert repr(before.scores) == repr(after.scores)  # repr: a NaN equals itself
        live = np.array(before.scores["live-1"])
        np.testing.assert_allclose(shadow, 1.0 - live, rtol=1e-12)


def test_a_shadow_that_fails_is_off_with_a_letter_and_the_day_goes_on() -> None:
    out = played(TAPE, flow(Panel(Model("live-1"), shadows=[Model("shadow-1", raises_at=3)])))
    assert told(out) == told(played(TAPE, flow(Panel(Model("live-1")))))
    (letter,) = [each for each in only(out, DeadLetter) if each.reason == "model_failed"]
    assert letter.detail == "model shadow-1 is off for the day: RuntimeError: no memory left"
    having = ["shadow-1" in event.scores for event in only(out, FeaturesComputed)]
    assert having == [True] * 3 + [False] * (len(having) - 3)


def test_every_signal_that_follows_scores_names_the_models_behind_them() -> None:
    """The canary's instruments name the canary, the others the live model; the online one with a score."""
    share = 0.5
    mine = dict(zip(TOKENS.tolist(), canary_rows(TOKENS, share).tolist(), strict=True))
    assert 0 < sum(mine.values()) < len(mine), "the instruments of this test are all on one side"
    out = played(TAPE, flow(Panel(Model("live-1"), Model("canary-1"), canary_share=share)))
    signals = only(out, SignalRaised)
    assert {mine[signal.token] for signal in signals} == {True, False}
    for signal in signals:
        offline = "canary-1" if mine[signal.token] else "live-1"
        online = signal.scores["river_logistic"]
        assert signal.models == (offline, *(["river_logistic"] if np.isfinite(online) else []))


def test_a_canary_that_fails_leaves_its_instruments_to_the_live_model() -> None:
    out = played(TAPE, flow(Panel(Model("live-1"), Model("canary-1", raises_at=0), canary_share=0.5)))
    assert {signal.models[0] for signal in only(out, SignalRaised)} == {"live-1"}


def test_an_activation_takes_its_place_in_the_order_of_the_ticks_and_survives_a_restart() -> None:
    """Followed from the next minute on, equal whether the flow was killed around it or not."""
    middle = len(TAPE) // 2
    messages = [*TAPE[:middle], word("before-1 it loses"), *TAPE[middle:]]

    def made() -> MarketPipeline:
        return flow(Panel(Model("live-1"), standby=[Model("before-1", -1.0)]), online=False)

    out = played(messages, made())
    (said,) = only(out, ModelActivated)
    assert (said.model, said.previous, said.reason) == ("before-1", "live-1", "it loses")
    at = [event for _, event in out].index(said)
    early = [e for _, e in out[:at] if isinstance(e, FeaturesComputed)]
    late = [e for _, e in out[at:] if isinstance(e, FeaturesComputed)]
    assert early and late
    assert {("live-1" in e.scores, "before-1" in e.scores) for e in early} == {(True, False)}
    assert {("live-1" in e.scores, "before-1" in e.scores) for e in late} == {(False, True)}
    after = [e for _, e in out[at:] if isinstance(e, SignalRaised)]
    assert {e.models for e in after} == {("before-1",)}
    for stop in (middle, middle + 1, middle + 2):
        first = made()
        again = played(messages[:stop], first)
        second = made()
        second.restore(first.snapshot())
        again += played(messages[stop:], second)
        assert repr(again) == repr(out)


@pytest.mark.parametrize("text", ["nobody-1", "live-1", ""])
def test_a_word_that_cannot_be_followed_leaves_a_letter_and_the_model_that_was(text: str) -> None:
    out = played([*TAPE[:300], word(text), *TAPE[300:]], flow(Panel(Model("live-1"))))
    assert not only(out, ModelActivated)
    assert [each.reason for each in only(out, DeadLetter)] == ["model_not_activated"]
    assert told(out) == told(played(TAPE, flow(Panel(Model("live-1")))))


@given(st.lists(st.integers(1, 2**32 - 1), unique=True, max_size=60), st.floats(0, 1), st.floats(0, 1))
def test_a_canarys_instruments_depend_on_their_tokens_alone_and_grow_with_its_share(
    tokens: list[int], one: float, other: float
) -> None:
    column = np.array(tokens, dtype=np.int64)
    small, large = sorted((one, other))
    few, many = canary_rows(column, small), canary_rows(column, large)
    assert not np.any(few & ~many)
    assert np.array_equal(canary_rows(column[::-1], small)[::-1], few)
    assert not canary_rows(column, 0.0).any() and canary_rows(column, 1.0).all()
