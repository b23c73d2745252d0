"""An order's story as plain data, and as what happened in order by both clocks."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import msgspec

from kitepilot.audit.story import Story
from kitepilot.money import rupees


class Moment(NamedTuple):
    """One line of the timeline. `machine_at` is 0 where only the session's clock is known."""

    session_at: int
    machine_at: int
    what: str
    detail: str


def as_json(story: Story) -> dict[str, Any]:
    """Everything, as plain data; times ns UTC, money paise."""
    return {
        "asked": story.asked,
        "run_id": story.run_id,
        "read_from": story.where,
        "ticks": [dataclasses.asdict(tick) for tick in story.ticks],
        "bar": dataclasses.asdict(story.bar) if story.bar else None,
        "signal": msgspec.to_builtins(story.signal),
        "verdict": msgspec.to_builtins(story.verdict),
        "intent": msgspec.to_builtins(story.intent),
        "journal": msgspec.to_builtins(story.lines),
        "trip": msgspec.to_builtins(story.trip) | {"net_paise": story.trip.net_paise} if story.trip else None,
        "timeline": [moment._asdict() for moment in timeline(story)],
        "missing": story.missing,
    }


def timeline(story: Story) -> list[Moment]:
    """What happened, in order, by both clocks."""
    found: list[Moment] = []
    signal, verdict, intent = story.signal, story.verdict, story.intent
    if story.ticks:
        last = story.ticks[-1]
        found.append(Moment(last.exchange_at, last.received_at, "tick", f"last ₹{rupees(last.last_paise)}"))
    if signal is not None:
        side = signal.side.value if signal.side else "leave"
        detail = f"{signal.strategy}: {side}, strength {signal.strength:.2f}"
        found.append(
            Moment(signal.bar_close_at, signal.received_at, "bar", f"{signal.interval_s} s bar closed")
        )
        found.append(Moment(signal.event_at, signal.emitted_at, "signal", detail))
    if verdict is not None:
        said = "approved" if verdict.approved else f"refused: {verdict.denial}"
        found.append(Moment(verdict.event_at, verdict.emitted_at, "verdict", said))
    if intent is not None:
        price = f"₹{rupees(intent.limit_price_paise)}" if intent.limit_price_paise else "the market"
        what = f"{intent.side} {intent.quantity:,} {intent.order_type} {intent.validity} at {price}"
        found.append(Moment(intent.event_at, intent.emitted_at, "intent", what))
    for line in story.lines:
        took = f", reply after {line.latency_ns / 1e6:.1f} ms" if line.latency_ns else ""
        slice_ = f" slice {line.slice + 1}" if any(each.slice for each in story.lines) else ""
        traded = f" at ₹{rupees(line.price_paise)}" if line.kind == "fill" else ""
        detail = f"{line.status}, {line.filled_quantity:,} of {line.quantity:,} filled{traded}{took}"
        found.append(
            Moment(line.event_at, line.emitted_at, f"{line.kind}{slice_}", f"{detail} {line.detail}".rstrip())
        )
    return found
