"""What of a day its owner has to look at, in sentences; the worst first. Empty where there is nothing."""

from __future__ import annotations

from collections import Counter

from kitepilot.money import rupees
from research.pack.book import DayBook
from research.pack.cells import clock
from research.pack.document import Sentence
from research.pack.tiles import NEAR

OFTEN = 10  # refusals for one reason


def attention(book: DayBook) -> tuple[Sentence, ...]:
    """Broken rules, books that differ, a run that stopped early, limits that came near, what drifted."""
    found: list[Sentence] = []
    for find in (_sessions, _rules, _books, _trips, _limits, _models, _refusals, _feed):
        try:
            found += find(book)
        except (KeyError, TypeError) as err:
            found.append(Sentence(f"It could not be looked at whether there is more: no {err}.", "bad"))
    return tuple(found)


def _sessions(book: DayBook) -> list[Sentence]:
    """How the day ended, what of it is missing, who was renamed."""
    said = []
    for row in book.rows("dim_sessions"):
        if row["ended"] == "broken_off":
            words = "The run was broken off: what happened after its last mark is not in these papers"
            said.append(Sentence(f"{words} ({clock(row['last_mark_at']).text}).", "bad"))
        elif row["ended"] == "stopped_early":
            said.append(Sentence("The run was stopped before the close."))
        if row["minutes_missing"]:
            words = f"{row['hours_missing']:.1f} hours of the session are missing"
            of_all = f"({row['minutes_missing']} of {row['minutes_expected']} minutes)"
            said.append(Sentence(f"{words} {of_all}.", "bad"))
        said += [Sentence(f"Renamed: {each}. Results stay with the instrument.") for each in row["renamed"]]
    if book.result.get("interrupted"):
        said.append(Sentence("A person had it flattened before the close.", "bad"))
    return said


def _rules(book: DayBook) -> list[Sentence]:
    return [
        Sentence(
            f"Broken: {row['meaning']} (observed {row['observed']:g}, allowed {row['allowed']:g}).",
            "bad",
        )
        for row in book.rows("fct_compliance")
        if row["status"] == "broken"
    ]


def _books(book: DayBook) -> list[Sentence]:
    said = [
        Sentence(f"Books differ: {row['meaning']}: {row['detail'] or row['differences']}.", "bad")
        for row in book.rows("fct_reconciliation")
        if row["status"] == "broken"
    ]
    if book.result and not book.result.get("reconciled", True):
        said.append(
            Sentence(f"Not reconciled at the close: {book.result.get('first_difference', '')}.", "bad")
        )
    return said


def _trips(book: DayBook) -> list[Sentence]:
    still = [row for row in book.rows("fct_round_trips") if not row["is_closed"]]
    return [
        Sentence(
            f"Still open: {row['open_quantity']} {row['tradingsymbol']}, "
            f"₹{rupees(row['unrealised_pnl_paise'])} unrealised.",
            "bad",
        )
        for row in still
    ]


def _limits(book: DayBook) -> list[Sentence]:
    return [
        Sentence(
            f"{_name(row['limit_code'])} came to {100 * row['use_share']:.0f} % of its limit at "
            f"{clock(row['nearest_at']).text}{_whose(row['nearest_tradingsymbol'])}."
        )
        for row in book.rows("fct_limit_use")
        if row["use_share"] is not None and row["use_share"] >= NEAR and row["unit"] == "rupees"
    ]


def _models(book: DayBook) -> list[Sentence]:
    return [
        Sentence(
            f"Drift in {row['model']}{_whose(row['feature'])}: {row['detector']}, "
            f"act: {row['act'] or 'none'}."
        )
        for row in book.rows("fct_model_drift")
        if row["finding"] == "drift"
    ]


def _refusals(book: DayBook) -> list[Sentence]:
    counted = Counter(row["denial"] for row in book.rows("fct_denials"))
    return [
        Sentence(f"{count} entries were refused for {_name(code).lower()}.")
        for code, count in counted.most_common()
        if count >= OFTEN
    ]


def _feed(book: DayBook) -> list[Sentence]:
    downs = sum(row["feed_downs"] or 0 for row in book.rows("fct_feed_health"))
    times = "once" if downs == 1 else f"{downs} times"
    return [Sentence(f"The feed went down {times}.", "bad")] if downs else []


def _whose(name: str) -> str:
    return f" ({name})" if name else ""


def _name(code: str) -> str:
    return code.replace("_", " ").capitalize()
