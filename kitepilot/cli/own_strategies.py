"""The owner's strategies folder: `<home>/strategies/NAME.py`, read when a run or a backtest begins."""

from __future__ import annotations

from pathlib import Path

from kitepilot import config as configuration
from kitepilot.config import Config, ConfigError
from kitepilot.strategies.own import MAX_BYTES, OwnStrategyError, named, strategy_class
from kitepilot.strategies.plugins import STRATEGIES, installed

FOLDER = "strategies"


def with_sources(config: Config, home: Path) -> Config:
    """The configuration with the text of each enabled strategy that is a file. What it names already stays.

    Raises:
        ConfigError: a file has the name of an installed strategy, cannot be read, or is no strategy.
    """
    missing = [name for name in config.strategies.enabled if name not in config.strategies.sources]
    found = {name: source for name in missing if (source := source_of(home, name)) is not None}
    if not found:
        return config
    for name, source in found.items():
        try:
            strategy_class(name, source)
        except OwnStrategyError as err:
            raise ConfigError(f"{err}; `kitepilot strategies check {name}` looks at it") from err
    return configuration.override(
        config, **{"strategies.sources": {**config.strategies.sources, **dict(sorted(found.items()))}}
    )


def source_of(home: Path, name: str) -> str | None:
    """The text of the owner's strategy `name`; None when there is no such file. Raises as `with_sources`."""
    path = path_of(home, name)
    if not named(name) or not path.exists():
        return None
    if name in installed(STRATEGIES):
        raise ConfigError(f"{path} has the name of an installed strategy: give the file another name")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path} has more than {MAX_BYTES} bytes: is it a strategy?")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"cannot read the strategy {path}: {err}") from err


def path_of(home: Path, name: str) -> Path:
    return home / FOLDER / f"{name}.py"


def files(home: Path) -> list[Path]:
    """The owner's strategy files, by name."""
    return sorted(path for path in (home / FOLDER).glob("*.py") if named(path.stem))
