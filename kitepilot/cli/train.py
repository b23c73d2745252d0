"""`kitepilot train`: a walk-forward over a dataset, and the model that comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kitepilot.cli.options import JsonOption, clear_errors
from kitepilot.run import home


def train(
    data: Annotated[
        str, typer.Option("--data", help="A dataset (`kitepilot datasets list`), or generated:50x20.")
    ],
    model: Annotated[
        str, typer.Option("--model", help="lightgbm, xgboost, onnx (with --artifact) or your own.")
    ] = "lightgbm",
    label: Annotated[
        str, typer.Option("--label", help="horizon:MINUTES or barrier:PROFIT/STOP/MINUTES (bps).")
    ] = "horizon:5",
    cost: Annotated[
        float | None, typer.Option("--cost", help="Cost of a round trip in bps; the day's charges without.")
    ] = None,
    slippage: Annotated[
        float, typer.Option("--slippage", help="Bps that both sides together slip, on top of charges.")
    ] = 2.0,
    folds: Annotated[
        str, typer.Option("--folds", help="rolling:TRAIN/TEST or expanding:TRAIN/TEST, in sessions.")
    ] = "rolling:10/3",
    embargo: Annotated[
        str,
        typer.Option("--embargo", help="Time kept clear around what is measured: 30m, 2h, 1d."),
    ] = "1h",
    trials: Annotated[
        int, typer.Option("--trials", min=0, help="Optuna's trials in each fold; 0 takes the defaults.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same data, settings and seed: same bytes.")] = 7,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Folds at a time; changes nothing else.")] = 1,
    calibration: Annotated[str, typer.Option("--calibration", help="platt, isotonic or none.")] = "platt",
    features: Annotated[
        str, typer.Option("--features", help="Names, comma-separated; all that the bars can give without.")
    ] = "",
    fixed: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE of the trainer, not searched; may repeat.")
    ] = None,
    artifact: Annotated[
        Path | None, typer.Option("--artifact", help="ONNX file: measured and calibrated, not trained.")
    ] = None,
    first: Annotated[str | None, typer.Option("--first", help="First session, e.g. 2024-01-01.")] = None,
    last: Annotated[str | None, typer.Option("--last", help="Last session.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train by walk-forward: each fold learns from earlier sessions alone, and is measured on later ones.

    Every fold tunes, fits, calibrates and chooses its threshold on its training sessions; only its test
    sessions count. Purge and embargo keep labels from reaching across. A run that was interrupted goes on
    where it was when the same command is given again. It ends with a model of the newest sessions and its
    card in `training/<run>/model`, which `kitepilot models import` takes.

    Exit codes: 0 a model was made, 1 the folds were measured but no model is kept, 2 nothing could be made.

    [dim]kitepilot train --data nse-2016 --folds rolling:10/3 --trials 20 --jobs 2
    kitepilot train --data nse-2016 --label barrier:40/20/30 --model xgboost --calibration isotonic[/dim]
    """
    from kitepilot.cli import training as way
    from kitepilot.strategies.plugins import PluginError
    from research.datasets.manifest import DatasetError
    from research.labels.words import LabelWordsError
    from research.walkforward.folds import SchemeError

    with clear_errors(DatasetError, LabelWordsError, SchemeError, PluginError):
        words = way.Words(
            data=data,
            model=model,
            label=label,
            cost=cost,
            slippage=slippage,
            folds=folds,
            embargo=embargo,
            trials=trials,
            seed=seed,
            jobs=jobs,
            calibration=calibration,
            features=features,
            fixed=tuple(fixed or ()),
            artifact=artifact,
            first=first,
            last=last,
        )
        run = way.train(home(), words, quiet=as_json)
    if as_json:
        print(json.dumps(way.as_json(run)))
    else:
        way.show(run)
    raise typer.Exit(0 if run.result.model else 1)


def add_to(app: typer.Typer) -> None:
    app.command()(train)
