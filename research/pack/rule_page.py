"""A day's book -> the compliance page: every rule, what was observed, what is allowed, and on what basis."""

from __future__ import annotations

from research.pack import execution
from research.pack.book import DayBook
from research.pack.cells import name, text
from research.pack.document import Document, Section, Sentence, Table


def document(book: DayBook) -> Document:
    """One table to show to whoever asks, and the grounds of each rule."""
    drawn = execution.compliance(book)
    rows = book.rows("fct_compliance")
    broken = tuple(Sentence(f"Broken: {row['meaning']}.", "bad") for row in rows if row["status"] == "broken")
    if drawn is None:
        drawn = Section(
            "Compliance", (Sentence("The rules could not be looked at: the marts lack them.", "bad"),)
        )
    heads = ("rule", "on what it rests")
    grounds = Table(
        heads, tuple((text(row["rule"]), name(row["basis"])) for row in rows), text=frozenset(heads)
    )
    return Document(
        title=f"Compliance on {book.session_date}, {book.mode}",
        subtitle=f"{book.session} Run {book.run_id}, configuration {book.config_hash}.",
        failed=book.failed,
        attention=broken,
        sections=(drawn, Section("Grounds", tables=(grounds,))) if rows else (drawn,),
    )
