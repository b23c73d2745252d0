"""`kitepilot replay DATE`: a recorded day, told in short or computed again and compared byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kitepilot.cli import days
from kitepilot.cli.days import KnownRun
from kitepilot.cli.options import JsonOption, clear_errors
from kitepilot.ports import LogError
from kitepilot.run import home
from kitepilot.topics import BARS, DEAD_LETTER, DECISIONS, FEATURES, INTENTS, SESSION, TICKS

if TYPE_CHECKING:
    from flows.replay import RecordedRun, Verdict
    from infra.session_archive import ArchivedLog

ACCOUNT_TOPICS = (SESSION.name, DECISIONS.name, INTENTS.name)
DECISION_TOPICS = (*ACCOUNT_TOPICS, DEAD_LETTER.name)
MARKET_TOPICS = (TICKS.name, BARS.name, FEATURES.name, SESSION.name, DEAD_LETTER.name)


class Part(StrEnum):
    """What `--only` may name."""

    DECISIONS = "decisions"
    MARKET = "market"


def replay(
    date: Annotated[str, typer.Argument(help="Trading date, e.g. 2026-11-20.", metavar="DATE")],
    run: Annotated[str | None, typer.Option("--run", help="Run id; the newest of the day without.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compute the day again, compare every message byte for byte.")
    ] = False,
    only: Annotated[
        Part | None, typer.Option("--only", help="With --verify: decisions alone, or the market alone.")
    ] = None,
    from_archive: Annotated[
        bool, typer.Option("--from-archive", help="Read the files kept at the day's end, not the event log.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at a recorded day again. With --verify: prove that its decisions follow from its record.

    Without --verify it prints the day: states, orders, fills and P&L by time. With --verify it reads the
    session through the decision flow and the ticks through the market flow, and compares verdicts, intents,
    account marks, bars, features, scores and signals with what was recorded: equal, with the hashes, or the
    first difference with both sides. The event log is read; the archive, where the log has forgotten the day.

    Exit codes: 0 told, or equal; 1 different, cut short or a model is gone; 2 no such day, or unreadable.

    [dim]kitepilot replay 2026-11-20
    kitepilot replay 2026-11-20 --verify --only decisions[/dim]
    """
    with clear_errors():
        known = days.find_run(home(), date, run)
        parts = tuple(Part) if only is None else (only,)
        with opened(known, home(), topics_of(parts) if verify else ACCOUNT_TOPICS, from_archive) as (
            there,
            found,
        ):
            told = verified(known, found, there, parts) if verify else _account(known, found, there)
    _print(told, as_json, verify)
    raise typer.Exit(0 if told.get("equal", True) else 1)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(replay)


def topics_of(parts: tuple[Part, ...]) -> tuple[str, ...]:
    by_part = {Part.DECISIONS: DECISION_TOPICS, Part.MARKET: MARKET_TOPICS}
    return tuple(dict.fromkeys(topic for part in parts for topic in by_part[part]))


@contextmanager
def opened(
    known: KnownRun, home: Path, topics: tuple[str, ...], from_archive: bool
) -> Iterator[tuple[str, RecordedRun]]:
    """(where the records are, the run): the event log while it holds all of `topics`, else the archive.

    Raises:
        LogError: neither has them; says what is missing where.
    """
    from flows.replay import open_recorded
    from infra.session_archive import ArchivedLog

    with ExitStack() as stack:
        lacking = "not asked"
        if not from_archive:
            try:
                log = stack.enter_context(days.reading_log(known.run(home)))
                ends = days.ends_in_log(known, days.known_runs(home), log)
                lacking = days.holds(log, known, ends, topics)
            except LogError as err:
                lacking = str(err)
            if not lacking:
                where = f"the event log ({known.log_kind})"
                yield where, open_recorded(known.run_id, log, known.starts, ends, known.concluded)
                return
        if known.archive is None:
            raise LogError(
                f"{known.run_id} is not in the archive (kept when a day is concluded), "
                f"and the event log does not have it whole: {lacking}"
            )
        archive = ArchivedLog(known.archive)
        _require_whole(archive, topics)
        ends = {name: topic.end for name, topic in archive.card.topics.items()}
        where = "the archive" if from_archive else f"the archive; the event log lacks {lacking}"
        yield where, open_recorded(known.run_id, archive, known.starts, ends, archive.card.concluded)


def _require_whole(archive: ArchivedLog, topics: tuple[str, ...]) -> None:
    for topic in topics:
        if gaps := archive.card.topics[topic].gaps:
            named = ", ".join(f"{first} to {last}" for first, last in gaps[:5])
            raise LogError(f"the archive of {archive.card.run_id} lacks {topic} offsets {named}")


@contextmanager
def _bar(text: str, total: int) -> Iterator[Any]:
    """A progress callback; the bar shows on a terminal and goes when it is done."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(30), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(text, total=total)
        yield lambda records: progress.advance(task, records)


def verified(known: KnownRun, run: RecordedRun, where: str, parts: tuple[Part, ...]) -> dict[str, Any]:
    """Every part's verdict, for people and scripts."""
    from kitepilot import __version__
    from kitepilot.cli.code import code_hash
    from kitepilot.cli.replay_words import told

    version, recorded_hash = days.recorded_by(known)
    said = [told(verdict, run) for verdict in _verdicts(known, run, parts)]
    return {
        "run_id": run.run_id,
        "session": known.session_date,
        "read_from": where,
        "equal": all(each["status"] == "equal" for each in said),
        "recorded_by": {"version": version, "code": recorded_hash},
        "replayed_by": {"version": __version__, "code": code_hash()},
        "parts": said,
    }


def _verdicts(known: KnownRun, run: RecordedRun, parts: tuple[Part, ...]) -> Iterator[Verdict | str]:
    """A verdict, or why there can be none."""
    from flows.replay import ModelGoneError, verify_decisions, verify_market

    if Part.DECISIONS in parts:
        with _bar("decisions", run.length(SESSION.name)) as progress:
            yield verify_decisions(run, progress)
    if Part.MARKET in parts:
        try:
            pipeline = _pipeline(known, run)
        except ModelGoneError as err:
            yield str(err)
            return
        with _bar("market", run.length(TICKS.name)) as progress:
            yield verify_market(run, pipeline, progress)


def _pipeline(known: KnownRun, run: RecordedRun) -> Any:
    from flows.replay import market_of
    from infra.session_archive import read_card, sessions_folder

    noted = read_card(known.archive).offline_model if known.archive else ""
    folders = [
        sessions_folder(home()) / "models",
        home() / "runs" / known.run_id / "models",
        home() / "models",
    ]
    return market_of(run, known.config(), folders, noted, known.model_plan())


def _account(known: KnownRun, run: RecordedRun, where: str) -> dict[str, Any]:
    from kitepilot.cli.day_account import account_of

    with _bar("reading the day", sum(run.length(topic) for topic in ACCOUNT_TOPICS)) as progress:
        return {"read_from": where, "session": known.session_date} | account_of(run, progress)


def _print(told: dict[str, Any], as_json: bool, verify: bool) -> None:
    from kitepilot.cli.day_account import show_account
    from kitepilot.cli.replay_words import show_verdicts

    if as_json:
        print(json.dumps(told))
    else:
        (show_verdicts if verify else show_account)(Console(), told)
