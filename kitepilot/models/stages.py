"""The stages of an offline model's life, and what moves it from one to the next: a table and a pure fold.

    history (changes, oldest first) -> Standing: who is live, who is canary, who was live before

The stage is never stored: it follows from the history, which is only appended to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from kitepilot.models.port import ModelError


class Stage(StrEnum):
    """`shadow` is scored without trading; `canary` trades a share; `live` is the one that is followed."""

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"
    RETIRED = "retired"


class Move(StrEnum):
    """Why a stage changed."""

    REGISTERED = "registered"
    PROMOTED = "promoted"  # through its gates
    OVERRIDDEN = "overridden"  # by the owner's word, gates that failed included
    SEEDED = "seeded"  # the first model of a home, so that a first paper day has one
    STEPPED_BACK = "stepped_back"
    SUPERSEDED = "superseded"  # another became live, or canary
    ROLLED_BACK = "rolled_back"
    RETIRED = "retired"


C, S, N, L, R = Stage.CANDIDATE, Stage.SHADOW, Stage.CANARY, Stage.LIVE, Stage.RETIRED
STEP = frozenset({Move.PROMOTED, Move.OVERRIDDEN})
JUMP = frozenset({Move.OVERRIDDEN})  # past a stage: only the owner's word does that
BACK = frozenset({Move.STEPPED_BACK})

#: (from, to) -> the moves that may do it. What is not here cannot be.
MOVES: dict[tuple[Stage, Stage], frozenset[Move]] = {
    (C, S): STEP,
    (S, N): STEP,
    (N, L): STEP,
    (C, N): JUMP,
    (C, L): JUMP | {Move.SEEDED},
    (S, L): JUMP,
    (N, S): BACK | {Move.SUPERSEDED},
    (S, C): BACK,
    (R, C): BACK,  # taken up again, from the beginning
    (C, R): frozenset({Move.RETIRED}),
    (S, R): frozenset({Move.RETIRED}),
    (N, R): frozenset({Move.RETIRED}),
    (L, R): frozenset({Move.SUPERSEDED, Move.ROLLED_BACK}),  # never without another in its place
    (R, L): frozenset({Move.ROLLED_BACK}),
}
NEXT: dict[Stage, Stage] = {C: S, S: N, N: L}
STEP_BACK: dict[Stage, Stage] = {N: S, S: C, R: C}
EFFECT: dict[Stage, str] = {
    S: "scores from the next day that opens, without orders",
    N: "trades its share from the next day that opens",
    L: "is followed from the next day that opens",
}


Step = tuple[str, Stage, Stage, Move]  # model id, from, to, how


class StageChange(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the history. `from_stage` is None for the first of a model."""

    model_id: str
    from_stage: Stage | None
    to_stage: Stage
    move: Move
    made_by: str
    reason: str
    evidence: dict[str, Any] = {}
    seq: int = 0  # place in the history, given by the database
    at: datetime | None = None


class Standing(msgspec.Struct, frozen=True):
    """Where every model stands. `terms`: who has been live, oldest first, rolled back ones left out."""

    stages: dict[str, Stage]
    terms: tuple[str, ...] = ()

    @property
    def live(self) -> str:
        """ "" while none is."""
        return self.terms[-1] if self.terms else ""

    @property
    def previous(self) -> str:
        """Who a rollback would make live again; "" when there is nobody."""
        earlier = [each for each in self.terms[:-1] if self.stages.get(each) is Stage.RETIRED]
        return earlier[-1] if earlier else ""

    @property
    def canary(self) -> str:
        return next((each for each, stage in self.stages.items() if stage is Stage.CANARY), "")

    @property
    def shadows(self) -> tuple[str, ...]:
        return tuple(each for each, stage in self.stages.items() if stage is Stage.SHADOW)


def standing(history: Sequence[StageChange]) -> Standing:
    """Fold the history, oldest first.

    Raises:
        ModelError: a line that does not follow from those before it (the database would have refused it).
    """
    stages: dict[str, Stage] = {}
    terms: list[str] = []
    for each in history:
        if each.from_stage != stages.get(each.model_id):
            raise ModelError(f"line {each.seq} of the history moves {each.model_id} from where it is not")
        stages[each.model_id] = each.to_stage
        if each.to_stage is Stage.LIVE:
            back = each.move is Move.ROLLED_BACK and each.model_id in terms
            terms = [*terms[: terms.index(each.model_id)], each.model_id] if back else [*terms, each.model_id]
    return Standing(stages, tuple(terms))


def require_move(model_id: str, stage: Stage | None, to: Stage, move: Move) -> None:
    """Raises `ModelError` where the table does not have the move; says what it does have."""
    if stage is None:
        raise ModelError(f"no model {model_id!r} in the registry: `kitepilot models list` shows them")
    if stage is to:
        raise ModelError(f"{model_id} is {stage} already")
    if move not in MOVES.get((stage, to), frozenset()):
        onward = ", ".join(
            f"{there} ({'/'.join(sorted(how))})" for (here, there), how in MOVES.items() if here is stage
        )
        raise ModelError(f"{model_id} is {stage}: it cannot become {to} as {move}; from here: {onward}")


def moved(now: Standing, model_id: str, to: Stage, move: Move) -> list[Step]:
    """(model, from, to, move) of a model that moves and of whoever makes room for it, in order.

    Raises:
        ModelError: as `require_move`.
    """
    stage = now.stages.get(model_id)
    require_move(model_id, stage, to, move)
    if stage is Stage.LIVE:
        raise ModelError(
            f"{model_id} is live: promote another in its place or roll back; "
            'to trade without an offline model set models.offline to ""'
        )
    assert stage is not None  # require_move has said so
    steps: list[Step] = []
    if to is Stage.LIVE and now.live:
        steps.append((now.live, Stage.LIVE, Stage.RETIRED, Move.SUPERSEDED))
    if to is Stage.CANARY and now.canary:
        steps.append((now.canary, Stage.CANARY, Stage.SHADOW, Move.SUPERSEDED))
    return [*steps, (model_id, stage, to, move)]


def rollback(now: Standing) -> list[Step]:
    """(model, from, to, move) of going back to who was live before.

    Raises:
        ModelError: nobody was.
    """
    if not now.live or not now.previous:
        raise ModelError(
            f"nothing to roll back to: before {now.live or 'now'} no model was live; "
            'to trade without an offline model set models.offline to ""'
        )
    return [
        (now.live, Stage.LIVE, Stage.RETIRED, Move.ROLLED_BACK),
        (now.previous, Stage.RETIRED, Stage.LIVE, Move.ROLLED_BACK),
    ]


def told(changes: Sequence[StageChange]) -> list[str]:
    """What has changed, and from when it acts: a line for each."""
    lines = []
    for each in changes:
        later = each.to_stage in EFFECT and each.move is not Move.ROLLED_BACK  # that acts at once
        effect = f": {EFFECT[each.to_stage]}" if later else ""
        lines.append(f"{each.model_id} is {each.to_stage.value} now, {each.move.value}{effect}")
    return lines
