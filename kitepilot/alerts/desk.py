"""Notices, acknowledgements and time -> what each target is to be told next.

A pure fold. One key (kind and subject) is one alert however often it is noticed. A target hears of an alert
when its `after_s` has passed and nobody has acknowledged: the second target is the escalation of the first.
What is due to a target is due in the order in which it came due, and `told` is said only when it was taken:
a crash between the two repeats a message and loses none.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kitepilot.alerts.kinds import BY_NAME, Severity
from kitepilot.alerts.notices import Notice
from kitepilot.market import calendar

NS_PER_S = 1_000_000_000
DAY_NS = 86_400 * NS_PER_S
MOST_ALERTS = 200
LONGEST_REPEAT_S = 3_600
CRITICAL_SETTLE_S = 30
RAISED, AGAIN, OVER = "raised", "again", "over"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is told: `least` severity, and after how many seconds without an acknowledgement."""

    name: str
    least: Severity = Severity.WARNING
    after_s: float = 0.0


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """`quiet`: minutes of the IST day (from, to) in which only critical alerts are told; (0, 0): none.

    `repeat_s` to the second call about a critical alert nobody acknowledged, doubling up to an hour.
    `settle_s`: about an alert that comes back nobody is told sooner than this after the last message about it
    (a critical one: `CRITICAL_SETTLE_S`), and then only if it still stands.
    """

    targets: tuple[Target, ...] = ()
    quiet: tuple[int, int] = (0, 0)
    repeat_s: float = 300.0
    settle_s: float = 300.0


class Told(msgspec.Struct):
    """How often a target was told of an alert and when last (ns); whether also that it is over."""

    times: int = 0
    last_at: int = 0
    over: bool = False


class Alert(msgspec.Struct):
    """One alert. Times are machine time, ns UTC; 0: not yet."""

    number: int
    kind: str
    subject: str
    detail: str
    raised_at: int
    noticed_at: int
    noticed: int = 1
    not_before: int = 0  # of the first message: the last one about an earlier alert of this key is so young
    over_at: int = 0
    acknowledged_at: int = 0
    acknowledged_by: str = ""
    told: dict[str, Told] = msgspec.field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.subject}"

    @property
    def severity(self) -> Severity:
        return BY_NAME[self.kind].severity

    @property
    def open(self) -> bool:
        return not (self.over_at or self.acknowledged_at)

    @property
    def state(self) -> str:
        """open (wants somebody) | seen | over."""
        return "over" if self.over_at else "seen" if self.acknowledged_at else "open"


class Message(msgspec.Struct, frozen=True):
    """What one target is told. `due_at` in ns; `word`: raised | again | over."""

    target: str
    number: int  # of the alert
    key: str
    severity: Severity
    word: str
    detail: str
    to_do: str
    raised_at: int
    due_at: int


class Desk(msgspec.Struct):
    """The alerts of one run by key, oldest first."""

    alerts: dict[str, Alert] = msgspec.field(default_factory=dict)
    numbered: int = 0
    forgotten: int = 0  # for want of room


def take(desk: Desk, notice: Notice, policy: Policy) -> None:
    """Something began, goes on, or is over; a notice that is over with no subject ends all of its kind."""
    if notice.over:
        for alert in desk.alerts.values():
            if alert.kind == notice.kind and notice.subject in ("", alert.subject) and not alert.over_at:
                alert.over_at = notice.at
        return
    key = f"{notice.kind}:{notice.subject}"
    known = desk.alerts.get(key)
    if known is None or _is_another(known, notice, policy):
        _raise(desk, key, notice, _not_before(known, policy))
        return
    known.noticed += 1
    known.noticed_at, known.detail = notice.at, notice.detail


def acknowledge(desk: Desk, key: str, by: str, at: int) -> bool:
    """A person has seen it: nobody else is called. Whether there was such an alert to acknowledge."""
    alert = desk.alerts.get(key)
    if alert is None or alert.acknowledged_at:
        return False
    alert.acknowledged_at, alert.acknowledged_by = at, by
    return True


def due(desk: Desk, policy: Policy, target: Target, at: int) -> Message | None:
    """What `target` is to be told now: of all that is due, what came due first."""
    found = (_due(alert, policy, target) for alert in desk.alerts.values())
    ready = [message for message in found if message is not None and message.due_at <= at]
    return min(ready, key=lambda message: (message.due_at, message.number), default=None)


def told(desk: Desk, message: Message, at: int) -> None:
    """`message` was taken by its target."""
    alert = desk.alerts.get(message.key)
    if alert is None or alert.number != message.number:
        return
    record = alert.told.setdefault(message.target, Told())
    record.times += 1
    record.last_at = at
    record.over = message.word == OVER


def listed(desk: Desk) -> Sequence[Alert]:
    """Newest first, those that want somebody before all others."""
    return sorted(desk.alerts.values(), key=lambda a: (a.open, a.severity.rank, a.number), reverse=True)


def _is_another(known: Alert, notice: Notice, policy: Policy) -> bool:
    """Over, or acknowledged and not noticed for long: what is noticed now is news."""
    if known.over_at or not known.acknowledged_at:
        return bool(known.over_at)
    return notice.at - max(known.acknowledged_at, known.noticed_at) >= policy.settle_s * NS_PER_S


def _not_before(known: Alert | None, policy: Policy) -> int:
    if known is None:
        return 0
    settle_s = CRITICAL_SETTLE_S if known.severity is Severity.CRITICAL else policy.settle_s
    ends = (each.last_at + int(settle_s * NS_PER_S) for each in known.told.values())
    return max(known.not_before, *ends, 0)


def _raise(desk: Desk, key: str, notice: Notice, not_before: int) -> None:
    before = desk.alerts.pop(key, None)
    desk.numbered += 1
    desk.alerts[key] = Alert(
        number=desk.numbered,
        kind=notice.kind,
        subject=notice.subject,
        detail=notice.detail,
        raised_at=notice.at,
        noticed_at=notice.at,
        noticed=before.noticed + 1 if before else 1,
        not_before=not_before,
    )
    if len(desk.alerts) > MOST_ALERTS:
        least = min(desk.alerts.values(), key=lambda a: (a.open, a.severity.rank, a.number))
        del desk.alerts[least.key]
        desk.forgotten += 1


def _due(alert: Alert, policy: Policy, target: Target) -> Message | None:
    if alert.severity.rank < target.least.rank or alert.severity is Severity.INFO:
        return None
    record = alert.told.get(target.name, Told())
    when = _when(alert, policy, target, record)
    if when is None:
        return None
    word, due_at = when
    if alert.severity is not Severity.CRITICAL:
        due_at = _after_quiet(due_at, policy.quiet)
    return Message(
        target=target.name,
        number=alert.number,
        key=alert.key,
        severity=alert.severity,
        word=word,
        detail=alert.detail,
        to_do=BY_NAME[alert.kind].to_do,
        raised_at=alert.raised_at,
        due_at=due_at,
    )


def _when(alert: Alert, policy: Policy, target: Target, record: Told) -> tuple[str, int] | None:
    """(word, when) of the next message about one alert; None when nothing more is to be said.

    A first word that finds the cause over is still said, as `over`, if the alert was critical.
    """
    first_at = max(alert.raised_at + int(target.after_s * NS_PER_S), alert.not_before)
    if record.over or (alert.acknowledged_at and not (record.times and alert.over_at)):
        return None
    if alert.over_at:
        if record.times:
            return OVER, alert.over_at
        in_time = alert.severity is Severity.CRITICAL and first_at <= alert.over_at
        return (OVER, alert.over_at) if in_time else None
    if not record.times:
        return RAISED, first_at
    if alert.severity is not Severity.CRITICAL:
        return None
    wait_s = min(policy.repeat_s * 2 ** min(record.times - 1, 12), max(LONGEST_REPEAT_S, policy.repeat_s))
    return AGAIN, record.last_at + int(wait_s * NS_PER_S)


def _after_quiet(at: int, quiet: tuple[int, int]) -> int:
    """`at`, or the end of the quiet hours it falls into (IST; they may reach over midnight)."""
    begin, end = quiet
    clock = calendar.to_ist(at)
    minute = clock.hour * 60 + clock.minute
    inside = begin <= minute < end if begin < end else (minute >= begin or minute < end) and begin != end
    if not inside:
        return at
    midnight = calendar.ist_ns(clock.date(), "00:00")
    ends_at = midnight + end * 60 * NS_PER_S
    return ends_at if ends_at > at else ends_at + DAY_NS
