"""A record of the log -> an entry of the audit, or nothing where it is data.

Kinds are the messages' own type names. A message that no rule of this module knows is not possible:
a test compares `AUDITED` and `DATA` with every type of message there is.
"""

from __future__ import annotations

import base64
import typing
from collections.abc import Callable

import msgspec

from kitepilot import events as e
from kitepilot.audit.acts import Acted, decode_act
from kitepilot.audit.records import Entry
from kitepilot.events.envelope import Event
from kitepilot.orders.permission import permitted
from kitepilot.ports import LogRecord
from kitepilot.risk.admission import UnusableError, admit
from kitepilot.topics import ACTS, DECISIONS, INTENTS, ORDERS, POSTBACKS, SESSION, Topic

#: Topics of a run that are read. Bars, features, ticks and dead letters hold data alone.
FOLLOWED: tuple[Topic, ...] = (SESSION, DECISIONS, INTENTS, ORDERS, POSTBACKS)

AUDITED: frozenset[type[Event]] = frozenset(
    {
        e.RunStarted,
        e.SignalRaised,
        e.OrderUpdated,
        e.Filled,
        e.ForeignOrderUpdated,
        e.ForeignFilled,
        e.Alarmed,
        e.Reconciled,
        e.Commanded,
        e.FeedChanged,
        e.ProfileActivated,
        e.ModelActivated,
        e.StrategySwitched,
        e.ModelJudged,
        e.DriftFound,
        e.Verdict,
        e.StateChanged,
        e.ApprovedIntent,
        e.OrderJournaled,
        e.PostbackReceived,
        Acted,
    }
)
#: What is left out, and why. The seal carries a digest of every followed topic, these messages included.
DATA: dict[type[Event], str] = {
    e.Marked: "quotes, once a second; the session's digest in the seal covers them",
    e.AccountMarked: "derived from fills and quotes, once a second; the digest of decisions covers it",
    e.FundsMarked: "a measurement; every verdict quotes the numbers it compared",
    e.BandsMarked: "a measurement; every verdict quotes the numbers it compared",
    e.ClockMeasured: "a measurement; every verdict quotes the numbers it compared",
    e.BarsClosed: "market data, kept in ClickHouse and made again from ticks by a replay",
    e.FeaturesComputed: "market data, kept in ClickHouse and made again from ticks by a replay",
    e.DeadLetter: "kept in ClickHouse; what is unreadable on a followed topic has a record of its own",
}

UNREADABLE = "unreadable"  # a message that a topic's readers refuse: its bytes and the reason
GAP = "gap"  # records of the log that could not be read any more when their turn came
LARGEST = (1 << 63) - 1  # of a number in PostgreSQL
MAX_UNREADABLE_BYTES = 64 * 1024

Said = e.AnyEvent | Acted


class Refused(msgspec.Struct, frozen=True):
    """A message that no reader takes. It takes no number of its pretended source either."""

    why: str


def read(record: LogRecord, run_id: str, config_hash: str) -> Said | Refused:
    """Decode and examine as the topic's own readers do. Intents of another run are kept, as its own."""
    try:
        said = _READERS[record.topic](record.value, run_id, config_hash)
    except (e.UndecodableError, UnusableError) as err:
        return Refused(str(err))
    if max(said.seq, said.event_at) > LARGEST or min(said.seq, said.event_at) < -LARGEST:
        return Refused(f"seq {said.seq}, event_at {said.event_at}")
    return said


def entry_of(said: Said, record: LogRecord, run_id: str) -> Entry | None:
    """None for data. `run_id`: the run whose turn it is on that topic, for messages that name none."""
    if type(said) not in AUDITED:
        return None
    return Entry(
        run_id=_text(getattr(said, "run_id", "") or run_id),
        kind=_text(said.act) if isinstance(said, Acted) else str(said.__struct_config__.tag),
        source=_text(said.source),
        topic=record.topic,
        log_offset=record.offset,
        subject=_text(_subject(said)),
        intent_id=_text(getattr(said, "intent_id", "")),
        order_id=_text(getattr(said, "order_id", "")),
        event_at=said.event_at,
        body=msgspec.json.encode(said).decode(),
    )


def unreadable(refused: Refused, record: LogRecord, run_id: str) -> Entry:
    """The message as it came, at most its first 64 KiB; its bytes are in the log and in ClickHouse."""
    kept = record.value[:MAX_UNREADABLE_BYTES]
    body: dict[str, str | int] = {
        "why": refused.why,
        "length": len(record.value),
        "bytes": base64.b64encode(kept).decode(),
    }
    return _own(UNREADABLE, record.topic, record.offset, run_id, record.appended_at, body)


def gap(topic: str, first: int, end: int, why: str, run_id: str, at: int) -> Entry:
    """Offsets `first` to `end` (exclusive) of a topic were not read: the audit says what it does not know."""
    return _own(GAP, topic, first, run_id, at, {"why": why, "first_offset": first, "end_offset": end})


def _own(kind: str, topic: str, offset: int, run_id: str, at: int, body: dict[str, str | int]) -> Entry:
    return Entry(
        run_id=run_id,
        kind=kind,
        source="audit",
        topic=topic,
        log_offset=offset,
        subject=topic,
        intent_id="",
        order_id="",
        event_at=at,
        body=msgspec.json.encode(body).decode(),
    )


def _subject(said: Said) -> str:
    """An order's whole way hangs together by intent and signal; everything else by what names it."""
    for name in ("signal_id", "command_id", "subject", "verdict_id", "model"):
        if found := getattr(said, name, ""):
            return str(found)
    return ""


def _text(text: str) -> str:
    """PostgreSQL keeps no zero character; in a body JSON escapes it."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _of_decisions(value: bytes, _run_id: str, _config_hash: str) -> Said:
    return _wanted(value, e.DecisionEvent)


def _of_intents(value: bytes, run_id: str, config_hash: str) -> Said:
    """A stranger's message that calls itself ours is refused; an earlier run's own words are taken."""
    intent = typing.cast(e.ApprovedIntent, _wanted(value, e.ApprovedIntent))
    expected = config_hash if intent.run_id == run_id else intent.config_hash
    return permitted(value, intent.run_id, expected)


def _wanted(value: bytes, kinds: typing.Any) -> Said:
    event = e.decode(value)
    if not isinstance(event, kinds):
        raise e.UndecodableError(f"{type(event).__name__} does not belong here")
    return typing.cast(Said, event)


_READERS: dict[str, Callable[[bytes, str, str], Said]] = {
    SESSION.name: lambda value, _run_id, _config_hash: admit(value),
    DECISIONS.name: _of_decisions,
    INTENTS.name: _of_intents,
    ORDERS.name: lambda value, _run_id, _config_hash: _wanted(value, e.OrderJournaled),
    POSTBACKS.name: lambda value, _run_id, _config_hash: _wanted(value, e.PostbackReceived),
    ACTS.name: lambda value, _run_id, _config_hash: decode_act(value),
}
