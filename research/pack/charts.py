"""The pictures of a day: money over time, what was held, how long things took, how the feed was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from kitepilot.market.calendar import IST
from kitepilot.money import rupees
from research.pack.book import Row
from research.pack.cells import in_ist
from research.pack.document import Chart
from research.plots import BAD, CYCLE, GOOD, INK, LINE, MARK, SOFT, axes, panels, print_svg_of, svg_of

PAISE: Final = 100.0
TICK_TO_SIGNAL_MS: Final = 50.0  # the aims of docs/explanation/performance.md, p95
SIGNAL_TO_ORDER_MS: Final = 20.0
MOST_BARS: Final = 16
TRADING_DAYS: Final = 5


def _drawn(figure: Any, title: str) -> Chart:
    return Chart(title, svg_of(figure, title), print_svg_of(figure))


def equity(minutes: Sequence[Row]) -> Chart:
    """Net result by the minute, and how far it stands below its best."""
    at = [in_ist(row["minute_at"]) for row in minutes]
    net = [row["net_pnl_paise"] / PAISE for row in minutes]
    with panels(2, height=3.9) as (figure, (top, bottom)):
        top.plot(at, net, color=INK, linewidth=1.4)
        top.fill_between(at, net, 0, where=[each >= 0 for each in net], color=GOOD, alpha=0.18, linewidth=0)
        top.fill_between(at, net, 0, where=[each < 0 for each in net], color=BAD, alpha=0.18, linewidth=0)
        top.axhline(0, color=LINE, linewidth=1)
        top.set(ylabel="₹", title="Net result, charges taken off")
        under = [-abs(row["drawdown_paise"]) / PAISE for row in minutes]
        bottom.fill_between(at, under, 0, color=BAD, alpha=0.4, linewidth=0)
        bottom.set(ylabel="₹", title="Below the day's best")
        for ax in (top, bottom):
            _money(ax)
            _hours(ax, at)
        return _drawn(figure, "Net result and drawdown by the minute")


def exposure(minutes: Sequence[Row]) -> Chart:
    """What was held, long and short."""
    at = [in_ist(row["minute_at"]) for row in minutes]
    with axes(title="Held, long and short", ylabel="₹", height=1.9) as (figure, ax):
        ax.fill_between(
            at,
            [row["long_paise"] / PAISE for row in minutes],
            0,
            step="post",
            color=MARK,
            alpha=0.5,
            linewidth=0,
            label="long",
        )
        ax.fill_between(
            at,
            [-row["short_paise"] / PAISE for row in minutes],
            0,
            step="post",
            color=CYCLE[1],
            alpha=0.5,
            linewidth=0,
            label="short",
        )
        ax.axhline(0, color=LINE, linewidth=1)
        ax.legend(loc="upper left", ncols=2)
        _money(ax)
        _hours(ax, at)
        return _drawn(figure, "Exposure by the minute, long above and short below")


def nets(rows: Sequence[Row], label: str, title: str) -> Chart:
    """Net results as bars, best first; only the ends of a long list."""
    ordered = sorted(rows, key=lambda row: (-row["net_pnl_paise"], str(row[label])))
    if len(ordered) > MOST_BARS:
        ordered = ordered[: MOST_BARS // 2] + ordered[-MOST_BARS // 2 :]
    values = [row["net_pnl_paise"] / PAISE for row in ordered]
    with axes(title=title, xlabel="₹", height=0.5 + 0.24 * max(2, len(ordered))) as (figure, ax):
        ax.barh(
            range(len(ordered)), values, color=[GOOD if each > 0 else BAD for each in values], height=0.66
        )
        ax.set_yticks(range(len(ordered)), [str(row[label]) for row in ordered])
        ax.invert_yaxis()
        ax.axvline(0, color=SOFT, linewidth=0.8)
        ax.grid(visible=False, axis="y")
        ax.xaxis.set_major_formatter(lambda value, _: rupees(round(value * PAISE), 0))
        return _drawn(figure, title)


def latencies(rows: Sequence[Row], stages: Sequence[str]) -> Chart:
    """p95 of each stage by the minute against its aim, on a logarithmic scale."""
    aims = {"tick_to_signal": TICK_TO_SIGNAL_MS, "signal_to_intent": SIGNAL_TO_ORDER_MS}
    with axes(title="95 of 100 were faster than", ylabel="ms", height=2.4) as (figure, ax):
        for place, stage in enumerate(stages):
            own = [row for row in rows if row["stage"] == stage and row["p95_ms"] is not None]
            at = [in_ist(row["minute_at"]) for row in own]
            values = [max(row["p95_ms"], 0.01) for row in own]
            colour = CYCLE[place % len(CYCLE)]
            ax.plot(at, values, "o", markersize=3, color=colour, label=stage.replace("_", " "))
            if stage in aims:
                ax.axhline(aims[stage], color=colour, linewidth=0.9, linestyle="--")
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, fontsize=8)
        _hours(ax, [in_ist(row["minute_at"]) for row in rows])
        return _drawn(figure, "How long each stage took, p95 by the minute; dashed lines are the aims")


def feed(minutes: Sequence[Row]) -> Chart:
    """Ticks by the minute; minutes with seconds in silence are marked."""
    at = [in_ist(row["minute_at"]) for row in minutes]
    with axes(title="Ticks by the minute", height=1.7) as (figure, ax):
        ax.fill_between(at, [row["ticks"] for row in minutes], 0, color=MARK, alpha=0.35, linewidth=0)
        for when, row in zip(at, minutes, strict=True):
            if row["seconds_without_ticks"]:
                ax.axvline(when, color=BAD, linewidth=0.8, alpha=0.6)
        ax.set_ylim(bottom=0)
        _hours(ax, at)
        return _drawn(figure, "Ticks by the minute; red where seconds went by without one")


def trend(days: Sequence[Row]) -> Chart:
    """Net result of each day of a week, and the sum since its first."""
    labels = [str(row["label"]) for row in days]
    values = [row["net_pnl_paise"] / PAISE for row in days]
    with axes(title="Net result by day", ylabel="₹", height=2.2) as (figure, ax):
        ax.bar(range(len(days)), values, color=[GOOD if each > 0 else BAD for each in values], width=0.6)
        ax.axhline(0, color=SOFT, linewidth=0.8)
        ax.set_xticks(range(len(days)), labels)
        ax.set_xlim(-0.7, max(len(days), TRADING_DAYS) - 0.3)
        ax.grid(visible=False, axis="x")
        _money(ax)
        return _drawn(figure, "Net result by day")


def _money(ax: Any) -> None:
    ax.yaxis.set_major_formatter(lambda value, _: rupees(round(value * PAISE), 0))


def _hours(ax: Any, at: Sequence[datetime]) -> None:
    from matplotlib import dates

    pick: Any = dates  # its constructors have no types

    ax.xaxis.set_major_locator(pick.AutoDateLocator(tz=IST, minticks=3, maxticks=9))
    ax.xaxis.set_major_formatter(pick.DateFormatter("%H:%M", tz=IST))
    if at and at[0] < at[-1]:
        ax.set_xlim(at[0], at[-1])
