"""A run's day -> its pack: books built and tested, the day replayed, papers gathered, drawn, and zipped.

What goes wrong on the way makes a pack that says FAILED and why; only a day that nobody recorded has none.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from infra.audit.reading import open_book
from infra.audit.verification import verify_file
from infra.daily_packs import (
    AuditRoot,
    Changes,
    MadeBy,
    Manifest,
    bundle,
    differences,
    packs_of,
    path_of,
    read_manifest,
)
from infra.daily_packs.differences import FIGURES
from infra.daily_packs.manifest import COMPLETE, DETAILS, FAILED, FORMAT, entries
from kitepilot import __version__
from kitepilot.cli import audit, days, replay, sealing
from kitepilot.cli.code import code_hash
from kitepilot.cli.days import KnownRun
from kitepilot.cli.pack import analysis, audit_rows, book_rows, change_words, checks, marts, papers, records
from kitepilot.cli.pack.checks import Check
from kitepilot.cli.pack.figures import figures_of
from kitepilot.cli.pack.session_words import session_words
from kitepilot.config import PackReplay
from kitepilot.events import DecisionParameters, RiskProfile
from kitepilot.ports import LogError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from research.pack.book import Changed, DayBook

FOLDER = "packs"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """A pack that is there now. `fresh`: it was written just now; False: an earlier one says all of it."""

    path: Path
    manifest: Manifest
    fresh: bool
    changes: Changes | None = None

    def as_json(self) -> dict[str, Any]:
        said = msgspec.to_builtins(self.manifest)
        told = {name: said[name] for name in ("run_id", "session_date", "mode", "version", "status", "why")}
        changes = msgspec.to_builtins(self.changes) if self.changes else None
        return {**told, "path": str(self.path), "fresh": self.fresh, "changes": changes}


@dataclass
class _Work:
    """What the steps hand on. `folder`: where the pack's files are gathered."""

    known: KnownRun
    home: Path
    folder: Path
    checks: list[Check] = field(default_factory=list)
    rows: dict[str, list[marts.Row]] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    parameters: DecisionParameters | None = None
    audit: AuditRoot | None = None
    cards: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))


def make(
    home: Path, day: str, run_id: str | None, out: Path | None, how: PackReplay | None, say: Say
) -> Made:
    """The pack of the newest run of `day`, or of the one named, in `out` or `<home>/packs`.

    Raises:
        NoSuchDayError: no run of that day, or it still runs. PackError: an earlier pack cannot be read.
    """
    known = days.find_run(home, day, run_id)
    shelf = out if out is not None else home / FOLDER
    folder = shelf / day / f".{known.run_id}.draft"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "records").mkdir(parents=True)
    try:
        work = _Work(known, home, folder)
        _gather(work, how or known.config().daily_pack.replay, say)
        return _issued(work, shelf, say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _gather(work: _Work, how: PackReplay, say: Say) -> None:
    known, folder = work.known, work.folder
    run = known.run(work.home)
    papers.configuration(known, folder)
    work.cards = papers.model_cards(known, work.home, folder)
    say("building and testing the book of analysis")
    with analysis.analysed(work.home, known.config(), work.checks, say) as client:
        if client is not None:
            work.rows, work.lacking = marts.read(client, run)
            for name, rows in work.rows.items():
                marts.write(rows, name, folder / "marts")
                work.counts |= {f"marts/{name}": len(rows)} if rows else {}
        else:
            work.lacking = dict.fromkeys(marts.READ, "ClickHouse did not answer")
        say("orders, fills, signals, intents and verdicts")
        _records(work, client)
    work.checks += checks.of_marts(work.lacking)
    say("the audit")
    _audit(work)
    if how != "none":
        say("computing the day again")
    work.checks += checks.replayed(known, work.home, how)


def _records(work: _Work, client: Client | None) -> None:
    """From ClickHouse, else from the log, else from PostgreSQL as far as it goes."""
    folder, known = work.folder / "records", work.known
    later: list[RiskProfile] = []
    with contextlib.ExitStack() as stack:
        recorded, lacking = None, ""
        try:
            _, recorded = stack.enter_context(
                replay.opened(known, work.home, records.TOPICS, checks.from_archive_first(known))
            )
            work.parameters = recorded.parameters
            later = records.profiles(recorded)
        except LogError as err:
            lacking = str(err)
            work.parameters = papers.parameters_of(known)
        book = "" if client or recorded else stack.enter_context(audit.database(known.config(), work.home))
        for table in records.TABLES:
            if client is not None:
                rows = records.from_archive(client, known.run_id, table)
            elif recorded is not None:
                rows = records.from_log(recorded, table)
            else:
                rows = book_rows.from_book(book, known.run_id, table)
            work.counts[f"records/{table}"] = records.write(rows, table, folder)
    if client is None and recorded is None:
        words = (
            "Neither ClickHouse nor the log has the day: orders and fills are PostgreSQL's; "
            "signals, verdicts and intents are in records/audit.jsonl alone."
        )
        work.checks.append(Check("records", checks.FAILED, words, (lacking,)))
    if work.parameters is not None:
        papers.limits(work.parameters, later, work.folder)


def _audit(work: _Work) -> None:
    """Rows, root, and whether the file in the pack is as it was written."""
    folder = work.folder / "records"
    try:
        with audit.database(work.known.config(), work.home) as url, open_book(url) as book:
            work.audit = audit_rows.write(book, work.known.run_id, folder)
        verdict = verify_file(folder / "audit.jsonl", work.home)
    except sealing.TROUBLES as err:
        words = "The audit could not be read, so nothing here proves what was said and done."
        work.checks.append(Check("audit", checks.FAILED, words, (_line(err),)))
        return
    work.counts["records/audit"] = verdict.records
    if verdict.flaw is not None:
        words = f"The audit is not as it was written: {verdict.flaw}."
        work.checks.append(Check("audit", checks.FAILED, words))
    elif work.audit is None:
        words = "The audit is whole but has no seal of this run: `kitepilot audit seal` makes one."
        work.checks.append(Check("audit", checks.PASSED, words))
    else:
        words = f"The audit is as it was written: {verdict.records:,} records under seal {work.audit.seal}."
        work.checks.append(Check("audit", checks.PASSED, words))


def _line(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0]


def _issued(work: _Work, shelf: Path, say: Say) -> Made:
    """Compare with the newest version there is; it stands where nothing is new, else another is written."""
    known, folder = work.known, work.folder
    result = _result(known)
    _write(
        folder / "checks.json", [{"name": e.name, "state": e.state, "words": e.words} for e in work.checks]
    )
    _write(folder / DETAILS, {each.name: each.detail for each in work.checks if each.detail})
    _write(folder / FIGURES, figures_of(work.rows, result))
    before = packs_of(shelf, known.session_date, known.run_id)
    earlier = read_manifest(before[-1].path) if before else None
    content = entries(folder)
    if earlier is not None and earlier.content == {each.name: each.sha256 for each in content}:
        say(f"nothing new since {before[-1].path.name}")
        return Made(before[-1].path, earlier, fresh=False)
    changes = differences(before[-1].path, earlier, folder, content) if earlier else None
    version = earlier.version + 1 if earlier else 1
    say("drawing the report")
    why = _drawn(work, version, changes, result)
    manifest = Manifest(
        format=FORMAT,
        run_id=known.run_id,
        session_date=known.session_date,
        mode=known.config().mode,
        config_hash=known.recorded_config_hash,
        version=version,
        status=FAILED if why else COMPLETE,
        why=why,
        audit=work.audit,
        made_by=MadeBy(__version__, code_hash()),
        files=entries(folder),
    )
    path = path_of(shelf, known.session_date, known.run_id, version, manifest.status)
    bundle(folder, manifest, path)
    return Made(path, manifest, fresh=True, changes=changes)


def _drawn(work: _Work, version: int, changes: Changes | None, result: Mapping[str, Any]) -> tuple[str, ...]:
    """Write the pages; returns why the pack is FAILED, a page that could not be drawn included."""
    from research.pack import day, page, pdf, rule_page

    why = checks.why_failed(work.checks)
    if changes is not None:
        _write(work.folder / "changes.json", msgspec.to_builtins(changes))
    lines = change_words.lines(changes, FAILED if why else COMPLETE) if changes else ()
    book = _book(work, version, why, lines, result)
    document = day.document(book)
    (work.folder / "report.html").write_text(page.html(document), encoding="utf-8")
    session = date.fromisoformat(book.session_date)
    (work.folder / "report.pdf").write_bytes(pdf.pdf(document, session))
    (work.folder / "compliance.html").write_text(page.html(rule_page.document(book)), encoding="utf-8")
    return document.failed


def _book(
    work: _Work, version: int, why: tuple[str, ...], lines: tuple[Changed, ...], result: Mapping[str, Any]
) -> DayBook:
    from research.pack.book import DayBook

    known, terms = work.known, work.parameters
    found, lacking = work.cards
    return DayBook(
        run_id=known.run_id,
        session_date=known.session_date,
        mode=known.config().mode,
        config_hash=known.recorded_config_hash,
        version=version,
        session=session_words(
            known.session_date, terms.open_at if terms else 0, terms.close_at if terms else 0
        ),
        failed=why,
        checks=tuple((each.name, each.state, each.words) for each in work.checks),
        marts=work.rows,
        lacking=work.lacking,
        result=result,
        other_runs=tuple(
            each.run_id
            for each in days.known_runs(work.home)
            if each.session_date == known.session_date and each.run_id < known.run_id
        ),
        changes=lines,
        records=work.counts,
        audit=_audit_words(work.audit),
        cap_paise=terms.profile.limits.daily_loss_paise if terms else 0,
        cards=tuple(papers.card(work.folder, each) for each in found),
        cards_lacking=tuple(lacking),
    )


def _audit_words(root: AuditRoot | None) -> str:
    if root is None:
        return ""
    return f"The audit ends in {root.root} under seal {root.seal}; records/audit.jsonl holds every record."


def _result(known: KnownRun) -> dict[str, Any]:
    """The run's own conclusion; empty where it never came to one, or its folder is gone."""
    path = known.folder / "result.json" if known.folder else None
    if path is None or not path.exists():
        return {}
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])


def _write(path: Path, told: Any) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")
