"""An order's story for a person: tables in the order of events."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from kitepilot.audit.story import Story
from kitepilot.audit.story_timeline import Moment, timeline
from kitepilot.cli.report import ist_clock
from kitepilot.money import rupees

FEATURES_SHOWN = 14


def show(console: Console, story: Story) -> None:
    """The story, the decision first."""
    _head(console, story)
    _show_timeline(console, timeline(story))
    _show_checks(console, story)
    _show_ticks(console, story)
    _show_reasons(console, story)
    _show_trip(console, story)
    for text in story.missing:
        console.print(f"[yellow]missing[/yellow]  {text}", highlight=False, soft_wrap=True)


def _head(console: Console, story: Story) -> None:
    subject = story.intent or story.verdict or story.signal
    assert subject is not None
    side = f"{subject.side} " if subject.side else "leave "
    purpose = (
        story.intent.purpose.value
        if story.intent
        else "entry that was refused"
        if story.verdict
        else "signal"
    )
    title = f"[b]{side}{subject.tradingsymbol}[/b]: {purpose} of {subject.strategy}"
    console.print(f"{title}, {story.run_id}, read from {story.where}", highlight=False, soft_wrap=True)
    ids = {
        "orders": ", ".join(dict.fromkeys(line.order_id for line in story.lines if line.order_id)),
        "intent": story.intent.intent_id if story.intent else "",
        "verdict": story.verdict.verdict_id if story.verdict else "",
        "signal": story.signal.signal_id if story.signal else "",
    }
    console.print(
        "  ".join(f"{name} {said}" for name, said in ids.items() if said), style="dim", highlight=False
    )


def _show_timeline(console: Console, moments: list[Moment]) -> None:
    table = _table("What happened", "session IST", "machine IST", "after ms", "what", "")
    table.columns[2].justify = "right"
    before = 0
    for moment in moments:
        after = f"{(moment.machine_at - before) / 1e6:,.1f}" if before and moment.machine_at else ""
        before = moment.machine_at or before
        machine = _clock(moment.machine_at) if moment.machine_at else "-"
        table.add_row(_clock(moment.session_at), machine, after, moment.what, moment.detail)
    console.print(table)


def _show_checks(console: Console, story: Story) -> None:
    if story.verdict is None:
        return
    title = f"Checks, by version {story.verdict.profile_version} of the limits, state {story.verdict.state}"
    table = _table(title, "check", "", "observed", "limit")
    for check in story.verdict.checks:
        passed = "[green]ok[/green]" if check.passed else "[red]no[/red]"
        table.add_row(check.code, passed, f"{check.observed:,.10g}", f"{check.limit:,.10g}")
    console.print(table)


def _show_ticks(console: Console, story: Story) -> None:
    if not story.ticks:
        return
    table = _table(
        "The last ticks before it", "exchange IST", "received IST", "last ₹", "bid ₹", "ask ₹", "volume"
    )
    for tick in story.ticks:
        prices = (rupees(paise) for paise in (tick.last_paise, tick.bid_paise, tick.ask_paise))
        clocks = (ist_clock(tick.exchange_at), _clock(tick.received_at))
        table.add_row(*clocks, *prices, f"{tick.volume:,}")
    console.print(table)


def _show_reasons(console: Console, story: Story) -> None:
    if (bar := story.bar) is not None:
        ohlc = " ".join(rupees(p) for p in (bar.open_paise, bar.high_paise, bar.low_paise, bar.close_paise))
        traded = f"{bar.volume:,} shares, {bar.tick_count} ticks"
        said = f"{bar.interval_s} s to {ist_clock(bar.close_at)}: ₹{ohlc}, {traded}"
        console.print(f"[b]Bar[/b]       {said}", highlight=False, soft_wrap=True)
    if (signal := story.signal) is None:
        return
    scores = (
        ", ".join(f"{model} {score:.4f}" for model, score in signal.scores.items()) or "no model was asked"
    )
    console.print(f"[b]Scores[/b]    {scores}", highlight=False, soft_wrap=True)
    if signal.rests_on:
        said = ", ".join(signal.models) or "none is named"
        where = "; `kitepilot models show ID` has the card of an offline one" if signal.models else ""
        console.print(f"[b]Models[/b]    {said}{where}", highlight=False, soft_wrap=True)
    known = [(name, value) for name, value in signal.features.items() if value == value]  # noqa: PLR0124 NaN
    shown = ", ".join(f"{name} {value:.4g}" for name, value in known[:FEATURES_SHOWN])
    more = f" and {len(known) - FEATURES_SHOWN} more with --json" if len(known) > FEATURES_SHOWN else ""
    console.print(f"[b]Features[/b]  {shown}{more}", highlight=False, soft_wrap=True)


def _show_trip(console: Console, story: Story) -> None:
    if (trip := story.trip) is None:
        if story.intent is not None:
            console.print("[b]P&L[/b]       nothing traded", highlight=False)
        return
    held = "closed" if not trip.quantity else f"{trip.quantity:,} shares still held"
    console.print(
        f"[b]Position[/b]  {trip.before.quantity:,} shares before, {trip.after.quantity:,} after; "
        f"round trip of {len(trip.orders)} orders ({', '.join(trip.orders)}), {held}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"[b]P&L[/b]       ₹{rupees(trip.gross_paise)} before charges, "
        f"₹{rupees(trip.charges_paise)} charges, [b]₹{rupees(trip.net_paise)} net[/b]",
        highlight=False,
    )


def _table(title: str, *heads: str) -> Table:
    table = Table(*heads, title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for column in table.columns:
        column.justify = (
            "right" if "₹" in str(column.header) or column.header in ("observed", "limit") else "left"
        )
    return table


def _clock(at_ns: int) -> str:
    """`15:04:05.123` in IST."""
    return f"{ist_clock(at_ns // 1_000_000_000 * 1_000_000_000)}.{at_ns // 1_000_000 % 1000:03d}"
