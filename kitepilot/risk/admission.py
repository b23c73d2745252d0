"""Bytes from the session topic -> an event the fold can take, or the reason why not.

The fold itself never meets a message that would break it half way: what is refused here is kept in the
dead-letter topic and the day goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from kitepilot.events import (
    AnyEvent,
    BandsMarked,
    DriftFound,
    Filled,
    ForeignFilled,
    Marked,
    ModelJudged,
    ProfileActivated,
    RunStarted,
    SessionEvent,
    SignalRaised,
    UndecodableError,
    decode,
)
from kitepilot.orders.charges import rates_on
from kitepilot.risk import profiles

JUDGEMENTS = ("fresh", "stale", "drifted")
DRIFT_ACTS = ("tell", "refuse_entries", "reduce")


class UnusableError(ValueError):
    """A message of the session topic that the fold cannot take. `reason` is the dead letter's code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def admit(value: bytes) -> SessionEvent:
    """Decode and examine one message.

    Raises:
        UnusableError: undecodable, a type that does not belong on this topic, or numbers that cannot be.
    """
    try:
        event = decode(value)
    except UndecodableError as err:
        raise UnusableError("undecodable", str(err)) from err
    if not isinstance(event, SessionEvent):
        raise UnusableError("wrong_topic", f"{type(event).__name__} does not belong on session")
    flaw = _flaw(event)
    if flaw:
        raise UnusableError("malformed", flaw)
    return event


def admitted(values: Iterable[bytes]) -> Iterator[SessionEvent]:
    """The events of a session log, without what `admit` refuses."""
    for value in values:
        try:
            yield admit(value)
        except UnusableError:
            continue


def _flaw(event: AnyEvent) -> str:
    match event:
        case Marked():
            return _marked_flaw(event)
        case Filled() | ForeignFilled() if event.quantity <= 0 or event.price_paise <= 0:
            return f"a fill of {event.quantity} at {event.price_paise} paise"
        case SignalRaised() if min(event.horizon_s, event.stop_bps, event.take_profit_bps) < 0:
            return "a signal with a negative horizon, stop or profit"
        case RunStarted() | ProfileActivated():
            return _settings_flaw(event)
        case BandsMarked() | ModelJudged() | DriftFound():
            return _fact_flaw(event)
    return ""


def _marked_flaw(event: Marked) -> str:
    columns = (event.tokens, event.last_paise, event.bid_paise, event.ask_paise, event.quoted_at)
    if len({len(column) for column in columns}) != 1:
        return f"columns of {', '.join(str(len(column)) for column in columns)} rows"
    prices = (*event.last_paise, *event.bid_paise, *event.ask_paise)
    return "a negative price" if prices and min(prices) < 0 else ""


def _fact_flaw(event: BandsMarked | ModelJudged | DriftFound) -> str:
    if isinstance(event, DriftFound):
        return "" if event.act in DRIFT_ACTS else f"a drift that should {event.act!r}"
    if isinstance(event, ModelJudged):
        return "" if event.state in JUDGEMENTS else f"a model judged {event.state!r}"
    lengths = {len(event.tokens), len(event.lower_paise), len(event.upper_paise)}
    return "" if len(lengths) == 1 else "circuit limits in columns of different lengths"


def _settings_flaw(event: RunStarted | ProfileActivated) -> str:
    """Limits that cannot be, or a date without charge rates, which would stop the fold at its first fill."""
    if isinstance(event, ProfileActivated):
        return profiles.flaw(event.profile)
    try:
        rates_on(date.fromisoformat(event.parameters.session_date))
    except ValueError as err:
        return str(err)
    return ""
