"""The messages that travel on the topics: msgpack structs with named fields.

Shapes shared by every message:

* ``source`` and ``seq`` name the producer and its own gap-free counter (from 0). A producer that is
  restarted repeats its last numbers, never skips one; a consumer drops what it has seen (`seq <= last`).
* ``event_at`` is session time in nanoseconds since the epoch, UTC. It comes from the events.
* ``emitted_at`` is the machine's clock (ns, UTC) when the message was handed to the log. It is stamped
  by the sink, never read by a decision, and left out of every hash (see `canonical`).
* Money is integer paise, quantity integer shares. Columns of one message have equal lengths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from kitepilot.events.decided import AccountMarked as AccountMarked
from kitepilot.events.decided import ApprovedIntent as ApprovedIntent
from kitepilot.events.decided import Check as Check
from kitepilot.events.decided import OrderJournaled as OrderJournaled
from kitepilot.events.decided import StateChanged as StateChanged
from kitepilot.events.decided import Verdict as Verdict
from kitepilot.events.envelope import Event as Event
from kitepilot.events.recorded import BarsClosed as BarsClosed
from kitepilot.events.recorded import DeadLetter as DeadLetter
from kitepilot.events.recorded import FeaturesComputed as FeaturesComputed
from kitepilot.events.recorded import PostbackReceived as PostbackReceived
from kitepilot.events.session import Alarmed as Alarmed
from kitepilot.events.session import BandsMarked as BandsMarked
from kitepilot.events.session import ClockMeasured as ClockMeasured
from kitepilot.events.session import Commanded as Commanded
from kitepilot.events.session import Difference as Difference
from kitepilot.events.session import DriftFound as DriftFound
from kitepilot.events.session import FeedChanged as FeedChanged
from kitepilot.events.session import Filled as Filled
from kitepilot.events.session import ForeignFilled as ForeignFilled
from kitepilot.events.session import ForeignOrderUpdated as ForeignOrderUpdated
from kitepilot.events.session import FundsMarked as FundsMarked
from kitepilot.events.session import Marked as Marked
from kitepilot.events.session import ModelActivated as ModelActivated
from kitepilot.events.session import ModelJudged as ModelJudged
from kitepilot.events.session import OrderUpdated as OrderUpdated
from kitepilot.events.session import ProfileActivated as ProfileActivated
from kitepilot.events.session import Reconciled as Reconciled
from kitepilot.events.session import RunStarted as RunStarted
from kitepilot.events.session import SignalRaised as SignalRaised
from kitepilot.events.session import StrategySwitched as StrategySwitched
from kitepilot.parameters import Carried as Carried
from kitepilot.parameters import DecisionParameters as DecisionParameters
from kitepilot.parameters import InstrumentTerms as InstrumentTerms
from kitepilot.parameters import RiskLimits as RiskLimits
from kitepilot.parameters import RiskProfile as RiskProfile
from kitepilot.parameters import Sizing as Sizing
from kitepilot.words import OrderStatus as OrderStatus
from kitepilot.words import Purpose as Purpose
from kitepilot.words import Side as Side
from kitepilot.words import TradingState as TradingState

SessionEvent = (
    RunStarted
    | Marked
    | SignalRaised
    | OrderUpdated
    | Filled
    | ForeignOrderUpdated
    | ForeignFilled
    | Alarmed
    | Reconciled
    | Commanded
    | FeedChanged
    | ProfileActivated
    | FundsMarked
    | BandsMarked
    | ClockMeasured
    | ModelActivated
    | StrategySwitched
    | ModelJudged
    | DriftFound
)
DecisionEvent = Verdict | StateChanged | AccountMarked
AnyEvent = (
    SessionEvent
    | DecisionEvent
    | ApprovedIntent
    | OrderJournaled
    | BarsClosed
    | FeaturesComputed
    | PostbackReceived
    | DeadLetter
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)


class UndecodableError(ValueError):
    """The bytes are not a message of ours. Carry them to the dead-letter topic with this text."""


def encode(event: AnyEvent, *, emitted_at: int = 0) -> bytes:
    """Event -> msgpack. A non-zero `emitted_at` (ns) is stamped on the way out."""
    if emitted_at:
        event = msgspec.structs.replace(event, emitted_at=emitted_at)
    return _encoder.encode(event)


def decode(payload: bytes) -> AnyEvent:
    """msgpack -> event.

    Raises:
        UndecodableError: not msgpack, unknown type, or a missing or mistyped field.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise UndecodableError(str(err)) from err


def canonical(event: AnyEvent) -> bytes:
    """The bytes that are hashed and compared: everything but the machine's clock."""
    return encode(msgspec.structs.replace(event, emitted_at=0))


def stream_hash(events: Iterable[AnyEvent]) -> str:
    """SHA-256 (hex) over the canonical bytes, length-prefixed, in order."""
    digest = hashlib.sha256()
    for event in events:
        raw = canonical(event)
        digest.update(len(raw).to_bytes(4, "big"))
        digest.update(raw)
    return digest.hexdigest()
