"""The commands about a day that was traded: `explain`, `backtest` and `diff`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from kitepilot.cli.options import ConfigOption, JsonOption, chosen_config, clear_errors
from kitepilot.run import home

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
    from kitepilot.cli import story_words
    from kitepilot.cli.story import UnknownIdError
    from kitepilot.cli.story_search import found

    with clear_errors(UnknownIdError):
        story = found(order_id.strip(), home(), run)
    if as_json:
        print(json.dumps(story_words.as_json(story)))
    else:
        story_words.show(Console(), story)


def backtest(
    day: DateArgument,
    run: RunOption = None,
    feed: TicksOption = None,
    config: ConfigOption = None,
    latency: LatencyOption = "seeded:30",
    as_json: JsonOption = False,
) -> None:
    """Trade one day again in a single loop: the same market flow, risk and charges, with modelled fills.

    Ticks come from the run of that date. With --config there need be no run: the market that the file
    names is played (the synthetic one, or a recording). The same ticks and latency give the same hashes.
    Exit codes: 0, 2 not possible.

    [dim]kitepilot backtest 2026-11-20
    kitepilot backtest 2026-11-20 --latency 250
    kitepilot backtest 2026-11-20 -c my.yaml[/dim]
    """
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
