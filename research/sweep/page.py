"""A search and its verdict -> one self-contained HTML page with heat maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import combinations

import numpy as np
import numpy.typing as npt

from kitepilot.money import rupees
from research.plots import CSS, INK, MARK, axes, svg_of
from research.sweep.deflation import SESSIONS_A_YEAR
from research.sweep.grid import Axis
from research.sweep.search import CHARGES, GROSS, NET, TRADES, Searched, Trial
from research.sweep.verdict import Verdict

Floats = npt.NDArray[np.float64]
COLOURS = "RdYlGn"  # red loses, green earns; every cell also says its number
SHOWN = 200
STYLE = (
    "body{font:15px/1.5 sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:var(--ink);"
    "background:var(--paper)}td,th{padding:.1rem .8rem;text-align:right}"
)
NUMBERS_IN_CELLS = 400
DARK_FROM = 0.65  # of the largest: beyond, the colour is too dark for dark letters


def heat(trials: Sequence[Trial], rows: Axis, columns: Axis) -> Floats:
    """Sharpe ratio a year of the best trial in each cell, whatever its other parameters; NaN: none."""
    found = np.full((len(rows.values), len(columns.values)), math.nan)
    places = {
        axis.name: {value: place for place, value in enumerate(axis.values)} for axis in (rows, columns)
    }
    for trial in trials:
        row = places[rows.name].get(trial.parameters[rows.name])
        column = places[columns.name].get(trial.parameters[columns.name])
        if trial.failed or row is None or column is None or not trial.total(TRADES):
            continue
        found[row, column] = np.fmax(found[row, column], trial.sharpe * math.sqrt(SESSIONS_A_YEAR))
    return found


def heat_map(trials: Sequence[Trial], rows: Axis, columns: Axis) -> str:
    """The same as an <svg>; green is above zero, red below."""
    found = heat(trials, rows, columns)
    most = float(np.nanmax(np.abs(found))) if np.isfinite(found).any() else 1.0
    high = min(1.2 + 0.34 * len(rows.values), 9.0)
    with axes(7.6, high, xlabel=columns.name, ylabel=rows.name) as (figure, ax):
        ax.grid(False)
        ax.pcolormesh(
            found, cmap=COLOURS, vmin=-most or -1.0, vmax=most or 1.0, edgecolors="none", alpha=0.85
        )
        ax.set_xticks(np.arange(len(columns.values)) + 0.5, [f"{value:g}" for value in columns.values])
        ax.set_yticks(np.arange(len(rows.values)) + 0.5, [f"{value:g}" for value in rows.values])
        if found.size <= NUMBERS_IN_CELLS:
            for row, column in np.argwhere(np.isfinite(found)).tolist():
                text = f"{found[row, column]:.1f}"
                colour = _ink(found[row, column], most)
                ax.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8, color=colour)
        return svg_of(figure, f"Sharpe ratio a year by {rows.name} and {columns.name}")


def _ink(value: float, most: float) -> str:
    """What is readable on the cell: the dark ends of the scale want white."""
    return "#ffffff" if abs(value) > DARK_FROM * most else "#111111"


def line(trials: Sequence[Trial], of: Axis) -> str:
    """One parameter alone, as an <svg>."""
    sound = [trial for trial in trials if not trial.failed]
    with axes(7.6, 2.4, xlabel=of.name, ylabel="Sharpe ratio a year") as (figure, ax):
        ax.axhline(0.0, color=INK, linewidth=0.8)
        year = math.sqrt(SESSIONS_A_YEAR)
        ax.plot(
            [trial.parameters[of.name] for trial in sound],
            [trial.sharpe * year for trial in sound],
            color=MARK,
            marker="o",
            markersize=3,
            linestyle="none",
        )
        return svg_of(figure, f"Sharpe ratio a year by {of.name}")


def ranked(searched: Searched) -> list[Trial]:
    """Those that were traded, the best Sharpe ratio first."""
    return sorted((each for each in searched.trials if not each.failed), key=lambda each: -each.sharpe)


def sweep_html(
    title: str, grid: Sequence[Axis], searched: Searched, verdict: Verdict, notes: Sequence[str]
) -> str:
    """The page: the verdict first, then the maps, then the trials. The same bytes for the same search."""
    if len(grid) == 1:
        drawn = [line(searched.trials, grid[0])]
    else:
        drawn = [heat_map(searched.trials, one, other) for one, other in combinations(grid, 2)]
    failed = [trial for trial in searched.trials if trial.failed]
    parts = [
        f"<h1>{escape(title)}</h1>",
        *(
            f"<p><b>{escape(text)}</b></p>" if not place else f"<p>{escape(text)}</p>"
            for place, text in enumerate(verdict.sentences)
        ),
        *(f"<p>{escape(text)}</p>" for text in notes),
        "<h2>Sharpe ratio a year, net of charges</h2>",
        *(f"<figure>{each}</figure>" for each in drawn),
        f"<h2>Trials</h2>{_table(ranked(searched)[:SHOWN], grid)}",
    ]
    if failed:
        lines = "".join(
            f"<li>{escape(_set(each, grid))}: {escape(each.failed)}</li>" for each in failed[:SHOWN]
        )
        parts.append(f"<h2>Sets that failed: {len(failed)}</h2><ul>{lines}</ul>")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{CSS}{STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def _set(trial: Trial, grid: Sequence[Axis]) -> str:
    return ", ".join(f"{axis.name} {trial.parameters[axis.name]:g}" for axis in grid)


def _table(trials: Sequence[Trial], grid: Sequence[Axis]) -> str:
    heads = [*(axis.name for axis in grid), "Sharpe a year", "gross ₹", "charges ₹", "net ₹", "trades"]
    year = math.sqrt(SESSIONS_A_YEAR)
    rows = [
        [
            *(f"{trial.parameters[axis.name]:g}" for axis in grid),
            f"{trial.sharpe * year:.2f}",
            *(rupees(trial.total(figure)) for figure in (GROSS, CHARGES, NET)),
            f"{trial.total(TRADES):,}",
        ]
        for trial in trials
    ]
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<figure><table><tr>{head}</tr>{body}</table></figure>"
