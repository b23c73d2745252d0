"""A day's book -> the document its owner looks at: what it came to, what needs attention, then everything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from research.pack import execution, ledger, papers, signals
from research.pack.attention import attention
from research.pack.book import DayBook
from research.pack.document import Document, Section, Sentence
from research.pack.tiles import tiles

Draw = Callable[[DayBook], Section | None]

SECTIONS: tuple[tuple[str, Draw], ...] = (
    ("Changes since the version before", papers.changes),
    ("Money", ledger.results),
    ("Trades", ledger.trades),
    ("Refused", execution.refusals),
    ("Costs", ledger.costs),
    ("Orders and fills", execution.orders),
    ("How fast", execution.latencies),
    ("Limits", execution.limits),
    ("Signals and models", signals.quality),
    ("Feed", signals.feed),
    ("Compliance", execution.compliance),
    ("Books compared", execution.reconciliation),
    ("Checks", papers.checks),
    ("What is in this pack", papers.contents),
)


def document(book: DayBook) -> Document:
    """Every section that has something to say. One that cannot be drawn says so, and the rest stands."""
    drawn, troubles = [], []
    for title, draw in SECTIONS:
        try:
            section = draw(book)
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as err:
            section = Section(title, (Sentence(f"This part could not be drawn: {err!r}.", "bad"),))
            troubles.append(f"The part “{title}” could not be drawn ({err!r}).")
        if section is not None:
            drawn.append(section)
    failed = (*book.failed, *troubles)
    return Document(
        title=f"{_long(book.session_date)}, {book.mode}",
        subtitle=_subtitle(book),
        failed=failed,
        tiles=tiles(book),
        attention=attention(book),
        sections=tuple(drawn),
        footer=(
            f"Run {book.run_id}, configuration {book.config_hash}, version {book.version} of this pack. "
            "Amounts in rupees, times in IST, slippage positive where it cost us. "
            "manifest.json has the SHA-256 of every file."
        ),
    )


def _subtitle(book: DayBook) -> str:
    version = f" Version {book.version}." if book.version > 1 else ""
    others = f" Other runs of the day: {', '.join(book.other_runs)}." if book.other_runs else ""
    return f"{book.session} Run {book.run_id}.{version}{others}"


def _long(session_date: str) -> str:
    day = date.fromisoformat(session_date)
    return f"{day:%A}, {day.day} {day:%B %Y}"
