"""The pictures of a backtest's page, each an SVG string. Amounts are shown in rupees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kitepilot.money import rupees
from research.metrics import below_peak
from research.outcome import Curve, Outcome
from research.plots import BAD, GOOD, INK, LINE, MARK, SOFT, axes, panels, svg_of
from research.report.capacity import Sized
from research.report.evidence import ModelEvidence
from research.report.monte_carlo import Bands
from research.report.tallies import Tally

MOST_POINTS = 2_000  # of a curve: more than the page has pixels
MOST_BARS = 24
PAISE = 100.0


def equity(outcome: Outcome) -> str:
    """Net and gross since the first session, and how far net stands below its peak."""
    curve = thinned(outcome.curve)
    under = below_peak(outcome.curve.net_paise)[_chosen(len(outcome.curve.at))]
    with panels(2, height=4.2) as (figure, (top, bottom)):
        place = np.arange(len(curve.at))
        top.plot(place, curve.gross_paise / PAISE, color=SOFT, linewidth=1.0, label="before charges")
        top.plot(place, curve.net_paise / PAISE, color=INK, linewidth=1.5, label="net")
        top.axhline(0, color=LINE, linewidth=1)
        top.legend(loc="best")
        top.set(ylabel="₹", title="Equity")
        bottom.fill_between(place, -under / PAISE, 0, color=BAD, alpha=0.5, linewidth=0)
        bottom.set(ylabel="₹", title="Drawdown of net")
        for ax in (top, bottom):
            _money_axis(ax)
            _session_ticks(ax, outcome, curve)
        return svg_of(figure, "Equity and drawdown over the sessions")


def exposure(outcome: Outcome) -> str:
    """Value held, minute by minute."""
    curve = thinned(outcome.curve)
    with axes(title="Exposure", ylabel="₹ held", height=1.9) as (figure, ax):
        place = np.arange(len(curve.at))
        ax.fill_between(place, curve.exposure_paise / PAISE, 0, color=MARK, alpha=0.6, linewidth=0)
        _money_axis(ax)
        _session_ticks(ax, outcome, curve)
        return svg_of(figure, "Value of the positions held")


def costs(outcome: Outcome) -> str:
    """From what the market gave to what was kept."""
    slippage = sum(trade.slippage_paise for trade in outcome.trades)
    steps = [("before any cost", outcome.gross_paise + slippage), ("slippage", -slippage)]
    steps += [(name.replace("_", " "), -paise) for name, paise in outcome.charges.items() if paise]
    with axes(title="From the market's price to the account", height=0.5 + 0.28 * (len(steps) + 1)) as (
        figure,
        ax,
    ):
        at = 0.0
        for row, (_, paise) in enumerate(steps):
            ax.barh(row, paise / PAISE, left=at, color=GOOD if paise >= 0 else BAD, height=0.6)
            at += paise / PAISE
        ax.barh(len(steps), at, color=INK, height=0.6)
        labels = [f"{name}  {rupees(paise, 0)}" for name, paise in (*steps, ("net", round(at * PAISE)))]
        ax.set_yticks(range(len(labels)), labels)
        ax.invert_yaxis()
        ax.axvline(0, color=SOFT, linewidth=1)
        ax.grid(visible=False, axis="y")
        _money_axis(ax, "x")
        return svg_of(figure, "Costs between the market's price and the account")


def bars(tallies: Mapping[Any, Tally], title: str) -> str:
    """Net result of each kind of trade; the ends where there are many."""
    kept = _ends(list(tallies.items()))
    with axes(title=title, ylabel="net ₹", height=2.2) as (figure, ax):
        amounts = [each.net_paise / PAISE for _, each in kept]
        ax.bar(range(len(kept)), amounts, color=[GOOD if amount >= 0 else BAD for amount in amounts])
        ax.set_xticks(range(len(kept)), [str(name) for name, _ in kept], rotation=60, ha="right")
        ax.axhline(0, color=SOFT, linewidth=1)
        ax.grid(visible=False, axis="x")
        _money_axis(ax)
        return svg_of(figure, title)


def trade_results(outcome: Outcome) -> str:
    """How the trades' net results are spread, in bps of what was entered."""
    net = np.array([trade.net_paise / trade.entry_paise * 1e4 for trade in outcome.trades])
    low, high = np.quantile(net, (0.005, 0.995))
    with axes(title="Net result of each trade", xlabel="bps of its entry value", height=2.0) as (figure, ax):
        ax.hist(np.clip(net, low, high), bins=60, color=MARK)
        ax.axvline(0, color=SOFT, linewidth=1)
        ax.axvline(float(net.mean()), color=BAD if net.mean() < 0 else GOOD, linewidth=1.5)
        ax.set_ylabel("trades")
        return svg_of(figure, "Distribution of the trades' net results")


def fan(found: Bands) -> str:
    """Where the same sessions in another order and choice could have led."""
    days = np.arange(found.paths.shape[1])
    with axes(title="The same sessions drawn again", xlabel="sessions", ylabel="net ₹") as (figure, ax):
        lowest, low, middle, high, highest = found.paths / PAISE
        ax.fill_between(days, lowest, highest, color=MARK, alpha=0.2, linewidth=0, label="5 to 95 %")
        ax.fill_between(days, low, high, color=MARK, alpha=0.35, linewidth=0, label="25 to 75 %")
        ax.plot(days, middle, color=INK, linewidth=1.5, label="median")
        ax.axhline(0, color=SOFT, linewidth=1)
        ax.legend(loc="best")
        ax.xaxis.get_major_locator().set_params(integer=True)
        _money_axis(ax)
        return svg_of(figure, "Monte-Carlo bands of the net result")


def capacity(sized: Sequence[Sized]) -> str:
    """Net result against the size of the orders."""
    with axes(title="If the orders had been larger", xlabel="times the size", ylabel="net ₹") as (figure, ax):
        times = [each.times for each in sized]
        ax.plot(times, [each.net_paise / PAISE for each in sized], color=INK, marker="o", markersize=3)
        ax.set_xscale("log")
        ax.set_xticks(times, [f"{each:g}" for each in times])
        ax.minorticks_off()
        ax.axhline(0, color=SOFT, linewidth=1)
        _money_axis(ax)
        return svg_of(figure, "Net result against order size")


def reliability(model: ModelEvidence) -> str:
    """Predicted against observed; on the line the probabilities mean what they say."""
    with axes(4.2, 3.2, title="Calibration", xlabel="predicted", ylabel="came true") as (figure, ax):
        predicted = [each[0] for each in model.reliability]
        observed = [each[1] for each in model.reliability]
        most = max([*predicted, *observed, 0.01]) * 1.05
        ax.plot([0, most], [0, most], color=SOFT, linewidth=1)
        rows = np.array([each[2] for each in model.reliability], dtype=np.float64)
        ax.scatter(predicted, observed, s=12 + 60 * rows / rows.max(), color=MARK)
        return svg_of(figure, f"Calibration of {model.model_id}")


def importance(model: ModelEvidence) -> str:
    """The features that matter most."""
    kept = model.importance[:MOST_BARS]
    with axes(title="Feature importance", height=0.6 + 0.19 * len(kept)) as (figure, ax):
        ax.barh([name for name, _ in kept], [share * 100 for _, share in kept], color=MARK)
        ax.invert_yaxis()
        ax.set_xlabel("% of the total")
        ax.grid(visible=False, axis="y")
        return svg_of(figure, f"Feature importance of {model.model_id}")


def thinned(curve: Curve) -> Curve:
    """At most `MOST_POINTS` points, the first and the last among them."""
    rows = _chosen(len(curve.at))
    return Curve(
        at=curve.at[rows],
        gross_paise=curve.gross_paise[rows],
        net_paise=curve.net_paise[rows],
        exposure_paise=curve.exposure_paise[rows],
        positions=curve.positions[rows],
    )


def _chosen(count: int) -> npt.NDArray[np.int64]:
    if count <= MOST_POINTS:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, MOST_POINTS).round().astype(np.int64))


def _ends(items: list[tuple[Any, Tally]]) -> list[tuple[Any, Tally]]:
    if len(items) <= MOST_BARS:
        return items
    return items[: MOST_BARS // 2] + items[-MOST_BARS // 2 :]


def _money_axis(ax: Any, which: str = "y") -> None:
    axis = ax.yaxis if which == "y" else ax.xaxis
    axis.set_major_formatter(lambda value, _: rupees(round(value * PAISE), 0))


def _session_ticks(ax: Any, outcome: Outcome, curve: Curve) -> None:
    """A label at the first point of some sessions: nights and weekends take no room."""
    days = (curve.at // 1_000_000_000 + 19_800) // 86_400
    starts = np.flatnonzero(np.diff(days, prepend=-1))
    step = max(1, -(-len(starts) // 8))
    shown = starts[::step]
    labels = [str(np.datetime64(int(day), "D")) for day in days[shown]]
    ax.set_xticks(shown, labels, rotation=0, fontsize=8)
