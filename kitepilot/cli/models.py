"""`kitepilot models`: which offline models there are, where each stands, and moving them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.models.stages import STEP_BACK, Move, Stage, StageChange, told
from kitepilot.run import home

if TYPE_CHECKING:
    from infra.postgres.model_moves import Promotion

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="""Offline models: candidate -> shadow -> canary -> live -> retired, each step through its gates.

    A shadow scores live without trading, a canary trades a share, one model is live. A day takes its models
    when it opens; a rollback also acts in a run that is up.

    [dim]kitepilot models import var/training/3f9c2a71 --leak-report leaks.json
    kitepilot models gates lightgbm-1b2c3d4e
    kitepilot models promote lightgbm-1b2c3d4e
    kitepilot models rollback --why "it buys falling knives"[/dim]""",
)
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Its id, as `models list` shows it.")]
WhyOption = Annotated[str, typer.Option("--why", help="Why; kept in the history.")]
StageOption = Annotated[Stage | None, typer.Option("--to", help="The stage; the next one without.")]
LeakOption = Annotated[
    Path | None,
    typer.Option("--leak-report", help="JSON of `kitepilot leak-check` on its features and data."),
]


@app.command("list")
def list_models(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every model with its stage, its data, and what it came to on days it had not seen."""
    from infra.postgres import model_moves, model_registry
    from kitepilot.cli import model_book, model_words

    with clear_errors(), model_book.opened(home(), chosen_config(config)) as db:
        rows = model_words.rows(model_registry.registered(db), model_moves.standing(db))
    if as_json:
        print(json.dumps(rows))
    else:
        model_words.show_rows(Console(), rows)


@app.command()
def show(model: ModelArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """A model's card: where it comes from, how it did, where it stands, and what is known about it."""
    from kitepilot.cli import model_book, model_words

    with clear_errors():
        chosen = chosen_config(config)
        with model_book.opened(home(), chosen) as db:
            page = model_words.page(db, model, chosen)
    if as_json:
        print(json.dumps(page))
    else:
        model_words.show_page(Console(), page)


@app.command("import")
def import_model(
    place: Annotated[Path, typer.Argument(help="Folder of `kitepilot train`, or a model card (JSON).")],
    artifact: Annotated[Path | None, typer.Option(help="The model file; beside its card without.")] = None,
    leak_report: LeakOption = None,
    parent: Annotated[str, typer.Option(help="Id of the model that this one is meant to follow.")] = "",
    why: WhyOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a trained model as a candidate: its file by hash, its card, its lineage. Twice is once.

    [dim]kitepilot models import var/training/3f9c2a71
    kitepilot models import mine.card.json --artifact mine.onnx --why "exported from PyTorch"[/dim]
    """
    from kitepilot.cli import model_book
    from kitepilot.strategies.plugins import PluginError

    with clear_errors(PluginError):
        taken = model_book.taken_in(
            *(home(), chosen_config(config), place),
            artifact=artifact,
            leak_report=leak_report,
            parent=parent,
            why=why,
        )
    if as_json:
        print(json.dumps(taken._asdict()))
        return
    said = "is a candidate" if taken.registered else "was registered before"
    Console().print(f"{taken.model_id} {said}; `kitepilot models gates {taken.model_id}`", highlight=False)


@app.command()
def gates(
    model: ModelArgument,
    to: StageOption = None,
    leak_report: LeakOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The gates before a stage with their numbers. Exit codes: 0 all pass, 1 not, 2 not possible."""
    from infra.postgres import model_moves
    from kitepilot.cli import model_book, model_words
    from kitepilot.models import gates as table
    from kitepilot.models.port import ModelError
    from kitepilot.models.stages import NEXT

    with clear_errors():
        chosen = chosen_config(config)
        with model_book.opened(home(), chosen) as db:
            if leak_report:
                model_book.add_leak_report(db, model, leak_report)
            seen = model_moves.evidence_of(db, model, chosen)
            there = to or NEXT.get(model_moves.standing(db).stages[model])
        if there not in table.GATES:
            raise ModelError(
                f"no gates stand before {there or 'what follows'}; give --to shadow, canary or live"
            )
        found = table.judge(seen, chosen.models.gates, there)
    if as_json:
        print(json.dumps({"model_id": model, "to": there, "gates": [each._asdict() for each in found]}))
    else:
        model_words.show_gates(Console(), model, there, found)
    raise typer.Exit(0 if all(each.passed for each in found) else 1)


@app.command()
def promote(
    model: ModelArgument,
    to: StageOption = None,
    override: Annotated[
        str, typer.Option("--override", help="Promote though gates refuse, and say why; it is recorded.")
    ] = "",
    leak_report: LeakOption = None,
    why: WhyOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """To the next stage, if its gates pass; whoever was canary or live makes room. From the next day on.

    Exit codes: 0 promoted, 1 refused (the table says by which gate), 2 not possible. A model that was made
    live by --override without a leak check trades on paper only.

    [dim]kitepilot models promote lightgbm-1b2c3d4e
    kitepilot models promote lightgbm-1b2c3d4e --to live --override "first model, paper only"[/dim]
    """
    from infra.postgres import model_moves
    from kitepilot.cli import model_book, model_words

    with clear_errors():
        chosen = chosen_config(config)
        with model_book.opened(home(), chosen) as db:
            if leak_report:
                model_book.add_leak_report(db, model, leak_report)
            done = model_moves.promote(db, chosen, model, to, why.strip(), override.strip())
        model_moves.audit(home(), done.changes)
    if as_json:
        print(json.dumps(_promotion(done)))
    else:
        model_words.show_gates(Console(), model, done.to, done.verdicts)
        said = f"{model} is not promoted" if done.refused else "\n".join(told(done.changes))
        Console().print(said, highlight=False, soft_wrap=True)
    raise typer.Exit(1 if done.refused else 0)


@app.command()
def rollback(why: WhyOption = "", config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The model that was live before is live again, at once: a run that is up follows it too.

    [dim]kitepilot models rollback --why "losing since noon"[/dim]
    """
    from infra.postgres import model_moves
    from kitepilot.cli import model_activation, model_book

    with clear_errors():
        chosen = chosen_config(config)
        changes = model_book.acted(
            home(), chosen, lambda db: model_moves.roll_back(db, why.strip() or "rolled back by the owner")
        )
        taken = model_activation.tell(home(), changes[-1].model_id, why.strip())
    if as_json:
        print(json.dumps({"live": changes[-1].model_id, "retired": changes[0].model_id, "run": taken}))
    else:
        Console().print("\n".join([*told(changes), taken]), highlight=False, soft_wrap=True)


@app.command()
def compare(
    live: Annotated[str, typer.Argument(metavar="MODEL", help="One model, e.g. the live one.")],
    shadow: Annotated[str, typer.Argument(metavar="OTHER", help="Another that scored the same days.")],
    sessions: Annotated[
        list[str] | None, typer.Option("--session", help="A day; all that are kept without. Repeat it.")
    ] = None,
    threshold: Annotated[float, typer.Option(help="Score from which a would-be trade buys.")] = 0.58,
    as_json: JsonOption = False,
) -> None:
    """Two models on the very same rows of recorded days: AUC, Brier, hit rate, would-be trades after costs.

    A would-be trade buys at the close and sells one horizon later at the last prices: no spread, no refusals.
    It says who knows more, not what a day would have earned.

    [dim]kitepilot models compare lightgbm-1b2c3d4e lightgbm-5f6a7b8c --session 2026-11-20[/dim]
    """
    from kitepilot.cli import model_days, model_words

    with clear_errors():
        found = model_days.compare(home(), [live, shadow], sessions or [], threshold)
    if as_json:
        print(json.dumps(found))
    else:
        model_words.show_comparison(Console(), found)


@app.command()
def retire(
    model: ModelArgument, why: WhyOption = "", config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Take a model out for good (the live one only leaves for another: promote or roll back)."""
    _moved(model, lambda _: Stage.RETIRED, Move.RETIRED, why or "retired by the owner", config, as_json)


@app.command()
def demote(
    model: ModelArgument, why: WhyOption = "", config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """One step back: canary to shadow, shadow or retired to candidate."""
    _moved(model, STEP_BACK.get, Move.STEPPED_BACK, why or "stepped back by the owner", config, as_json)


@app.command()
def history(
    model: Annotated[str, typer.Argument(metavar="[MODEL]", help="One model; all of them without.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Who moved which model from where to where, when and why."""
    from infra.postgres import model_moves, model_registry
    from kitepilot.cli import model_book, model_words

    with clear_errors(), model_book.opened(home(), chosen_config(config)) as db:
        if model:
            model_moves.require(db, model)
        found = model_registry.history(db, model)
    if as_json:
        print(json.dumps([model_words.line(each) for each in found]))
    else:
        model_words.show_history(Console(), found)


def _moved(model: str, to_of: Any, how: Move, why: str, config: Path | None, as_json: bool) -> None:
    from infra.postgres import model_moves
    from kitepilot.cli import model_book, model_words
    from kitepilot.models.port import ModelError

    with clear_errors():

        def act(db: Any) -> list[StageChange]:
            model_moves.require(db, model)
            stage = model_moves.standing(db).stages[model]
            to = to_of(stage)
            if to is None:
                raise ModelError(f"{model} is {stage}: there is no step back from it")
            return model_moves.move(db, model, to, how, why.strip())

        changes = model_book.acted(home(), chosen_config(config), act)
    if as_json:
        print(json.dumps([model_words.line(each) for each in changes]))
    else:
        Console().print("\n".join(told(changes)), highlight=False, soft_wrap=True)


def _promotion(done: Promotion) -> dict[str, Any]:
    from kitepilot.cli import model_words

    return {
        "model_id": done.model_id,
        "to": done.to,
        "promoted": not done.refused,
        "gates": [each._asdict() for each in done.verdicts],
        "changes": [model_words.line(each) for each in done.changes],
    }
