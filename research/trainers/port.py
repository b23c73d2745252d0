"""What a trainer is, and where one is found: built in, or a user's own by entry point."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

from kitepilot.models.card import NanPolicy
from kitepilot.models.port import ModelError, OfflineModel
from kitepilot.strategies.plugins import load
from research.walkforward.rows import RowSet

TRAINERS = "kitepilot.trainers"
Parameters = dict[str, float | int | str | bool]


class Material(NamedTuple):
    """Rows to learn from: the columns of `features` among the store's, labels and weights from the rows."""

    rows: RowSet
    features: tuple[str, ...]


class Fitted(NamedTuple):
    """`gain`: how much each feature took part in the fit, in the learner's own unit; empty without one."""

    artifact: bytes
    gain: dict[str, float]


class Trainer(Protocol):
    """Fits models of one kind. The same rows, parameters and seed give the same bytes, on one thread.

    `prepare` turns rows into the learner's own form once; many fits may then be asked of it.
    """

    kind: str
    nan: NanPolicy
    model: type[OfflineModel]
    libraries: tuple[str, ...]  # distributions whose versions decide the bytes
    defaults: Parameters
    fixed_features: bool  # the model reads exactly the features it is offered: none may be left out

    def space(self, trial: Any) -> Parameters:
        """Parameters that an Optuna trial suggests, over the defaults."""
        ...

    def prepare(self, material: Material) -> Any: ...

    def fit(self, prepared: Any, parameters: Parameters, seed: int) -> Fitted: ...


def trainer(kind: str, artifact: str = "") -> Trainer:
    """The trainer `kind`; `artifact` is the file of a model that is frozen.

    Raises:
        ModelError: there is none of that name; a frozen model without its file, or the reverse.
        PluginError: a user's own cannot be imported.
    """
    from research.trainers.frozen import FrozenOnnx
    from research.trainers.lightgbm_trees import LightGbmTrainer
    from research.trainers.xgboost_trees import XgBoostTrainer

    if (kind == FrozenOnnx.kind) != bool(artifact):
        raise ModelError(
            f"an {FrozenOnnx.kind} model is trained elsewhere: give its file with --artifact"
            if not artifact
            else f"--artifact is the file of an onnx model, but the model is {kind}"
        )
    if artifact:
        try:
            return FrozenOnnx(Path(artifact).read_bytes())
        except OSError as err:
            raise ModelError(f"cannot read the model {artifact}: {err.strerror}") from err
    built_in: dict[str, Callable[[], Trainer]] = {"lightgbm": LightGbmTrainer, "xgboost": XgBoostTrainer}
    if kind in built_in:
        return built_in[kind]()
    if kind not in {point.name for point in entry_points(group=TRAINERS)}:
        raise ModelError(
            f"no trainer {kind!r}: there are {', '.join(built_in)}, {FrozenOnnx.kind} with --artifact, and "
            f"your own in the entry points {TRAINERS}"
        )
    return cast(Callable[[], Trainer], load(TRAINERS, kind))()
