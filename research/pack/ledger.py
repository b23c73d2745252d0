"""Of a day: its money by the minute, its trades, what they cost."""

from __future__ import annotations

from typing import Final

from research.pack import charts
from research.pack.book import DayBook
from research.pack.cells import Columns, bps, clock, count, money, name, result, table, text
from research.pack.document import Section, Sentence

TRADES_SHOWN = 200
RESULTS: Final[Columns] = (
    ("strategy", "strategy", name),
    ("instrument", "tradingsymbol", name),
    ("net ₹", "net_pnl_paise", result),
    ("trades", "round_trips", count),
    ("won", "won", count),
    ("before charges ₹", "gross_pnl_paise", result),
    ("charges ₹", "charges_paise", money),
    ("turnover ₹", "turnover_paise", money),
)
TRIPS: Final[Columns] = (
    ("opened", "opened_at", clock),
    ("closed", "closed_at", clock),
    ("instrument", "tradingsymbol", name),
    ("side", "direction", text),
    ("net ₹", "net_pnl_paise", result),
    ("bps", "return_bps", bps),
    ("shares", "entry_quantity", count),
    ("strategy", "strategy", name),
    ("gross ₹", "gross_pnl_paise", result),
    ("charges ₹", "charges_paise", money),
    ("closed by", "closed_by", text),
)
CHARGES: Final[Columns] = (
    ("charge", "charge_line", text),
    ("our trades ₹", "charges_paise", money),
    ("contract note ₹", "note_paise", money),
)
SLIPPAGE: Final[Columns] = (
    ("strategy", "strategy", name),
    ("instrument", "tradingsymbol", name),
    ("orders", "orders", count),
    ("filled", "orders_filled", count),
    ("value ₹", "value_paise", money),
    ("slippage ₹", "slippage_decision_paise", money),
    ("bps", "slippage_decision_bps", bps),
    ("against arrival ₹", "slippage_arrival_paise", money),
    ("bps ", "slippage_arrival_bps", bps),
)


def _words(book: DayBook) -> tuple[Sentence, ...]:
    if book.rows("fct_pnl_minutes"):
        return ()
    return (Sentence("The account was never marked, so there is no curve.", "soft"),)


def results(book: DayBook) -> Section | None:
    """Curve, exposure, and the results by strategy and instrument."""
    minutes, held, daily = (
        book.rows(mart) for mart in ("fct_pnl_minutes", "fct_exposure_minutes", "fct_pnl_daily")
    )
    if not minutes and "fct_pnl_minutes" in book.lacking:
        return None
    drawn = [charts.equity(minutes)] if minutes else []
    if held and any(row["gross_exposure_paise"] for row in held):
        drawn.append(charts.exposure(held))
    ordered = sorted(daily, key=lambda row: (row["net_pnl_paise"], row["strategy"], row["tradingsymbol"]))
    tables = (
        (
            table(
                ordered,
                RESULTS,
                title="By strategy and instrument, worst first",
                most=40,
                rest="marts/fct_pnl_daily.csv",
            ),
        )
        if daily
        else ()
    )
    return Section("Money", _words(book), tuple(drawn), tables)


def trades(book: DayBook) -> Section | None:
    """Every round trip; a day without one says so."""
    if "fct_round_trips" in book.lacking:
        return None
    trips = sorted(book.rows("fct_round_trips"), key=lambda row: (row["opened_at"], row["trip_id"]))
    if not trips:
        return Section("Trades", (Sentence("A day without trades: no position was opened."),))
    return Section(
        "Trades", tables=(table(trips, TRIPS, most=TRADES_SHOWN, rest="marts/fct_round_trips.csv"),)
    )


def costs(book: DayBook) -> Section | None:
    """Charges line by line as the account bears them, and slippage by strategy and instrument."""
    tables = []
    if lines := sorted(book.rows("fct_charges_daily"), key=lambda row: row["line_number"]):
        tables.append(table(lines, CHARGES, title="Charges"))
    if quality := book.rows("fct_fill_quality"):
        ordered = sorted(
            quality,
            key=lambda row: (-(row["slippage_decision_paise"] or 0), row["strategy"], row["tradingsymbol"]),
        )
        title = "Slippage against the decision price and the mid at arrival, dearest first"
        tables.append(table(ordered, SLIPPAGE, title=title, most=25, rest="marts/fct_fill_quality.csv"))
    return Section("Costs", tables=tuple(tables)) if tables else None
