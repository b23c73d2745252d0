"""The commands about a day that was traded: `explain`, `backtest` and `diff`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors, fail
from kitepilot.run import home

if TYPE_CHECKING:
    from kitepilot.cli.bar_backtest import Asked

DateArgument = Annotated[str, typer.Argument(metavar="DATE", help="Session date, e.g. 2026-11-20.")]
RunOption = Annotated[str | None, typer.Option("--run", help="Which run of that date; the newest without.")]
LatencyOption = Annotated[
    str,
    typer.Option(
        "--latency", help="Order to exchange: zero, milliseconds (80), or a seeded mean (seeded:30)."
    ),
]
TicksOption = Annotated[
    str | None,
    typer.Option("--feed", help="Other ticks than the run's own: a recording (Parquet), or `market`."),
]


def explain(
    order_id: Annotated[
        str, typer.Argument(metavar="ID", help="Broker's order id, tag, or id of intent, verdict or signal.")
    ],
    run: Annotated[str | None, typer.Option("--run", help="Which run; without, all, newest first.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the story of one order: why it was sent, what became of it, what it earned; or why it was refused.

    The ticks before it, the bar, features and scores, the signal, every risk check with its numbers, requests
    and replies, fills, the round trip and its charges; by the session's clock and the machine's.
    A refused entry is found by its signal or verdict id. Read from the event log, else from the archive.
    Exit codes: 0, 2 nobody knows the id (the nearest and the last ones are named).

    [dim]kitepilot explain 1261120417100000007
    kitepilot explain 1261120417100000007 --json | jq .verdict.checks[/dim]
    """
    from kitepilot.audit import story_timeline
    from kitepilot.audit.story import UnknownIdError
    from kitepilot.cli import story_words
    from kitepilot.cli.story_search import found

    with clear_errors(UnknownIdError):
        story = found(order_id.strip(), home(), run)
    if as_json:
        print(json.dumps(story_timeline.as_json(story)))
    else:
        story_words.show(Console(), story)


def backtest(
    day: Annotated[
        str | None, typer.Argument(metavar="[DATE]", help="Session date of recorded ticks, or use --data.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="A dataset of 1 m bars, by its name.")] = None,
    strategy: Annotated[
        list[str] | None, typer.Option("--strategy", help="Which strategy (may be repeated).")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="STRATEGY.PARAMETER=NUMBER (may be repeated).")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="First session of the dataset.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last session of the dataset.")] = None,
    symbols: Annotated[str, typer.Option("--symbols", help="Only these, comma separated.")] = "",
    fill: Annotated[
        str, typer.Option("--fill", help="default, NAME=NUMBER,..., or a file of `slippage fit`.")
    ] = "",
    rates: Annotated[str | None, typer.Option("--rates", help="Charge as on that date.")] = None,
    capital: Annotated[int, typer.Option("--capital", help="Rupees on the account.")] = 1_000_000,
    special: Annotated[bool, typer.Option("--special", help="Muhurat and other short sessions too.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", help="Processes; as many as processors without.")] = 0,
    compiled: Annotated[
        bool,
        typer.Option("--compiled", help="By the compiled desk: the same trades, much faster."),
    ] = False,
    report: Annotated[Path | None, typer.Option("--report", help="Write the HTML page there.")] = None,
    run: RunOption = None,
    feed: TicksOption = None,
    config: ConfigOption = None,
    latency: LatencyOption = "seeded:30",
    as_json: JsonOption = False,
) -> None:
    """Trade the past again: a day of recorded ticks, or a dataset of 1 m bars with --data.

    The same strategies, risk fold and charges as live. A day's ticks come from the run of that date and fill
    by its recorded depth; with --config there need be no run: the market that the file names is played.
    Bars have no depth: docs/reference/backtest-fills.md says how they fill and what is assumed.
    The same input gives the same result. Exit codes: 0, 2 not possible.

    [dim]kitepilot backtest 2026-11-20
    kitepilot backtest 2026-11-20 -c my.yaml --latency 250
    kitepilot backtest --data nse-2016 --strategy ma_cross --set ma_cross.fast=5 --report ma.html[/dim]
    """
    if data is not None:
        from kitepilot.cli.bar_backtest import Asked

        words = Asked(
            data=data,
            strategies=tuple(strategy or ()),
            settings=tuple(settings or ()),
            first=first,
            last=last,
            symbols=symbols,
            fill=fill,
            rates=rates,
            capital_rupees=capital,
            special=special,
            jobs=jobs,
            compiled=compiled,
        )
        _of_bars(words, config, report, as_json=as_json)
    elif day is None:
        fail("say which DATE to trade again, or --data NAME; `kitepilot datasets list` shows the datasets")
    else:
        _of_ticks(day, run, feed, config, latency, as_json=as_json)


def _of_bars(words: Asked, config: Path | None, report: Path | None, *, as_json: bool) -> None:
    from kitepilot.cli import bar_backtest as way
    from kitepilot.strategies.plugins import PluginError
    from research.bar_engine.backtest import NothingToTradeError
    from research.datasets.manifest import DatasetError
    from research.fills.model import FillModelError
    from research.report.page import write_report

    with clear_errors(PluginError, DatasetError, FillModelError, NothingToTradeError):
        console = Console(stderr=True, quiet=as_json)
        outcome = way.run(chosen_config(config), home(), words, console)
        if report is not None:
            write_report(outcome, report)
    if as_json:
        print(way.as_json(outcome))
    else:
        way.show(Console(), outcome)


def _of_ticks(
    day: str, run: str | None, feed: str | None, config: Path | None, latency: str, *, as_json: bool
) -> None:
    from broker_adapter.sandbox.feed import FeedError
    from kitepilot.cli import backtest as way
    from kitepilot.cli.past_days import a_date
    from kitepilot.cli.watch import speaker, stderr_console
    from kitepilot.strategies.plugins import PluginError
    from research.recorded import RecordedDayError

    with clear_errors(FeedError, RecordedDayError, PluginError):
        say = speaker(stderr_console())
        if config is not None and run is None:
            a_date(day)
            chosen = chosen_config(config, **{"session.date": day, "market.feed": feed})
            found = way.of_market(chosen, home(), latency, say)
        else:
            found = way.of_run(home(), day, run, feed, latency, say)
    if as_json:
        print(json.dumps(found))
    else:
        way.show(Console(), found)


def diff(
    day: DateArgument,
    run: RunOption = None,
    feed: TicksOption = None,
    latency: LatencyOption = "seeded:30",
    as_json: JsonOption = False,
) -> None:
    """Compare a recorded day, its replay and its backtest, and say to the paisa where they part.

    The difference in profit is split into data, timing, fill price, charges and code, one change at a time;
    the parts add up to the whole. A paper day's backtest reads the market that was played, so ticks that
    never arrived show; a live day's reads the ticks that were recorded, or a recording (--feed).
    `--feed recorded` leaves the played market out. Exit codes: 0, 2 not possible.

    [dim]kitepilot diff 2026-11-20
    kitepilot diff 2026-11-20 --latency 250 --json[/dim]
    """
    from broker_adapter.sandbox.feed import FeedError
    from kitepilot.cli import diff as way
    from kitepilot.cli.watch import speaker, stderr_console
    from kitepilot.strategies.plugins import PluginError
    from research.recorded import RecordedDayError

    with clear_errors(FeedError, RecordedDayError, PluginError):
        told = way.of_run(home(), day, run, feed, latency, speaker(stderr_console()))
    if as_json:
        print(json.dumps(told))
    else:
        way.show(Console(), told)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (explain, backtest, diff):
        app.command()(command)
