"""Whether somebody must flatten in the place of the decisions or the gateway. Pure: all times are passed in.

The decisions speak each second of the session, whatever the market does: their silence means that they, the
market flow or the log have died, and with them the clock that would square off. The gateway beats while
orders would leave. Silence counts in machine time; on paper the session must also have gone on without the
decisions, for an exchange that stands still (ours waits for the trader, and may be started again) has nothing
to be silent about. What still stands past the time to be flat needs no silence at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Act(StrEnum):
    """What the watchdog does now."""

    NOTHING = "nothing"
    ALARM = "alarm"
    FLATTEN = "flatten"


@dataclass(frozen=True)
class Patience:
    """All in ns. `silence`: machine time without a word. `behind`: session time past the decisions' last one.
    `late`: session time past an instrument's time to be flat."""

    silence: int
    behind: int
    late: int


@dataclass(frozen=True)
class Word:
    """The last word of one process: so much machine time ago, and so much session time."""

    silent_ns: int
    behind_ns: int = 0


@dataclass(frozen=True)
class Heard:
    """What is known without asking the broker. `None`: not a word in this run yet, so nothing was sent."""

    session_at: int
    decisions: Word | None
    gateway: Word | None
    asked: str = ""  # why the owner wants to be flat now


@dataclass(frozen=True)
class Held:
    """What the broker says is ours: instruments with shares or live orders, and those past their time."""

    instruments: int
    late: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """`reason` is for a person; "" when there is nothing to do."""

    act: Act
    reason: str = ""


@dataclass(frozen=True)
class Hours:
    """When silence means something: the session's continuous trading (session ns)."""

    open_at: int
    close_at: int

    def __contains__(self, at: int) -> bool:
        return self.open_at <= at < self.close_at


def suspicion(heard: Heard, hours: Hours, patience: Patience) -> str:
    """Why the broker should be asked what is held; "" when both speak, or the market is closed."""
    if heard.asked:
        return heard.asked
    if heard.session_at not in hours:
        return ""
    decisions, gateway = heard.decisions, heard.gateway
    if (
        decisions is not None
        and decisions.silent_ns >= patience.silence
        and decisions.behind_ns >= patience.behind
    ):
        return f"the decisions have been silent for {_seconds(decisions.silent_ns)}"
    if gateway is not None and gateway.silent_ns >= patience.silence:
        return f"the gateway has been silent for {_seconds(gateway.silent_ns)}"
    return ""


def judge(heard: Heard, why: str, held: Held | None) -> Judgement:
    """What to do about a suspicion. `held` is None when the broker could not be asked.

    The owner's word is obeyed unseen. Otherwise only what is held is flattened: a system that died flat needs
    a person, not an order.
    """
    if heard.asked:
        return Judgement(Act.FLATTEN, heard.asked)
    if held is None:
        why = why or "it is past the time to be flat"
        return Judgement(Act.ALARM, f"{why}, and the broker cannot be asked what is held")
    if why:
        act = Act.FLATTEN if held.instruments else Act.ALARM
        return Judgement(act, why if held.instruments else f"{why}; nothing of ours is held")
    if held.late:
        return Judgement(Act.FLATTEN, f"held past the time to be flat: {', '.join(held.late)}")
    return _QUIET


_QUIET = Judgement(Act.NOTHING)


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:.0f} s"
