"""The pictures of a dataset's page, each an SVG string."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from research.datasets.session_changes import CIRCUIT, STALE_DAYS
from research.plots import BAD, INK, MARK, SOFT, axes, panels, svg_of

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_ROWS, MOST_COLUMNS = 160, 400  # of the heat map: more symbols or sessions share a cell, the worst shows
MOST_LABELS = 45
MOST_POINTS = 3_000
WINDOW_DAYS = 15  # sessions further apart than this are of two windows
#: Share of the minutes that a symbol's day has, from; the colour is told apart without red and green.
LEVELS = (
    (1.0, "#0072b2", "all minutes"),
    (0.99, "#56b4e9", "99 % or more"),
    (0.95, "#f0e442", "95 % or more"),
    (0.80, "#e69f00", "80 % or more"),
    (0.0, "#d55e00", "less"),
)


@dataclass(frozen=True, eq=False)
class Days:
    """`quality.parquet` as arrays: one row per symbol and session, in order of session, then symbol."""

    sessions: tuple[date, ...]
    symbols: tuple[str, ...]
    session: Ints  # index into sessions
    symbol: Ints  # index into symbols
    counts: dict[str, Ints]

    def coverage(self) -> Floats:
        """Share of the minutes that is there: float64[symbols, sessions], NaN where a symbol has no bar."""
        table = np.full((len(self.symbols), len(self.sessions)), np.nan)
        table[self.symbol, self.session] = self.counts["bars"] / np.maximum(self.counts["expected"], 1)
        return table

    def by_session(self, name: str) -> Ints:
        """A count of all symbols together, session by session."""
        found = np.zeros(len(self.sessions), dtype=np.int64)
        np.add.at(found, self.session, self.counts[name])
        return found

    def overnight(self) -> tuple[Ints, Floats]:
        """(row, ln of its first price over the symbol's last one before), long absences left out."""
        order = np.lexsort((self.session, self.symbol))
        ordinal = np.array([day.toordinal() for day in self.sessions], dtype=np.int64)[self.session[order]]
        near = (np.diff(self.symbol[order]) == 0) & (np.diff(ordinal) <= STALE_DAYS)
        after, before = order[1:][near], order[:-1][near]
        return after, np.log(self.counts["first_price"][after] / self.counts["last_price"][before])


def stretches(sessions: Sequence[date]) -> list[tuple[date, date]]:
    """(first, last) of each stretch of sessions that are near each other."""
    found: list[tuple[date, date]] = []
    for day in sessions:
        if found and (day - found[-1][1]).days <= WINDOW_DAYS:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def coverage(days: Days) -> str:
    """Bars per symbol and day, as the share of the session's minutes."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    table = _worst(_worst(days.coverage(), MOST_ROWS).T, MOST_COLUMNS).T
    step = np.full(table.shape, np.nan)
    for number, (least, _, _) in reversed(list(enumerate(LEVELS))):
        step[table >= least] = number
    height = min(1.1 + 0.16 * len(table), 12.0)
    with axes(height=height, title="Bars by symbol and session (blank: none; a line: days apart)") as (
        figure,
        ax,
    ):
        colours = ListedColormap([colour for _, colour, _ in LEVELS])
        ax.imshow(step, cmap=colours, vmin=-0.5, vmax=len(LEVELS) - 0.5, aspect="auto", interpolation="none")
        ax.grid(visible=False)
        every = -(-len(table) // MOST_LABELS)
        rows = np.arange(0, len(table), every)
        names = np.array(days.symbols, dtype=object)[(rows * len(days.symbols)) // len(table)]
        ax.set_yticks(rows, names, fontsize=6.5)
        _session_ticks(ax, days.sessions, table.shape[1])
        for first, _ in stretches(days.sessions)[1:]:
            column = days.sessions.index(first) * table.shape[1] // len(days.sessions)
            ax.axvline(column - 0.5, color=INK, linewidth=1.2)
        figure.legend(
            handles=[Patch(color=colour, label=label) for _, colour, label in LEVELS],
            loc="outside lower center",
            ncols=5,
            fontsize=7,
            handlelength=1,
            columnspacing=1,
        )
        return svg_of(figure, "Share of minutes with a bar, by symbol and session")


def gaps_by_minute(missing: Ints, expected: int) -> str:
    """When of the day bars are missing. `missing` int64[1440], of `expected` symbol-days at each minute."""
    there = np.flatnonzero(missing)
    low, high = (int(there[0]), int(there[-1])) if len(there) else (555, 929)
    span = slice(min(low, 555), max(high, 929) + 1)
    with axes(height=2.1, title="Gaps by time of day", ylabel="% of symbol-days") as (figure, ax):
        minutes = np.arange(1_440)[span]
        ax.fill_between(minutes, 100 * missing[span] / max(expected, 1), color=MARK, linewidth=0, step="mid")
        hours = [minute for minute in range(0, 1_440, 60) if minutes[0] <= minute <= minutes[-1]]
        ax.set_xticks(hours, [f"{minute // 60}:00" for minute in hours])
        ax.set_ylim(bottom=0)
        return svg_of(figure, "Share of symbol-days without a bar, by minute of the day")


def oddities(days: Days) -> str:
    """What the checks counted, session by session."""
    shown = {
        "refused": "rows refused",
        "outliers": "outliers",
        "off_grid": "bars off the grid",
        "silent": "silent bars",
    }
    with panels(len(shown), height=4.6) as (figure, found):
        for ax, (name, title) in zip(found, shown.items(), strict=True):
            counts = days.by_session(name)
            ax.bar(np.arange(len(counts)), counts, width=1.0, color=MARK if name == "silent" else BAD)
            ax.set_title(f"{title}: {int(counts.sum()):,}")
            ax.set_ylim(0, max(1, 1.05 * int(counts.max())))
            ax.yaxis.get_major_locator().set_params(integer=True, nbins=3)
            ax.set_xlim(-0.5, len(counts) - 0.5)
            _session_ticks(ax, days.sessions, len(counts))
        return svg_of(figure, "Refused rows, outliers, off-grid and silent bars by session")


def overnight(days: Days) -> str:
    """First price of a session against the last of the one before; beyond a circuit it is no return."""
    rows, moves = days.overnight()
    far = np.abs(moves) > np.log(1 + CIRCUIT)
    keep = np.flatnonzero(far | (np.arange(len(moves)) % max(1, len(moves) // MOST_POINTS) == 0))
    with axes(height=2.3, title="Overnight moves", ylabel="%") as (figure, ax):
        at, percent = days.session[rows[keep]], 100 * np.expm1(moves[keep])
        ax.scatter(at, percent, s=4, color=SOFT, linewidths=0, rasterized=len(keep) > 500)
        ax.scatter(at[far[keep]], percent[far[keep]], s=16, color=BAD)
        for level in (-100 * CIRCUIT, 100 * CIRCUIT):
            ax.axhline(level, color=INK, linewidth=0.8, linestyle="--")
        ax.set_xlim(-0.5, len(days.sessions) - 0.5)
        _session_ticks(ax, days.sessions, len(days.sessions))
        return svg_of(figure, "Moves between sessions, with the widest circuit")


def _worst(table: Floats, most: int) -> Floats:
    """At most so many rows: neighbours share one, and the lowest shows."""
    if len(table) <= most:
        return table
    starts = np.arange(most) * len(table) // most
    found: Floats = np.fmin.reduceat(table, starts, axis=0)
    return found


def _session_ticks(ax: Any, sessions: Sequence[date], columns: int) -> None:
    places = np.unique(np.linspace(0, columns - 1, min(columns, 6)).round().astype(np.int64))
    ax.set_xticks(places, [f"{sessions[place * len(sessions) // columns]}" for place in places], fontsize=7)
