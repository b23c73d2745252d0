"""Of a day: how good signals and models were, how the features and the feed were."""

from __future__ import annotations

from typing import Final

from research.pack import charts
from research.pack.book import DayBook, Row
from research.pack.cells import Columns, bps, clock, correlation, count, name, ratio, share, table, text, yes
from research.pack.document import Section, Sentence

UNEASY_PSI: Final = 0.25  # a population that has shifted, by the usual reading of the index
MUCH_MISSING: Final = 0.05
SIGNALS: Final[Columns] = (
    ("strategy", "strategy", name),
    ("horizon s", "horizon_s", count),
    ("signals", "signals", count),
    ("right", "hit_rate", share),
    ("IC", "information_coefficient", correlation),
    ("mean bps after costs", "mean_net_return_bps", bps),
)
MODELS: Final[Columns] = (
    ("model", "model", name),
    ("part", "role", text),
    ("scores", "scored_rows", count),
    ("AUC", "auc", correlation),
    ("Brier skill", "skill", correlation),
    ("IC", "information_coefficient", correlation),
    ("calibration error", "calibration_error", correlation),
    ("drifts", "drifts_found", count),
)
DRIFTS: Final[Columns] = (
    ("at", "found_at", clock),
    ("model", "model", name),
    ("what", "finding", text),
    ("feature", "feature", name),
    ("detector", "detector", text),
    ("observed", "observed_value", correlation),
    ("limit", "limit_value", correlation),
    ("state", "model_state", text),
)
FEATURES: Final[Columns] = (
    ("feature", "feature", name),
    ("bar s", "interval_s", count),
    ("missing", "share_missing", share),
    ("constant", "is_constant", yes),
    ("PSI", "psi", ratio),
    ("past sessions", "past_sessions", count),
)
INSTRUMENTS: Final[Columns] = (
    ("instrument", "tradingsymbol", name),
    ("ticks", "session_ticks", count),
    ("first", "first_tick_at", clock),
    ("last", "last_tick_at", clock),
    ("longest silence s", "longest_silence_s", count),
    ("minute bars", "minute_bars", count),
    ("backfilled", "backfilled_bars", count),
)


def quality(book: DayBook) -> Section | None:
    """Signals by strategy, models by measure, what drifted, features that look otherwise than before."""
    tables = []
    if rows := book.rows("fct_signal_quality"):
        tables.append(table(rows, SIGNALS, title="Signals"))
    if rows := book.rows("fct_model_performance"):
        tables.append(table(rows, MODELS, title="Models"))
    if rows := book.rows("fct_model_drift"):
        tables.append(
            table(rows, DRIFTS, title="Drift and judgements", most=30, rest="marts/fct_model_drift.csv")
        )
    if rows := sorted(
        filter(_odd, book.rows("fct_feature_health")), key=lambda row: (row["feature"], row["interval_s"])
    ):
        title = "Features that look odd: missing, constant, or shifted against the past"
        tables.append(table(rows, FEATURES, title=title, most=30, rest="marts/fct_feature_health.csv"))
    said = () if tables else (Sentence("No signal was raised and no model scored.", "soft"),)
    if not tables and "fct_signal_quality" in book.lacking:
        return None
    return Section("Signals and models", said, tables=tuple(tables))


def _odd(row: Row) -> bool:
    shifted = row["psi"] is not None and row["psi"] >= UNEASY_PSI
    return bool(shifted or row["is_constant"] or (row["share_missing"] or 0) >= MUCH_MISSING)


def feed(book: DayBook) -> Section | None:
    """Ticks by the minute, and the instruments that were silent longest."""
    minutes, instruments = book.rows("fct_feed_health"), book.rows("fct_instrument_feed")
    if not minutes and not instruments:
        return None
    drawn = (charts.feed(minutes),) if minutes else ()
    ordered = sorted(instruments, key=lambda row: (-(row["longest_silence_s"] or 0), row["tradingsymbol"]))
    tables = (
        (
            table(
                ordered,
                INSTRUMENTS,
                title="Longest silences first",
                most=20,
                rest="marts/fct_instrument_feed.csv",
            ),
        )
        if ordered
        else ()
    )
    return Section("Feed", charts=drawn, tables=tables, folded=True)
