"""What came of each fault, as a table for the terminal and as a page of the documentation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from refold import Refolded
from rich.console import Console
from rich.table import Table
from strikes import Fault

from kitepilot.cli.report import ist_clock

HEADS = ("log", "fault", "when", "seed", "works again", "outcome")


@dataclass(frozen=True)
class Row:
    """One fault and what came of it; `again` is the command that repeats it."""

    log: str
    fault: str
    when: str
    seed: int
    took: str
    outcome: str
    failed: bool = False

    @property
    def cells(self) -> tuple[str, ...]:
        return (self.log, self.fault, self.when, str(self.seed), self.took, self.outcome)


def day_row(log: str, seed: int, day: int, fault: Fault, flaws: Sequence[str]) -> Row:
    """A fault of a day. The proof is the whole day's: its flaws stand in every row of it."""
    when = ist_clock(fault.at) + ("" if fault.on_order_s is None else ", then an order")
    lasting = f" for {fault.lasts_s:g} s" if fault.lasts_s else ""
    struck = fault.took_s >= 0
    took = f"{fault.took_s:.1f} s" if struck else "-"
    outcome = "; ".join(flaws) or ("survived" if struck else "the session was over before it struck")
    return Row(
        log, fault.name + lasting, f"day {day}, {when}", seed, took, outcome, bool(flaws) or not struck
    )


def refold_row(log: str, seed: int, name: str, came: Refolded) -> Row:
    when = f"{came.kills} kills, {came.freezes} freezes"
    outcome = came.difference or f"equal, {came.words:,} messages"
    return Row(log, name, when, seed, "-", outcome, bool(came.difference))


def show(rows: Sequence[Row]) -> None:
    """The table on the terminal."""
    table = Table(*HEADS)
    for row in rows:
        table.add_row(*row.cells)
    Console(width=170).print(table)


def page(rows: Sequence[Row], instruments: int, loads: Sequence[float]) -> str:
    """docs/reference/chaos.md: the numbers of this run. `loads`: of the machine, as they were seen."""
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    failed, load = sum(row.failed for row in rows), f"{min(loads):.0f} to {max(loads):.0f}"
    words = " ".join(["tests/e2e/chaos.py", *sys.argv[1:]])
    lines = [
        "# Faults survived by real processes",
        "",
        f"Written by `{words}` on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit},",
        f"{os.cpu_count()} processors with a load of {load}, {instruments} instruments;",
        f"{len(rows)} rows, {failed} failed.",
        "",
        EXPLAINED,
        "",
        "| " + " | ".join(HEADS) + " |",
        "|" + "---|" * len(HEADS),
    ]
    lines += ["| " + " | ".join((c[0], f"`{c[1]}`", *c[2:])) + " |" for c in (row.cells for row in rows)]
    return "\n".join(lines) + "\n"


EXPLAINED = """\
Each row is repeated by `make chaos LOG=<log> SEED=<seed> ONLY=<fault>`: its moment and its length depend on
the seed and its name alone. `kill` is SIGKILL, `stop` SIGSTOP and later SIGCONT (with all children), `away`
is SIGKILL and no restart for that long, `cut` swallows every packet of a line (`answers`: only what the
exchange replies), `full` leaves not a byte on the disk of that folder. "Works again" counts from the end of
the fault until every process runs, every server answers and session time has moved on by a minute.

The proof is the whole day's, with all its faults: exit code 0; exchange, PostgreSQL, a fresh fold and
ClickHouse equal fill by fill; flat at the cutoff; no message lost or told twice; one order at the most for an
intent, and an end for each; every tick record of the undisturbed market, but those in gaps that a feed record
names; and `kitepilot replay --verify` computes the same decisions, bars, features, scores and signals.

`refold` rows take an undisturbed day's records through a real flow that is killed and frozen: every message
must be the one the undisturbed process wrote. That equality can be asked of processes that turn records into
records (decisions, market), wherever they are struck. It cannot be asked of a day whose ingester, gateway,
exchange or network was struck: other ticks arrive and answers come at other moments, so other records are
decided upon."""
