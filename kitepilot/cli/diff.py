"""`kitepilot diff`: a recorded day, its replay and its backtest, and what their difference is made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from kitepilot.cli import past_days
from kitepilot.cli.backtest import feed_of
from kitepilot.cli.report import ist_clock
from kitepilot.config import Config
from kitepilot.money import rupees
from research.account import Trip
from research.attribution import Comparison, Pair, TickComparison, compare

OWN_TICKS = "recorded"
PAIRS_SHOWN = 20
MEANING = {
    "data": "ticks that one side has and the other lacks, and all they lead to",
    "timing": "orders reach the exchange sooner or later than modelled",
    "fill price": "the exchange gave another price or quantity than the model",
    "charges": "charges as booked against today's rates on the backtest's trades",
    "code": "today's code decides otherwise from the same input",
}


def of_run(
    home: Path, day: str, run_id: str | None, feed: str | None, latency: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """The comparison as plain data. Raises what `past_days.opened` and the feeds raise."""
    with past_days.opened(home, day, run_id) as past:
        pace = past_days.pace_of(latency, past.config)
        market = _other(past.config, feed)
        other = past_days.beats_of(market) if market else None
        found = compare(past.day(), past.recorded, past.pipeline, pace, other, say)
        names = {each.token: each.tradingsymbol for each in past.run.parameters.instruments}
    return {
        "run_id": past.run.run_id,
        "mode": past.config.mode,
        "session": day,
        "read_from": past.where,
        "other_ticks": (market.market.feed or "the synthetic market") if market else "",
        "latency": latency,
        **_told(found, names),
    }


def _other(config: Config, feed: str | None) -> Config | None:
    """On paper the market that was played, unless told otherwise; live there is only what was recorded."""
    if feed == OWN_TICKS or (feed is None and config.mode != "paper"):
        return None
    return feed_of(config, feed or "market")


def _told(found: Comparison, names: dict[int, str]) -> dict[str, Any]:
    attribution = found.attribution
    return {
        "replayed_equal": found.replayed_equal,
        "steps": [
            {
                "name": step.name,
                "part": step.part,
                "gross_paise": step.account.gross_paise,
                "charges_paise": step.account.charges_paise,
                "net_paise": step.account.net_paise,
                "orders": len(step.intents),
                "round_trips": len(step.trips),
            }
            for step in attribution.steps
        ],
        "parts_paise": attribution.parts(),
        "total_paise": attribution.total_paise,
        "ticks": _ticks(found.ticks, names),
        "trips": [_pair(pair) for pair in attribution.pairs()],
    }


def _ticks(ticks: TickComparison, names: dict[int, str]) -> dict[str, Any]:
    return {
        "recorded": ticks.left.packets,
        "recorded_hash": ticks.left.hash,
        "other": ticks.right.packets if ticks.right else None,
        "other_hash": ticks.right.hash if ticks.right else None,
        "differences": [
            {
                "tradingsymbol": names.get(each.token, str(each.token)),
                "only_recorded": each.only_left,
                "only_other": each.only_right,
            }
            for each in ticks.differences
        ],
    }


def _pair(pair: Pair) -> dict[str, Any]:
    where = {"both": "both", "first": "recorded", "last": "backtest"}[pair.where]
    either = pair.left or pair.right
    assert either is not None
    return {
        "where": where,
        "tradingsymbol": either.tradingsymbol,
        "strategy": either.strategy,
        "signal_id": either.signal_id,
        "side": either.side.value,
        "recorded": _trip(pair.left),
        "backtest": _trip(pair.right),
        "difference_paise": pair.difference_paise,
    }


def _trip(trip: Trip | None) -> dict[str, Any] | None:
    if trip is None:
        return None
    (entry, bought), (left, sold) = trip.entry_paise, trip.exit_paise
    return {
        "opened_at": trip.opened_at,
        "closed_at": trip.closed_at,
        "shares": bought,
        "entry_paise": round(entry / bought, 2) if bought else None,
        "exit_paise": round(left / sold, 2) if sold else None,
        "gross_paise": trip.gross_paise,
    }


def show(console: Console, told: dict[str, Any]) -> None:
    """The comparison for a person: the answer first, then what it rests on."""
    steps = told["steps"]
    console.print(
        f"{told['run_id']}: the backtest's net result is ₹{rupees(told['total_paise'])} against the recorded "
        f"one's (₹{rupees(steps[-1]['net_paise'])} and ₹{rupees(steps[0]['net_paise'])})",
        highlight=False,
        soft_wrap=True,
    )
    parts = Table(
        "part", "₹", "what it is", title="What that is made of", title_justify="left", box=SIMPLE_HEAD
    )
    parts.columns[1].justify = "right"
    for name, paise in told["parts_paise"].items():
        parts.add_row(name, rupees(paise), MEANING[name], style="" if paise else "dim")
    parts.add_row("[b]together[/b]", f"[b]{rupees(sum(told['parts_paise'].values()))}[/b]", "")
    console.print(parts)
    _show_steps(console, steps)
    _show_ticks(console, told["ticks"])
    same = "as they were" if told["replayed_equal"] else "[yellow]otherwise[/yellow]"
    console.print(f"Replay     today's code decides the recorded session's orders {same}", highlight=False)
    _show_trips(console, told["trips"])


def _show_steps(console: Console, steps: list[dict[str, Any]]) -> None:
    table = Table(title="One change at a time", title_justify="left", box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for head in ("the day", "changed", "gross ₹", "charges ₹", "net ₹", "orders", "trips"):
        table.add_column(head, justify="left" if head in ("the day", "changed") else "right", no_wrap=True)
    for step in steps:
        money = (rupees(step[f"{name}_paise"]) for name in ("gross", "charges", "net"))
        counts = (f"{step['orders']:,}", f"{step['round_trips']:,}")
        table.add_row(step["name"], step["part"] or "-", *money, *counts)
    console.print(table)


def _show_ticks(console: Console, ticks: dict[str, Any]) -> None:
    if ticks["other"] is None:
        console.print(
            f"Ticks      {ticks['recorded']:,} recorded; no other telling of the day", highlight=False
        )
        return
    lacking = sum(each["only_other"] for each in ticks["differences"])
    extra = sum(each["only_recorded"] for each in ticks["differences"])
    same = ticks["recorded_hash"] == ticks["other_hash"]
    words = "the same, in the same order" if same else f"{lacking:,} not recorded, {extra:,} only recorded"
    console.print(f"Ticks      {ticks['recorded']:,} and {ticks['other']:,}: {words}", highlight=False)
    for each in ticks["differences"][:5]:
        console.print(
            f"           {each['tradingsymbol']}: {each['only_other']:,} not recorded, "
            f"{each['only_recorded']:,} only recorded",
            highlight=False,
        )


def _show_trips(console: Console, trips: list[dict[str, Any]]) -> None:
    worst = sorted(trips, key=lambda trip: -abs(trip["difference_paise"]))
    moved = [trip for trip in worst if trip["difference_paise"] or trip["where"] != "both"]
    counts = {
        where: sum(trip["where"] == where for trip in trips) for where in ("both", "recorded", "backtest")
    }
    console.print(
        f"Trips      {counts['both']} in both, {counts['recorded']} only recorded, "
        f"{counts['backtest']} only in the backtest; {len(moved)} differ",
        highlight=False,
    )
    if not moved:
        return
    table = Table(
        title="Round trips that differ", title_justify="left", box=SIMPLE_HEAD, padding=(0, 0, 0, 1)
    )
    for head in ("opened", "symbol", "strategy", "in", "recorded ₹", "backtest ₹", "apart ₹"):
        table.add_column(head, justify="right" if "₹" in head else "left", no_wrap=True)
    for trip in moved[:PAIRS_SHOWN]:
        opened = min(each["opened_at"] for each in (trip["recorded"], trip["backtest"]) if each)
        cells = (_profit(trip["recorded"]), _profit(trip["backtest"]), rupees(trip["difference_paise"]))
        table.add_row(ist_clock(opened), trip["tradingsymbol"], trip["strategy"], trip["where"], *cells)
    console.print(table)
    if len(moved) > PAIRS_SHOWN:
        console.print(f"the {PAIRS_SHOWN} largest of {len(moved)}; all of them with --json")


def _profit(trip: dict[str, Any] | None) -> str:
    return rupees(trip["gross_paise"]) if trip else "-"
