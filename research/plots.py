"""Figures as SVG for self-contained pages: the same input gives the same bytes, light and dark.

    with axes(7.2, 2.4, ylabel="₹") as (figure, ax):
        ax.plot(x, y, color=INK)
    markup = svg_of(figure, "net profit by session")

Colours are drawn as the marks below and become CSS variables of the page (`--ink`, `--soft`, `--line`,
`--good`, `--bad`, `--mark`): the page decides what they look like. Without a page they are what they are.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any, Final

INK: Final = "#1b2531"
SOFT: Final = "#66727e"
LINE: Final = "#d9dfe6"
GOOD: Final = "#0a7a4c"
BAD: Final = "#b3261f"
MARK: Final = "#2f6fb4"
#: Categories beyond good and bad; told apart by people who do not see red and green (Okabe and Ito, 2008).
CYCLE: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
_VARIABLES: Final = {INK: "ink", SOFT: "soft", LINE: "line", GOOD: "good", BAD: "bad", MARK: "mark"}
#: CSS pixels an inch of a figure may grow to; and below how many inches it scrolls rather than shrinks.
WIDEST: Final = 134.0
NARROWEST_INCHES: Final = 5.6

_STYLE: Final[Any] = {
    "svg.hashsalt": "kitepilot",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "text.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "path.simplify": True,
}

#: What a page needs to show the figures: put it into its <style>.
CSS: Final = (
    ":root{color-scheme:light dark;--ink:#1b2530;--soft:#5b6672;--line:#d9dfe5;--good:#0a7a4b;--bad:#b3261e;"
    "--mark:#1f5f9f;--paper:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6ebf0;--soft:#9aa7b4;--line:#33404d;--good:#4cc38a;"
    "--bad:#ff8a80;--mark:#7ab8f5;--paper:#10161c}}"
    "figure{margin:0 0 1rem;overflow-x:auto}figure svg{width:100%;height:auto;display:block}"
)


@contextmanager
def axes(width: float = 7.6, height: float = 2.4, **labels: str) -> Iterator[tuple[Any, Any]]:
    """A figure with one pair of axes, in inches; `labels` are `ax.set` names (ylabel, title, ...)."""
    with panels(1, width, height) as (figure, (ax,)):
        ax.set(**labels)
        yield figure, ax


@contextmanager
def panels(rows: int, width: float = 7.6, height: float = 2.4, columns: int = 1) -> Iterator[tuple[Any, Any]]:
    """A figure with `rows` x `columns` axes (a flat array of them)."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots(rows, columns, squeeze=False).ravel()


def svg_of(figure: Any, title: str) -> str:
    """The figure as an <svg> element with `title` for who cannot see it. No date, no outside reference."""
    markup = _saved(figure, _STYLE)
    markup = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", markup, count=1)
    markup = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", markup, count=1)
    for colour, name in _VARIABLES.items():
        markup = markup.replace(colour, f"var(--{name}, {colour})")
    label, inches = escape(title, quote=True), figure.get_size_inches()[0]
    size = f"max-width:{inches * WIDEST:.0f}px;min-width:{min(inches, NARROWEST_INCHES) * 96:.0f}px"
    return markup.replace("<svg", f'<svg role="img" aria-label="{label}" style="{size}"', 1)


def print_svg_of(figure: Any) -> str:
    """The figure as an <svg> element for paper: its own colours, letters as outlines, no CSS."""
    return _saved(figure, {**_STYLE, "svg.fonttype": "path"})


def _saved(figure: Any, style: Any) -> str:
    import matplotlib as mpl

    drawn = io.StringIO()
    with mpl.rc_context(style):
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    markup = drawn.getvalue()
    return re.sub(
        r"<metadata>.*?</metadata>", "", markup[markup.index("<svg") :].strip(), count=1, flags=re.DOTALL
    )
