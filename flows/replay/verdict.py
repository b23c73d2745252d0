"""What a comparison came to: equal with its hashes, different with the first difference, or cut short."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from flows.replay.comparison import Comparison, Difference
from flows.replay.recorded import RecordedRun

Status = Literal["equal", "differs", "cut_short"]


@dataclass(frozen=True)
class Compared:
    """One stream. `sha256` (hex) over the canonical bytes of the messages that agree, in order."""

    topic: str
    source: str
    messages: int
    repeated: int
    not_recorded: int  # computed again and not in the record: after its end
    sha256: str


@dataclass(frozen=True)
class Verdict:
    """`part` is decisions or market. `by_instrument` maps a trading symbol to the hash of its own rows."""

    part: str
    status: Status
    streams: tuple[Compared, ...]
    difference: Difference | None = None
    unreadable: int = 0  # records of those topics that nobody could read
    notes: tuple[str, ...] = ()
    by_instrument: dict[str, str] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        return self.status == "equal"


def compared(each: Comparison) -> Compared:
    """A comparison's figures, for the report."""
    return Compared(each.topic, each.source, each.messages, each.repeated, each.not_recorded, each.sha256)


def status_of(
    run: RecordedRun, comparisons: Mapping[str, Comparison], difference: Difference | None
) -> Status:
    """Equal needs the record to reach the end of the day; a shorter one proves only what it holds."""
    if difference:
        return "differs"
    return "cut_short" if any(c.short_of(run.ended_at) for c in comparisons.values()) else "equal"


def notes_on(run: RecordedRun, comparisons: Mapping[str, Comparison]) -> list[str]:
    """A flow is stopped before the feed is: what it did not see after the end of the day is said, no more."""
    late = [c for c in comparisons.values() if c.not_recorded]
    if not late:
        return []
    said = ", ".join(f"{c.not_recorded} of {c.topic}" for c in late)
    short = any(c.short_of(run.ended_at) for c in late)
    when = "the record stops before the day ends" if short else "the flow was stopped after the day's end"
    return [f"{when}: {said} were computed now and are not in the record"]
