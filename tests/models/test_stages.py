"""A model's life as a table: what may follow what, who is live, and where a rollback leads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitepilot.models.port import ModelError
from kitepilot.models.stages import (
    MOVES,
    Move,
    Stage,
    StageChange,
    moved,
    require_move,
    rollback,
    standing,
)

MODELS = ("a", "b", "c", "d")


def lines(steps: list[tuple[str, Stage, Stage, Move]]) -> list[StageChange]:
    return [
        StageChange(model_id=who, from_stage=here, to_stage=there, move=move, made_by="asha", reason="why")
        for who, here, there, move in steps
    ]


def registered(*names: str) -> list[StageChange]:
    return [
        StageChange(
            model_id=name,
            from_stage=None,
            to_stage=Stage.CANDIDATE,
            move=Move.REGISTERED,
            made_by="asha",
            reason="trained",
        )
        for name in names
    ]


acts = st.lists(
    st.one_of(
        st.tuples(st.just("promote"), st.sampled_from(MODELS), st.sampled_from(Stage), st.sampled_from(Move)),
        st.tuples(st.just("rollback"), st.just(""), st.just(Stage.LIVE), st.just(Move.ROLLED_BACK)),
    ),
    max_size=40,
)


@given(acts)
def test_whatever_the_owner_asks_for_one_model_is_live_and_one_canary_at_most(
    asked: list[tuple[str, str, Stage, Move]],
) -> None:
    history = registered(*MODELS)
    for act, who, to, move in asked:
        now = standing(history)
        was_live = now.live
        try:
            steps = rollback(now) if act == "rollback" else moved(now, who, to, move)
        except ModelError:
            continue
        history += lines(steps)
        after = standing(history)
        stages = list(after.stages.values())
        assert stages.count(Stage.CANARY) <= 1
        assert stages.count(Stage.LIVE) == (1 if after.live else 0)
        assert not was_live or after.live
        assert not after.live or after.stages[after.live] is Stage.LIVE


def test_a_rollback_leads_to_the_model_before_and_a_second_one_further_back() -> None:
    history = registered("a", "b", "c")
    for name in ("a", "b", "c"):
        history += lines(moved(standing(history), name, Stage.LIVE, Move.OVERRIDDEN))
    assert (standing(history).live, standing(history).previous) == ("c", "b")
    history += lines(rollback(standing(history)))
    assert (standing(history).live, standing(history).stages["c"]) == ("b", Stage.RETIRED)
    history += lines(rollback(standing(history)))
    assert standing(history).live == "a"
    with pytest.raises(ModelError, match=r"nothing to roll back to: before a no model was live"):
        rollback(standing(history))


def test_gates_are_walked_one_stage_at_a_time_and_only_the_owner_jumps() -> None:
    with pytest.raises(ModelError, match="a is candidate: it cannot become live as promoted"):
        require_move("a", Stage.CANDIDATE, Stage.LIVE, Move.PROMOTED)
    require_move("a", Stage.CANDIDATE, Stage.LIVE, Move.OVERRIDDEN)
    with pytest.raises(ModelError, match="no model 'x'"):
        require_move("x", None, Stage.SHADOW, Move.PROMOTED)
    with pytest.raises(ModelError, match="a is live already"):
        require_move("a", Stage.LIVE, Stage.LIVE, Move.PROMOTED)


def test_a_live_model_is_never_retired_without_another_in_its_place() -> None:
    assert Move.RETIRED not in MOVES[Stage.LIVE, Stage.RETIRED]
    history = registered("a") + lines([("a", Stage.CANDIDATE, Stage.LIVE, Move.SEEDED)])
    with pytest.raises(ModelError, match="a is live: promote another in its place or roll back"):
        moved(standing(history), "a", Stage.RETIRED, Move.SUPERSEDED)


def test_a_history_that_does_not_follow_is_refused() -> None:
    broken = lines([("a", Stage.SHADOW, Stage.CANARY, Move.PROMOTED)])
    with pytest.raises(ModelError, match="from where it is not"):
        standing([*registered("a"), *broken])
