"""A week's marts -> one page: what it came to, day by day, by strategy and instrument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from research.pack import charts
from research.pack.book import Row
from research.pack.cells import DASH, Columns, bps, count, money, name, ratio, result, share, table, text
from research.pack.document import Cell, Document, Section, Sentence, Table, Tile, Tone
from research.pack.tiles import signed

DAYS_HEADS: Final = ("day", "what it was", "net ₹", "trades", "won", "loss cap used", "pack")
GROUPS: Final[Columns] = (
    ("", "dimension_value", name),
    ("net ₹", "net_pnl_paise", result),
    ("trades", "round_trips", count),
    ("won", "win_rate", share),
    ("profit factor", "profit_factor", ratio),
    ("net bps", "net_bps", bps),
    ("charges ₹", "charges_paise", money),
)
SIGNALS: Final[Columns] = (
    ("day", "session_date", name),
    ("strategy", "strategy", name),
    ("signals", "signals", count),
    ("right", "hit_rate", share),
    ("mean bps after costs", "mean_net_return_bps", bps),
)


@dataclass(frozen=True)
class WeekBook:
    """Rows of the marts of one week and mode. `packs`: date -> what its newest pack says of itself."""

    week: str
    first: date
    mode: str
    sessions: Sequence[Row] = ()
    performance: Sequence[Row] = ()
    caps: Mapping[date, float] = field(default_factory=dict)
    signals: Sequence[Row] = ()
    packs: Mapping[date, str] = field(default_factory=dict)

    def whole(self) -> Row | None:
        """The week in one line; None for a week without a closed trade."""
        return next((row for row in self._rows("week", "all")), None)

    def of_day(self, day: date) -> Row | None:
        return next((row for row in self._rows("day", "all") if row["period_start"] == day), None)

    def by(self, dimension: str) -> list[Row]:
        found = self._rows("week", dimension)
        if dimension == "hour":
            return sorted(found, key=lambda row: row["dimension_value"])
        return sorted(found, key=lambda row: (-row["net_pnl_paise"], row["dimension_value"]))

    def _rows(self, period: str, dimension: str) -> list[Row]:
        return [row for row in self.performance if (row["period"], row["dimension"]) == (period, dimension)]


def document(book: WeekBook) -> Document:
    """One section a question; a week in which nothing was recorded says so."""
    counted = sorted(
        (row for row in book.sessions if row["counts_in_performance"]), key=lambda row: row["session_date"]
    )
    if not counted:
        said = Section("Days", (Sentence("No day of this week was recorded."),))
        return Document(_title(book), "", sections=(said,))
    days = [{"label": f"{row['session_date']:%a}", "net_pnl_paise": row["net_pnl_paise"]} for row in counted]
    sections = [Section("Days", charts=(charts.trend(days),), tables=(_days(book, counted),))]
    for title, dimension in (("Strategies", "strategy"), ("Instruments", "instrument"), ("Hours", "hour")):
        if rows := book.by(dimension):
            sections.append(Section(title, tables=(table(rows, GROUPS, most=30, rest="fct_performance"),)))
    if book.signals:
        sections.append(Section("Signals by day", tables=(table(book.signals, SIGNALS),), folded=True))
    return Document(
        title=_title(book),
        subtitle=(
            f"{len(counted)} day{'s' if len(counted) > 1 else ''} recorded. "
            "Of several paper runs of a day the newest counts."
        ),
        tiles=_tiles(book),
        attention=tuple(_attention(book, counted)),
        sections=tuple(sections),
        footer="Amounts in rupees. Each day's own pack has everything behind these figures.",
    )


def _title(book: WeekBook) -> str:
    return f"Week {book.week[-2:]}, from {book.first.day} {book.first:%B %Y}, {book.mode}"


def _tiles(book: WeekBook) -> tuple[Tile, ...]:
    whole = book.whole()
    if whole is None:
        return (Tile("Net result", signed(0), "a week without a closed trade"),)
    net = whole["net_pnl_paise"]
    tone: Tone = "good" if net > 0 else "bad" if net < 0 else ""
    return (
        Tile("Net result", signed(net), f"{signed(whole['gross_pnl_paise'])} before charges", tone),
        Tile("Trades", f"{whole['round_trips']:,}", f"{100 * whole['win_rate']:.0f} % won after charges"),
        Tile("Profit factor", ratio(whole["profit_factor"]).text, "won by lost"),
        Tile("Deepest fall", f"₹{money(whole['max_drawdown_paise']).text}", "trade after trade"),
        Tile("Charges", f"₹{money(whole['charges_paise']).text}", ""),
        Tile("Best trade", signed(whole["best_trip_paise"]), f"worst {signed(whole['worst_trip_paise'])}"),
    )


def _days(book: WeekBook, counted: Sequence[Row]) -> Table:
    rows = []
    for row in counted:
        day = row["session_date"]
        traded = book.of_day(day)
        pack = book.packs.get(day, "none")
        rows.append(
            (
                Cell(f"{day:%A}"),
                text(row["what_it_was"]),
                result(row["net_pnl_paise"]),
                count(row["round_trips"]),
                share(traded["win_rate"]) if traded else Cell(DASH),
                share(book.caps.get(day)),
                Cell(pack, "bad" if "FAILED" in pack else "soft" if pack == "none" else "good"),
            )
        )
    return Table(DAYS_HEADS, tuple(rows), text=frozenset({"day", "what it was", "pack"}))


def _attention(book: WeekBook, counted: Sequence[Row]) -> list[Sentence]:
    said = []
    for row in counted:
        day = row["session_date"]
        if not row["is_complete"]:
            said.append(Sentence(f"{day:%A}: {row['what_it_was']}.", "bad"))
        if "FAILED" in book.packs.get(day, ""):
            said.append(Sentence(f"{day:%A}: its pack is marked FAILED.", "bad"))
        said += [Sentence(f"{day:%A}: renamed {each}.") for each in row["renamed"]]
    return said
