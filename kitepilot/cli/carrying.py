"""`models.carry: latest` -> the state that a new run begins with, by its name."""

from __future__ import annotations

from pathlib import Path

from kitepilot import config as configuration
from kitepilot.config import LATEST, Config
from kitepilot.models import carried
from kitepilot.models.port import ModelError


def resolved(config: Config, home: Path) -> Config:
    """The configuration with `latest` replaced: by the SHA-256 of the newest state that fits, or by nothing.

    One fits that is of the same mode and kind, of a day before, and of the features there are now. Of several
    on one day it is the one written last.
    """
    models = config.models
    if models.carry != LATEST:
        return config
    return configuration.override(config, **{"models.carry": _newest(config, home) if models.online else ""})


def _newest(config: Config, home: Path) -> str:
    from kitepilot.models.online_features import ONLINE_FEATURES

    folder = home / "models" / carried.FOLDER
    files = sorted(folder.glob(f"*.{carried.SUFFIX}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    names = [path.name for path in files]
    for name in carried.earlier(names, config.mode, config.models.online, config.session.date):
        found = carried.read_name(name)
        try:
            if found:
                raw = (folder / name).read_bytes()
                carried.unpack(raw, found.sha256, config.models.online, ONLINE_FEATURES)
                return found.sha256
        except ModelError:
            continue  # of a version before: an older one will not fit either, but costs nothing to ask
    return ""
