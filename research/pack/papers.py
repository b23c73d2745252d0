"""Of a pack: what changed since the version before, how the checks ended, what is in it."""

from __future__ import annotations

from collections.abc import Sequence

from research.pack.book import DayBook
from research.pack.cells import count, name
from research.pack.document import Cell, Section, Sentence, Table, Tone

TONES: dict[str, Tone] = {"passed": "good", "failed": "bad"}


def changes(book: DayBook) -> Section | None:
    """Which figures and rows are not those of the version before; nothing in a first version."""
    if book.version == 1:
        return None
    rows = tuple(
        (Cell(each.what), Cell(each.before), Cell(each.after), Cell(each.difference)) for each in book.changes
    )
    heads = ("what", f"version {book.version - 1}", f"version {book.version}", "difference")
    said = Sentence(
        f"This is version {book.version}: something was learned after version {book.version - 1} was made. "
        "The earlier version stays beside it; changes.json has every row.",
        "bad",
    )
    grid = Table(heads, rows, text=frozenset(heads[:3]))
    return Section("Changes since the version before", (said,), tables=(grid,) if rows else ())


def checks(book: DayBook) -> Section | None:
    """Tests of the models, replay, audit: each with how it ended."""
    rows = tuple(
        (Cell(each), Cell(state, TONES.get(state, "soft")), Cell(words)) for each, state, words in book.checks
    )
    heads = ("check", "", "what it says")
    return Section("Checks", tables=(Table(heads, rows, text=frozenset(heads)),)) if rows else None


def contents(book: DayBook) -> Section:
    """The files with their rows, the models' cards, the audit's root."""
    files = Table(
        ("file", "rows"),
        tuple((name(file), count(rows)) for file, rows in sorted(book.records.items())),
        text=frozenset({"file"}),
    )
    said = [Sentence(f"{mart}: {why}.", "bad") for mart, why in book.lacking.items()]
    said += [Sentence(f"The card of model {each} is nowhere any more.", "bad") for each in book.cards_lacking]
    if book.audit:
        said.append(Sentence(book.audit))
    cards = tuple(
        (
            name(card.get("model_id")),
            name(card.get("data")),
            _days(card.get("train_dates")),
            name(card.get("label")),
        )
        for card in book.cards
    )
    tables = [files] if files.rows else []
    if cards:
        heads = ("model", "trained on", "days", "what it foretells")
        tables.append(Table(heads, cards, text=frozenset(heads), title="Models that scored the day"))
    return Section("What is in this pack", tuple(said), tables=tuple(tables), folded=True)


def _days(dates: Sequence[str] | None) -> Cell:
    return name(f"{min(dates)} to {max(dates)}" if dates else None)
