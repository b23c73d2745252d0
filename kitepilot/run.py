"""What one process of a run needs to know: its id, its configuration and its folders."""

from __future__ import annotations

import json
import os
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kitepilot import config as configuration
from kitepilot.config import Config
from kitepilot.events import DecisionParameters

RUN_FOLDER_VARIABLE = "KITEPILOT_RUN_FOLDER"
HOME_VARIABLE = "KITEPILOT_HOME"


def home() -> Path:
    """The folder that holds everything KitePilot writes: `$KITEPILOT_HOME`, else `./var`."""
    return Path(os.environ.get(HOME_VARIABLE, "var")).absolute()


@dataclass(frozen=True)
class Run:
    """One run. `folder` is `<home>/runs/<run_id>` and holds config.yaml, logs, recovery state, the report."""

    run_id: str
    folder: Path
    config: Config

    @property
    def home(self) -> Path:
        return self.folder.parent.parent

    @property
    def config_hash(self) -> str:
        return configuration.config_hash(self.config)

    @property
    def log_folder(self) -> Path:
        """The embedded event log, shared by all runs of this home."""
        return self.home / "log"

    @property
    def models_folder(self) -> Path:
        """Models made by `kitepilot seed`, and what online models have learned."""
        return self.home / "models"

    @property
    def scoring_folder(self) -> Path:
        """The run's own models, as they were chosen when it opened; without a choice those of the home."""
        own = self.folder / "models"
        return own if own.exists() else self.models_folder

    def start_offsets(self) -> Mapping[str, int]:
        """Where this run begins on each topic (partition 0): the end offsets when it was created."""
        path = self.folder / "start_offsets.json"
        return typing.cast(dict[str, int], json.loads(path.read_text()))

    def parameters(self) -> DecisionParameters:
        """Session, instruments and limits of this run, as `RunStarted` carries them."""
        return msgspec.json.decode((self.folder / "parameters.json").read_bytes(), type=DecisionParameters)

    def mark_ready(self, process: str) -> None:
        """Say that a process of this run is up and doing its work."""
        path = self.ready_file(process)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def ready_file(self, process: str) -> Path:
        return self.folder / "ready" / process

    @property
    def recovery_folder(self) -> Path:
        return self.folder / "recovery"


def current() -> Run:
    """The run this process belongs to, from `$KITEPILOT_RUN_FOLDER`.

    Raises:
        configuration.ConfigError: the variable is missing or the folder holds no usable config.yaml.
    """
    folder = os.environ.get(RUN_FOLDER_VARIABLE)
    if not folder:
        raise configuration.ConfigError(
            f"${RUN_FOLDER_VARIABLE} is not set: processes are started by `kitepilot up` or `kitepilot paper`"
        )
    path = Path(folder).resolve()  # `runs/current` is a link to the run in containers
    return Run(path.name, path, configuration.load(path / "config.yaml"))
