"""The online model's knowledge between days: a file that a run begins with, and the one it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kitepilot.config import LATEST, Config
from kitepilot.models import carried
from kitepilot.models.loading import make_online
from kitepilot.models.online_features import ONLINE_FEATURES
from kitepilot.models.port import ModelError, OnlineModel
from kitepilot.run import Run


def read_online(config: Config, folders: Sequence[Path]) -> OnlineModel:
    """The online model, with what it begins with. Raises `ModelError` when that is missing or unfit."""
    models = config.models
    online = make_online(models.online, ONLINE_FEATURES)
    if not models.carry:
        return online
    for folder in folders:
        for path in (folder / carried.FOLDER).glob(f"*_{models.carry}.{carried.SUFFIX}"):
            online.restore(carried.unpack(path.read_bytes(), models.carry, models.online, ONLINE_FEATURES))
            return online
    raise ModelError(
        f"models.carry: no state {models.carry[:16]} in {folders[0] / carried.FOLDER}; "
        f"begin anew with '', or with {LATEST!r}"
    )


def keep_online(run: Run, state: bytes) -> None:
    """Write what the online model has learned, for a day that is to begin with it; a few kB."""
    config = run.config
    name, raw = carried.pack(
        carried.Carried(
            mode=config.mode,
            kind=config.models.online,
            session_date=config.session.date,
            features=ONLINE_FEATURES,
            state=state,
        )
    )
    folder = run.models_folder / carried.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{name}.draft"
    draft.write_bytes(raw)
    draft.replace(folder / name)
