"""Which offline models a run scores with: chosen when it opens, kept in its folder, never changed afterwards.

<run>/models/plan.json, <run>/models/<model id>/{<kind>.card.json, <kind>.txt ...}
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from kitepilot.models.port import ModelError

PLAN_FILE = "plan.json"


class ModelPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Ids by their part in the day; "" and empty where there is none. `standby`: to go back to in the day."""

    live: str = ""
    canary: str = ""
    canary_share: float = 0.0
    shadows: tuple[str, ...] = ()
    standby: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """All ids, each once, the live one first."""
        named = (self.live, self.canary, *self.shadows, *self.standby)
        return tuple(dict.fromkeys(each for each in named if each))


def kind_of(model_id: str) -> str:
    """A model's id is its kind and eight hex digits.

    >>> kind_of("lightgbm-1b2c3d4e")
    'lightgbm'
    """
    return model_id.rpartition("-")[0]


def read_plan(folder: Path) -> ModelPlan | None:
    """The plan in a run's models folder; None where a run has none (it is of an earlier KitePilot).

    Raises:
        ModelError: the file is damaged.
    """
    path = folder / PLAN_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=ModelPlan)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as err:
        raise ModelError(f"the run's choice of models {path} cannot be read: {err}; begin a new run") from err


def write_plan(folder: Path, plan: ModelPlan) -> None:
    """Last of all that is written of a run's models: with it the folder is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{PLAN_FILE}.draft"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n")
    draft.replace(folder / PLAN_FILE)
