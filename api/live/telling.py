"""An event of the log -> the live event that nobody may miss, or None for what is only a newer figure."""

from __future__ import annotations

import math

from api.live import shapes
from api.live.shapes import clock, ms
from kitepilot import events as e

Told = tuple[str, shapes.Signal | shapes.Verdict | shapes.Order | shapes.Alert]


def told(event: e.AnyEvent) -> Told | None:
    """(kind, body): signal | verdict | order | alert."""
    match event:
        case e.SignalRaised():
            return "signal", _signal(event)
        case e.Verdict():
            return "verdict", _verdict(event)
        case e.OrderJournaled():
            return "order", _order(event)
        case _:
            return _alert(event)


def _signal(event: e.SignalRaised) -> shapes.Signal:
    return shapes.Signal(
        at_ms=ms(event.event_at),
        ist=clock(event.event_at),
        said_ms=event.emitted_at / 1e6,
        signal_id=event.signal_id,
        strategy=event.strategy,
        tradingsymbol=event.tradingsymbol,
        side=event.side or "",
        strength=round(event.strength, 4),
        last_paise=event.last_paise,
        stop_bps=event.stop_bps,
        take_profit_bps=event.take_profit_bps,
        horizon_s=event.horizon_s,
        features=_finite(event.features),
        scores=_finite(event.scores),
    )


def _verdict(event: e.Verdict) -> shapes.Verdict:
    failed = next((each for each in event.checks if not each.passed), None)
    return shapes.Verdict(
        at_ms=ms(event.event_at),
        ist=clock(event.event_at),
        said_ms=event.emitted_at / 1e6,
        verdict_id=event.verdict_id,
        signal_id=event.signal_id,
        intent_id=event.intent_id,
        strategy=event.strategy,
        tradingsymbol=event.tradingsymbol,
        purpose=event.purpose,
        side=event.side,
        quantity=event.quantity,
        limit_price_paise=event.limit_price_paise,
        approved=event.approved,
        denial=event.denial,
        observed=failed.observed if failed else 0.0,
        limit=failed.limit if failed else 0.0,
    )


def _order(event: e.OrderJournaled) -> shapes.Order:
    return shapes.Order(
        at_ms=ms(event.event_at),
        ist=clock(event.event_at),
        said_ms=event.emitted_at / 1e6,
        intent_id=event.intent_id,
        order_id=event.order_id,
        tradingsymbol=event.tradingsymbol,
        side=event.side,
        purpose=event.purpose,
        strategy=event.strategy,
        kind=event.kind,
        status=event.status,
        quantity=event.quantity,
        filled_quantity=event.filled_quantity,
        price_paise=event.price_paise,
        detail=event.detail,
    )


def _alert(event: e.AnyEvent) -> Told | None:
    found = _found(event)
    if found is None:
        return None
    severity, kind, subject, detail = found
    return "alert", shapes.Alert(
        at_ms=ms(event.event_at),
        ist=clock(event.event_at),
        said_ms=event.emitted_at / 1e6,
        severity=severity,
        kind=kind,
        subject=subject,
        detail=detail,
    )


def _found(event: e.AnyEvent) -> tuple[str, str, str, str] | None:
    """severity, kind, subject and detail of what a person should look at."""
    found = None
    match event:
        case e.Alarmed():
            found = ("critical" if event.halts else "warning", event.kind, event.subject, event.detail)
        case e.StateChanged() if event.rule:
            found = ("critical", "state_lowered", event.rule, event.reason)
        case e.Reconciled(verdict="halt"):
            rows = "; ".join(f"{d.rule} {d.subject}: {d.ours} / {d.theirs}" for d in event.differences)
            found = ("critical", "reconciliation", event.occasion, rows)
        case e.FeedChanged(state="down"):
            found = ("warning", "feed_down", "", event.detail)
        case e.ModelJudged() if event.state != "fresh":
            found = ("warning", f"model_{event.state}", event.model, event.detail)
        case e.DriftFound():
            drifted = f"{event.detector} {event.observed:.4f}, {event.limit:.4f}"
            found = ("warning", "drift", event.feature or event.model, drifted)
    return found


def _finite(values: dict[str, float]) -> dict[str, float]:
    """Without what is not known yet: JSON has no NaN."""
    return {name: round(value, 4) for name, value in values.items() if math.isfinite(value)}
