"""Trained models' bytes by their SHA-256, one file each: what is read back is what was kept, or an error."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from kitepilot.models.port import ModelError


class Artifacts:
    """Files in `folder` (`<home>/models/artifacts`), named by the hash of their content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, home: Path) -> Artifacts:
        return cls(home / "models" / "artifacts")

    def keep(self, artifact: bytes) -> str:
        """Durable on return, whole or not at all; keeping the same bytes again changes nothing.

        Raises:
            ModelError: the folder cannot be written.
        """
        name = hashlib.sha256(artifact).hexdigest()
        path = self.folder / name
        try:
            if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == name:
                return name
            self.folder.mkdir(parents=True, exist_ok=True)
            draft = self.folder / f"{name}.{os.getpid()}.draft"
            with draft.open("wb") as file:
                file.write(artifact)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            _sync_folder(self.folder)
        except OSError as err:
            raise ModelError(f"cannot keep the model in {self.folder}: {err.strerror}") from err
        return name

    def read(self, name: str, model_id: str) -> bytes:
        """The artifact of a model.

        Raises:
            ModelError: it is gone, or its bytes are not what its name says; names the file.
        """
        path = self.folder / name
        try:
            artifact = path.read_bytes()
        except OSError as err:
            raise ModelError(
                f"the artifact of {model_id} cannot be read: {path}: {err.strerror}; "
                "import the model again from its training run"
            ) from err
        found = hashlib.sha256(artifact).hexdigest()
        if found != name:
            raise ModelError(
                f"the artifact of {model_id} is damaged: {path} has SHA-256 {found[:16]}...; "
                "remove it and import the model again from its training run"
            )
        return artifact


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
