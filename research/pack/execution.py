"""Of a day: what was refused, what became of orders, how long it took, limits, rules, books compared."""

from __future__ import annotations

from collections import Counter
from typing import Final

from research.pack import charts
from research.pack.book import DayBook
from research.pack.cells import (
    Columns,
    clock,
    count,
    milliseconds,
    money,
    name,
    plain,
    share,
    status,
    table,
    text,
)
from research.pack.document import Cell, Section, Sentence, Table, Tone

ORDERS_SHOWN: Final = 200
STAGES: Final = ("tick_to_signal", "signal_to_intent", "intent_to_journal", "request")
AIMS: Final = {
    "tick_to_signal_ms": ("tick to signal", charts.TICK_TO_SIGNAL_MS),
    "signal_to_enqueued_ms": ("signal to order", charts.SIGNAL_TO_ORDER_MS),
}
DENIALS: Final[Columns] = (
    ("at", "event_at", clock),
    ("instrument", "tradingsymbol", name),
    ("strategy", "strategy", name),
    ("side", "side", name),
    ("shares", "quantity", count),
    ("reason", "denial", text),
    ("observed", "observed", plain),
    ("allowed", "allowed", plain),
    ("unit", "unit", name),
)
ORDERS: Final[Columns] = (
    ("decided", "decided_at", clock),
    ("instrument", "tradingsymbol", name),
    ("purpose", "purpose", text),
    ("side", "side", name),
    ("shares", "quantity", count),
    ("filled", "filled_quantity", count),
    ("average ₹", "average_price_paise", money),
    ("end", "status", text),
    ("request ms", "request_ms", milliseconds),
    ("first fill ms", "decision_to_first_fill_ms", milliseconds),
)
LIMITS: Final[Columns] = (
    ("limit", "limit_code", text),
    ("at most used", "use_share", share),
    ("observed", "nearest_observed", plain),
    ("allowed", "nearest_allowed", plain),
    ("unit", "unit", name),
    ("at", "nearest_at", clock),
    ("instrument", "nearest_tradingsymbol", name),
    ("refused", "entries_refused", count),
)
RULES: Final[Columns] = (
    ("rule", "meaning", text),
    ("observed", "observed", plain),
    ("allowed", "allowed", plain),
    ("unit", "unit", name),
    ("looked at", "cases", count),
    ("", "status", status),
)
COMPARISONS: Final[Columns] = (
    ("comparison", "meaning", text),
    ("compared", "compared", count),
    ("differences", "differences", count),
    ("", "status", status),
    ("first", "detail", name),
)


def refusals(book: DayBook) -> Section | None:
    """How often each reason, and every refusal with the numbers that were compared."""
    if "fct_denials" in book.lacking:
        return None
    denials = sorted(book.rows("fct_denials"), key=lambda row: (row["event_at"], row["verdict_id"]))
    if not denials:
        return Section("Refused", (Sentence("No entry was refused."),))
    reasons = Counter(row["denial"] for row in denials).most_common()
    counted = Table(
        ("reason", "times"),
        tuple((text(code), count(times)) for code, times in reasons),
        text=frozenset({"reason"}),
    )
    return Section(
        "Refused", tables=(counted, table(denials, DENIALS, most=50, rest="marts/fct_denials.csv"))
    )


def orders(book: DayBook) -> Section | None:
    """Every order with its end; folded, as trades say the same shorter."""
    found = sorted(book.rows("fct_orders"), key=lambda row: (row["decided_at"], row["intent_id"]))
    if not found:
        return None
    rest = "marts/fct_orders.csv"
    return Section(
        "Orders and fills", tables=(table(found, ORDERS, most=ORDERS_SHOWN, rest=rest),), folded=True
    )


def latencies(book: DayBook) -> Section | None:
    """By the minute against the aims, and the day's own percentiles where it was concluded."""
    rows = book.rows("fct_latencies")
    known = [stage for stage in STAGES if any(row["stage"] == stage for row in rows)]
    drawn = (charts.latencies(rows, known),) if known else ()
    said = []
    for key, (words, aim) in AIMS.items():
        measured = (book.result.get(key) or {}).get("p95")
        if measured is not None:
            verdict = "within the aim of" if measured <= aim else "ABOVE the aim of"
            tone: Tone = "good" if measured <= aim else "bad"
            said.append(
                Sentence(
                    f"From {words}, 95 of 100 took at most {measured:.1f} ms: {verdict} {aim:.0f} ms.", tone
                )
            )
    return Section("How fast", tuple(said), drawn) if drawn or said else None


def limits(book: DayBook) -> Section | None:
    """How near each limit was, nearest first."""
    rows = [row for row in book.rows("fct_limit_use") if row["use_share"] is not None]
    if not rows:
        return None
    ordered = sorted(rows, key=lambda row: (-row["use_share"], row["limit_code"]))
    words = Sentence("How near each limit came at the worst.", "soft")
    return Section("Limits", (words,), tables=(table(ordered, LIMITS),))


def compliance(book: DayBook) -> Section | None:
    """Every rule: held, broken, or not looked at."""
    rows = book.rows("fct_compliance")
    if not rows:
        return None
    ordered = sorted(rows, key=lambda row: (_BROKEN_FIRST.get(row["status"], 2), row["rule"]))
    return Section("Compliance", tables=(table(ordered, RULES),))


def reconciliation(book: DayBook) -> Section | None:
    """Every comparison between books."""
    rows = book.rows("fct_reconciliation")
    tables = []
    if rows:
        ordered = sorted(rows, key=lambda row: (_BROKEN_FIRST.get(row["status"], 2), row["check_name"]))
        tables.append(table(ordered, COMPARISONS))
    if said := book.result.get("reconciliation"):
        heads = tuple(head or " " * place for place, head in enumerate(said["heads"]))
        cells = tuple(tuple(Cell(str(each)) for each in row) for row in said["rows"])
        tables.append(Table(heads, cells, text=frozenset({heads[0]}), title="Side by side at the close"))
    return Section("Books compared", tables=tuple(tables), folded=True) if tables else None


_BROKEN_FIRST: Final = {"broken": 0, "held": 1}
