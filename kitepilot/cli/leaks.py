"""`kitepilot leak-check`: does a feature, a label, a split or a pipeline know what it should not?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kitepilot.cli.options import JsonOption, clear_errors
from kitepilot.run import home

EXIT_LEAK = 1


def leak_check(
    data: Annotated[
        str, typer.Option("--data", help="A dataset (`kitepilot datasets list`), or generated:50x20.")
    ] = "generated:8x12",
    features: Annotated[
        str, typer.Option("--features", help="Built-in ones, comma-separated; all without, none with --mine.")
    ] = "",
    mine: Annotated[
        list[str] | None,
        typer.Option("--mine", help="Your own: file.py:function or module:function of a session's bars."),
    ] = None,
    label: Annotated[
        str, typer.Option("--label", help="horizon:MINUTES, barrier:PROFIT/STOP/MINUTES, or file.py:name.")
    ] = "horizon:5",
    folds: Annotated[
        str, typer.Option("--folds", help="rolling:TRAIN/TEST, expanding:TRAIN/TEST, or file.py:function.")
    ] = "rolling:5/2",
    embargo: Annotated[
        str, typer.Option("--embargo", help="What the split keeps clear: 30m, 2h, 1d or 0.")
    ] = "1h",
    pipeline: Annotated[
        str, typer.Option("--pipeline", help="file.py:function of (examples, train, test) -> scores.")
    ] = "",
    sessions: Annotated[
        int, typer.Option("--sessions", min=1, help="The newest so many are read for labels and folds.")
    ] = 12,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same inputs and seed: the same report.")] = 7,
    out: Annotated[
        Path | None, typer.Option("--out", help="Keep the report here, for `kitepilot models import`.")
    ] = None,
    catalogue: Annotated[
        bool, typer.Option("--catalogue", help="Instead: judge the known leaks, and the honest things.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look for knowledge of the future in features, labels, splits and pipelines: all is run, nothing read.

    A feature is computed again on days that end early, on other futures, on another market, with the
    instruments in another order; a label on other bars after its end; a pipeline on rows whose future is
    another. Folds are held to purge and embargo, columns to what the past can tell. A failure names feature,
    symbol and minute, and the smallest input that shows it. Its report is what promotion asks for.

    Exit codes: 0 no leak, 1 a leak (or the catalogue was not caught), 2 it cannot be judged.

    [dim]kitepilot leak-check --data nse-2016 --out leaks.json
    kitepilot leak-check --mine my_features.py:gap --label barrier:30/20/15
    kitepilot leak-check --catalogue[/dim]
    """
    from kitepilot.cli import leak_words
    from kitepilot.cli import leaking as way
    from research.datasets.manifest import DatasetError
    from research.labels.words import LabelWordsError
    from research.leaks.subjects import SubjectError
    from research.walkforward.folds import SchemeError

    with clear_errors(DatasetError, LabelWordsError, SchemeError, SubjectError):
        if catalogue:
            told = way.catalogue(seed, quiet=as_json)
            leak_words.show_catalogue(told, as_json)
            raise typer.Exit(0 if all(each.right for each in told) else EXIT_LEAK)
        words = way.Words(
            data=data,
            features=features,
            mine=tuple(mine or ()),
            label=label,
            folds=folds,
            embargo=embargo,
            pipeline=pipeline,
            sessions=sessions,
            seed=seed,
        )
        report = way.check(home(), words, quiet=as_json)
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(report.to_json())
    leak_words.show_report(report, as_json)
    raise typer.Exit(0 if report.passed else EXIT_LEAK)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("leak-check")(leak_check)
