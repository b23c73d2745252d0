"""The process `backtests`: makes the backtests that wait, one after the other, then ends.

Started by the API when one is asked for. It is nobody's child that matters: the API may restart meanwhile,
and who looks at the shelf sees how far it is, or that it died.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from infra.research import jobs
from infra.research.jobs import Summary, Told
from infra.research.words import MOST_UPLOAD_ROWS, Wanted
from kitepilot.cli import bar_backtest
from kitepilot.cli.research_answers import bar_backtest_of, bound_memory
from kitepilot.run import Run

if TYPE_CHECKING:
    from research.bars import BarSource
    from research.outcome import Outcome

TRIES, PAUSE_S = 20, 0.1  # who looks whether we are there holds the lock for an instant
UPLOAD = "upload"

Say = Callable[[str, int, int], None]


class CancelledError(Exception):
    """The owner thought better of it."""


def main(run: Run) -> int:
    """Until nothing waits. Another one that is at it already goes on alone."""
    bound_memory()
    drain(run)
    return 0


def drain(run: Run) -> None:
    """Make what waits, and what comes meanwhile."""
    for _ in range(TRIES):
        with jobs.alone(run.home) as mine:
            if mine:
                jobs.bury(run.home)
            while mine and (folder := jobs.next_waiting(run.home)) is not None:
                make(run, folder)
        if (
            mine and jobs.next_waiting(run.home) is None
        ):  # one that came while we let go was told we were there
            return
        time.sleep(PAUSE_S)


def make(run: Run, folder: Path) -> Told:
    """One backtest, with its report; how it ended is told in its folder and given back."""
    from kitepilot.strategies.plugins import PluginError
    from research.bar_engine.backtest import NothingToTradeError
    from research.datasets.manifest import DatasetError
    from research.fills.model import FillModelError

    told = Told(state="running", began_at=time.time_ns())
    jobs.tell(folder, told)

    def say(doing: str, done: int, of: int) -> None:
        nonlocal told
        told = msgspec.structs.replace(told, doing=doing, done=done, of=of)
        jobs.tell(folder, told)
        if jobs.cancelled(folder):
            raise CancelledError

    try:
        summary = _summary(_traded(run, folder, say), folder)
        told = msgspec.structs.replace(told, state="done", summary=summary)
    except CancelledError:
        told = msgspec.structs.replace(told, state="cancelled")
    except (ValueError, PluginError, DatasetError, FillModelError, NothingToTradeError) as err:
        told = msgspec.structs.replace(told, state="failed", why=_plain(err, folder, run.home))
    except (OSError, MemoryError) as err:
        why = f"{type(err).__name__}: {_plain(err, folder, run.home)}"
        told = msgspec.structs.replace(told, state="failed", why=why)
    told = msgspec.structs.replace(told, ended_at=time.time_ns())
    jobs.tell(folder, told)
    return told


def _traded(run: Run, folder: Path, say: Say) -> Outcome:
    from research.bar_engine.backtest import backtest

    wanted = msgspec.json.decode((folder / jobs.WANTED).read_bytes(), type=Wanted)
    config, asked = bar_backtest_of(run, wanted)
    say("reading", 0, 0)
    source = bar_backtest.opened(run.home, asked) if wanted.dataset else _sent(folder)
    plan = bar_backtest.planned(config, run.home, asked)
    done, of = 0, len(source.sessions)

    def traded(day: date) -> None:
        nonlocal done
        done += 1
        say(f"{day}", done, of)

    say("trading", 0, of)
    return backtest(plan, source, name="+".join(config.strategies.enabled), jobs=1, progress=traded)


def _sent(folder: Path) -> BarSource:
    """The bars that were sent, as sessions in memory: they are bounded."""
    from research.datasets.upload import CSV, PARQUET, read_upload
    from research.held_bars import HeldBars

    path = next(folder / name for name in (CSV, PARQUET) if (folder / name).exists())
    return HeldBars(UPLOAD, read_upload(path, MOST_UPLOAD_ROWS).sessions)


def _summary(outcome: Outcome, folder: Path) -> Summary:
    from research.metrics import measure
    from research.report.page import write_report

    fresh = folder / f".{jobs.REPORT}"
    _, beside = write_report(outcome, fresh)
    beside.replace(folder / jobs.RESULT)
    fresh.replace(folder / jobs.REPORT)
    metrics = measure(outcome)
    return Summary(
        title=f"{outcome.name} on {outcome.data}",
        sessions=len(outcome.sessions),
        trades=metrics.trades,
        signals=outcome.signals,
        gross_paise=metrics.gross_paise,
        charges_paise=metrics.charges_paise,
        net_paise=metrics.net_paise,
        left_out=len(outcome.left_out),
    )


def _plain(err: BaseException, folder: Path, home: Path) -> str:
    """Without the places of files."""
    return f"{err}".replace(f"{folder}/", "").replace(f"{home}/", "")[:1_000] or type(err).__name__
