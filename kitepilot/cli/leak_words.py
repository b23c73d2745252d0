"""The leak gate's report and its catalogue, for people and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from research.leaks.catalogue.known import Verdict
    from research.leaks.report import Finding, LeakReport

COLOURS = {"PASS": "green", "FAIL": "red", "SKIP": "yellow"}


def show_report(report: LeakReport, as_json: bool) -> None:
    """A line for each check, then every failure in full."""
    if as_json:
        print(report.to_json())
        return
    from research.leaks.checks import CHECKS

    console = Console()
    table = Table("check", "", "judged", "what it asks", box=SIMPLE_HEAD)
    for name, check in CHECKS.items():
        of_it = [found for found in report.findings if found.check == name]
        if of_it:
            table.add_row(name, _status(of_it), _judged(of_it), check.asks)
    console.print(table)
    for (asked, what), subjects in _grouped(report.skipped).items():
        line = f"[yellow]not judged[/] {asked} of {', '.join(subjects)}: {escape(what)}"
        console.print(line, highlight=False, soft_wrap=True)
    for found in report.leaks:
        _show_leak(console, found)
    verdict = "[green]no leak[/]" if report.passed else f"[red]{len(report.leaks)} leaks[/]"
    about = f"{len(report.features)} features on {report.data}; label: {report.label or 'none'}"
    console.print(f"{verdict}: {escape(about)}", highlight=False, soft_wrap=True)
    console.print(
        f"[dim]report {report.digest[:16]}, features {report.features_hash[:16]}[/]", highlight=False
    )


def show_catalogue(verdicts: Sequence[Verdict], as_json: bool) -> None:
    """Every entry: was the leak caught, did the honest thing pass."""
    if as_json:
        print(json.dumps([_plain(each) for each in verdicts]))
        return
    table = Table("known leak or honest thing", "", "by", "what it does", box=SIMPLE_HEAD)
    for each in verdicts:
        leak = bool(each.entry.caught_by)
        right, wrong = ("caught", "MISSED") if leak else ("passes", "ACCUSED")
        word = f"[green]{right}[/]" if each.right else f"[red]{wrong}[/]"
        by = ", ".join(sorted({found.check for found in each.failed}))
        table.add_row(each.entry.name, word, by, each.entry.says)
    console = Console()
    console.print(table)
    leaks = [each.right for each in verdicts if each.entry.caught_by]
    fair = [each.right for each in verdicts if not each.entry.caught_by]
    console.print(
        f"{sum(leaks)} of {len(leaks)} leaks caught, {len(fair) - sum(fair)} false alarms on {len(fair)} "
        "honest things",
        highlight=False,
    )


def _grouped(skipped: Sequence[Finding]) -> dict[tuple[str, str], list[str]]:
    """Subjects by check and reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for found in skipped:
        groups.setdefault((found.check, found.what), []).append(found.subject)
    return groups


def _plain(each: Verdict) -> dict[str, Any]:
    return {
        "name": each.entry.name,
        "says": each.entry.says,
        "leak": bool(each.entry.caught_by),
        "right": each.right,
        "failed": sorted({found.check for found in each.failed}),
    }


def _status(of_it: Sequence[Finding]) -> str:
    statuses = {found.status for found in of_it}
    worst = next(status for status in ("FAIL", "PASS", "SKIP") if status in statuses)
    return f"[{COLOURS[worst]}]{worst}[/]"


def _judged(of_it: Sequence[Finding]) -> str:
    counts = Counter(found.status for found in of_it)
    parts = [f"{counts[s]} {s.lower()}" for s in ("FAIL", "PASS", "SKIP") if counts[s]]
    return ", ".join(parts) if len(parts) > 1 or len(of_it) > 1 else escape(of_it[0].subject)


def _show_leak(console: Console, found: Finding) -> None:
    place = f" at {found.where}" if str(found.where) else ""
    console.print(
        f"[red]LEAK[/] {found.check}: [b]{escape(found.subject)}[/]{escape(place)}", highlight=False
    )
    console.print(f"     {escape(found.what)}", highlight=False, soft_wrap=True)
    console.print(f"     [dim]again:[/] {escape(found.reproduction)}", highlight=False, soft_wrap=True)
    console.print(f"     [dim]why it matters:[/] {found.why}", highlight=False, soft_wrap=True)
