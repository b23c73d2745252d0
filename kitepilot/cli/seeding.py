"""`kitepilot seed`, and the model a paper day needs before it starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from kitepilot.cli.seed import seed
from kitepilot.cli.watch import stderr_console
from kitepilot.config import Config

FIRST_DAYS = 3


def train(config: Config, home: Path, days: int) -> dict[str, Any]:
    """Train with a progress bar; says so when the artifact is already there.

    Raises:
        ModelError: as `seed`.
    """
    console = stderr_console()
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("seed", total=1.0)
        made = seed(
            home,
            days,
            config.market.seed,
            lambda text, share: progress.update(task, description=text, completed=share),
            config=config,
        )
    word = "trained" if made["trained"] else "already there"
    console.print(f"model {made['model_id']} {word}: {made['rows']:,} rows of {', '.join(made['dates'])}")
    return made


def ensure_models(config: Config, home: Path, say: Callable[[str], None]) -> str:
    """The model a day needs: trained now unless the artifact of the same specification is there.

    It is trained on the market of the default seed, whatever seed the day itself has. Returns its id, empty
    when the configuration names no model.
    """
    if not config.models.offline:
        return ""
    seeded = seed(
        home,
        FIRST_DAYS,
        Config().market.seed,
        lambda text, share: say(f"first model: {text}") if share else None,
        config=config,
    )
    return str(seeded["model_id"])
