"""The topics, declared once: name, partitions, retention. Adapters and compose read this table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Topic:
    """One topic. `retention` is by age of the record; the value format is stated for people."""

    name: str
    partitions: int
    retention: timedelta
    value: str


TICKS = Topic("ticks", 1, 2 * DAY, "n x 192-byte records, see kitepilot.market.ticks")
SESSION = Topic("session", 1, 400 * DAY, "msgpack, kitepilot.events.SessionEvent")
BARS = Topic("bars", 1, 7 * DAY, "msgpack, BarsClosed")
FEATURES = Topic("features", 1, 7 * DAY, "msgpack, FeaturesComputed")
DECISIONS = Topic("decisions", 1, 400 * DAY, "msgpack, kitepilot.events.DecisionEvent")
INTENTS = Topic("intents", 1, 400 * DAY, "msgpack, ApprovedIntent")
ORDERS = Topic("orders", 1, 400 * DAY, "msgpack, OrderJournaled")
POSTBACKS = Topic("postbacks", 1, 30 * DAY, "msgpack, PostbackReceived")
DEAD_LETTER = Topic("dead-letter", 1, 30 * DAY, "msgpack, DeadLetter")
#: Not of a run: what the command line did. Always on SQLite in the home, so no server need be up for it.
ACTS = Topic("acts", 1, 400 * DAY, "msgpack, kitepilot.audit.acts.Acted")

#: The topics of a run.
TOPICS: tuple[Topic, ...] = (
    TICKS,
    SESSION,
    BARS,
    FEATURES,
    DECISIONS,
    INTENTS,
    ORDERS,
    POSTBACKS,
    DEAD_LETTER,
)
