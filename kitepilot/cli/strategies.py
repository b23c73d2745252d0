"""`kitepilot strategies` and `kitepilot new strategy`: what can trade, and writing one's own."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.config import ConfigError
from kitepilot.run import home

EXIT_BAD = 1
TEMPLATE = Path(__file__).with_name("templates") / "strategy.py.txt"

app = typer.Typer(no_args_is_help=True, help="What can trade: installed strategies and your own files.")
new = typer.Typer(no_args_is_help=True, help="Write the beginning of something of your own.")

NameArgument = Annotated[str, typer.Argument(help="Small letters, digits and underscores, as in my_idea.")]


@new.command("strategy")
def new_strategy(name: NameArgument, as_json: JsonOption = False) -> None:
    """Write a strategy that runs as it is: strategies/NAME.py in the home, with a rule to replace.

    [dim]kitepilot new strategy my_idea
    kitepilot strategies check my_idea
    kitepilot paper --strategy my_idea --speed max[/dim]
    """
    with clear_errors():
        path = write_new(home(), name)
    if as_json:
        print(json.dumps({"path": str(path)}))
        return
    console = Console()
    console.print(f"wrote {path}", highlight=False, soft_wrap=True)
    console.print(f"check it:   kitepilot strategies check {name}", highlight=False)
    console.print(f"trade it:   kitepilot paper --strategy {name} --speed max", highlight=False)


@app.command("list")
def list_strategies(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every strategy that could trade: where it comes from, and whether the configuration enables it."""
    with clear_errors():
        rows = known(home(), chosen_config(config).strategies.enabled)
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("strategy", "", "from", "what it does", box=SIMPLE_HEAD)
    for row in rows:
        enabled = "[green]enabled[/]" if row["enabled"] else ""
        table.add_row(row["name"], enabled, row["from"], escape(row["trouble"] or row["says"]))
    Console().print(table)


@app.command()
def check(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Call a strategy over a made-up session: does it keep the rules, how often does it speak?

    Exit codes: 0 it keeps them, 1 it does not, 2 it cannot be loaded.

    [dim]kitepilot strategies check my_idea[/dim]
    """
    with clear_errors():
        found = checked(home(), name, chosen_config(config).strategies.parameters.get(name, {}))
    if as_json:
        print(json.dumps(found))
    else:
        console = Console()
        for problem in found["problems"]:
            console.print(f"[red]no[/]   {escape(problem)}", highlight=False, soft_wrap=True)
        if not found["problems"]:
            console.print(f"[green]ok[/]   {name} keeps the rules", highlight=False)
        console.print(
            f"     {found['wishes']} wishes for {found['instruments']} of 12 instruments at "
            f"{found['closes']} closes of a random market;\n"
            f"     {found['typical_us']:.0f} us a call, {found['slowest_us']:.0f} at most",
            highlight=False,
            soft_wrap=True,
        )
    raise typer.Exit(EXIT_BAD if found["problems"] else 0)


@app.command()
def reload(name: NameArgument) -> None:
    """Go on with the text your file has now, in the run that is up. `kitepilot paper` does it by itself.

    It takes over what the old text remembers if it can. A text that is no strategy is not taken.

    [dim]kitepilot strategies reload my_idea[/dim]
    """
    from kitepilot.cli import strategy_words

    with clear_errors():
        Console().print(strategy_words.reload(home(), name), highlight=False, soft_wrap=True)


@app.command("off")
def switch_off(name: NameArgument) -> None:
    """Ask a strategy no more in the run that is up. Its positions leave by their own plans.

    [dim]kitepilot strategies off my_idea[/dim]
    """
    from kitepilot.cli import strategy_words

    with clear_errors():
        Console().print(strategy_words.switch(home(), name, "off"), highlight=False, soft_wrap=True)


@app.command("on")
def switch_on(name: NameArgument) -> None:
    """Ask a strategy again that was switched off, or that raised.

    [dim]kitepilot strategies on my_idea[/dim]
    """
    from kitepilot.cli import strategy_words

    with clear_errors():
        Console().print(strategy_words.switch(home(), name, "on"), highlight=False, soft_wrap=True)


def write_new(home_folder: Path, name: str) -> Path:
    """Write the template. Raises `ConfigError`: the name is taken or is none."""
    from kitepilot.cli.own_strategies import path_of
    from kitepilot.strategies.own import named
    from kitepilot.strategies.plugins import STRATEGIES, installed

    path = path_of(home_folder, name)
    if not named(name):
        raise ConfigError(f"{name!r} is no name for a strategy: small letters, digits and underscores")
    if name in installed(STRATEGIES):
        raise ConfigError(f"{name} is an installed strategy: choose another name")
    if path.exists():
        raise ConfigError(f"{path} is there already: edit it, or choose another name")
    text = TEMPLATE.read_text(encoding="utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(name=name, class_name=name.title().replace("_", "")), encoding="utf-8")
    except OSError as err:
        raise ConfigError(f"cannot write {path}: {err.strerror}") from err
    return path


def known(home_folder: Path, enabled: list[str]) -> list[dict[str, Any]]:
    """One row per strategy: name, from, says (the first line of its module), enabled, trouble."""
    from kitepilot.cli.own_strategies import FOLDER, files
    from kitepilot.strategies.own import OwnStrategyError, strategy_class
    from kitepilot.strategies.plugins import STRATEGIES, PluginError, installed, load

    rows: list[dict[str, Any]] = []
    for name in sorted(installed(STRATEGIES)):
        try:
            rows.append(_row(name, "installed", load(STRATEGIES, name), enabled))
        except PluginError as err:
            rows.append(_row(name, "installed", None, enabled, str(err)))
    for path in files(home_folder):
        try:
            own = strategy_class(path.stem, path.read_text(encoding="utf-8"))
            rows.append(_row(path.stem, f"{FOLDER}/{path.name}", own, enabled))
        except (OwnStrategyError, OSError, UnicodeDecodeError) as err:
            rows.append(_row(path.stem, f"{FOLDER}/{path.name}", None, enabled, str(err)))
    return rows


def _row(name: str, where: str, found: Any, enabled: list[str], trouble: str = "") -> dict[str, Any]:
    module = sys.modules.get(getattr(found, "__module__", ""))
    says = ((getattr(module, "__doc__", None) or "").strip().splitlines() or [""])[0]
    return {"name": name, "from": where, "says": says, "enabled": name in enabled, "trouble": trouble}


def checked(home_folder: Path, name: str, parameters: dict[str, float]) -> dict[str, Any]:
    """`research.strategy_check` as plain data. Raises `ConfigError`: it cannot be loaded or made."""
    from kitepilot.cli.own_strategies import source_of
    from kitepilot.kernels.shard import FEATURE_NAMES
    from kitepilot.strategies.plugins import PluginError, make_strategy
    from research.strategy_check import check as look

    source = source_of(home_folder, name)
    try:
        found = look(lambda: make_strategy(name, parameters, FEATURE_NAMES, source), FEATURE_NAMES)
    except PluginError as err:
        raise ConfigError(str(err)) from err
    return {"name": name, **asdict(found)}
