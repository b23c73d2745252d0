"""Looks at the machine -> notices: what the log cannot say, because it or its writers are in trouble.

A pure fold over `Look`s, which the alerts process takes once a second. Times are machine time, ns UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from kitepilot.alerts.notices import Heard, Notice
from kitepilot.market import calendar

NS_PER_S = 1_000_000_000
MIB, GIB = 1 << 20, 1 << 30
GONE_AFTER_S = 20
#: They begin when somebody asks for them and end when nobody does any more: that calls nobody.
COME_AND_GO = frozenset({"research", "backtests"})
LOGIN_ENDS_IST = "06:00"  # Kite: the day after it was made (documentation of sessions, read 2026-07-14)
LOGIN_NEAR_NS = 30 * 60 * NS_PER_S
#: kind -> raised below, over at: bytes free in the home
ROOM = {"disk_low": (2 * GIB, 3 * GIB), "disk_full": (512 * MIB, GIB)}


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look. `processes`: name -> pid of those that run; None where they cannot be seen (containers)."""

    at: int
    free_bytes: int
    processes: dict[str, int] | None = None
    fence: str = ""  # why it stands; "": it is down
    watchdog: str = ""  # its last alarm
    log_trouble: str = ""


class Seen(msgspec.Struct):
    """What the fold remembers of earlier looks."""

    since: int = 0  # the first look of this run
    pids: dict[str, int] = msgspec.field(default_factory=dict)
    gone: dict[str, int] = msgspec.field(default_factory=dict)  # name -> since
    standing: dict[str, str] = msgspec.field(default_factory=dict)  # kind -> subject


def looked(seen: Seen, look: Look, heard: Heard, dead_man_s: float) -> list[Notice]:
    """Fold one look; `heard` is what the log said until now."""
    seen.since = seen.since or look.at
    silent_s = (look.at - max(heard.heard_at, seen.since)) / NS_PER_S
    silence = (
        f"nothing said for {dead_man_s:g} s" if silent_s >= dead_man_s and _hours(heard, look.at) else ""
    )
    found = [
        *_when(seen, look, "dead_man", "session", silence),
        *_when(seen, look, "watchdog_flatten", "fence", look.fence),
        *_when(seen, look, "watchdog", "watchdog", look.watchdog),
        *_when(seen, look, "log_unreadable", "log", look.log_trouble),
        *_when(seen, look, "login_ends", "login", _login_ends(seen, heard, look.at)),
    ]
    for kind, (below, over_at) in ROOM.items():
        bound = over_at if kind in seen.standing else below
        low = f"{look.free_bytes // MIB} MiB are free" if look.free_bytes < bound else ""
        found += _when(seen, look, kind, "home", low)
    if look.processes is not None and not heard.ended:
        found += _processes(seen, look.processes, look.at)
    return found


def _hours(heard: Heard, at: int) -> bool:
    """Market hours: by the clock live, on paper by the session's own time. False before a run and after."""
    now = heard.session_at if heard.mode == "paper" else at
    return bool(heard.mode) and not heard.ended and heard.open_at <= now < heard.close_at


def _login_ends(seen: Seen, heard: Heard, at: int) -> str:
    """A login that stood when the run began ends at the first 06:00 IST after."""
    if heard.mode != "live":
        return ""
    day = calendar.ist_date(seen.since)
    ends_at = calendar.ist_ns(day, LOGIN_ENDS_IST)
    if ends_at <= seen.since:
        ends_at = calendar.ist_ns(day + timedelta(days=1), LOGIN_ENDS_IST)
    return f"at {LOGIN_ENDS_IST} IST" if at >= ends_at - LOGIN_NEAR_NS else ""


def _when(seen: Seen, look: Look, kind: str, subject: str, why: str) -> Iterator[Notice]:
    """A notice when a condition begins and one when it ends."""
    if why and kind not in seen.standing:
        seen.standing[kind] = subject
        yield Notice(kind, subject, why, look.at)
    elif not why and kind in seen.standing:
        del seen.standing[kind]
        yield Notice(kind, "", "", look.at, over=True)


def _processes(seen: Seen, running: dict[str, int], at: int) -> Iterator[Notice]:
    for name, pid in running.items():
        if name in COME_AND_GO:
            continue
        if seen.gone.pop(name, 0) < 0:
            yield Notice("process_gone", name, f"runs again as {pid}", at, over=True)
        if seen.pids.get(name, pid) != pid:
            yield Notice("process_restarted", name, f"runs as {pid} in place of {seen.pids[name]}", at)
        seen.pids[name] = pid
    for name in seen.pids.keys() - running.keys() - COME_AND_GO:
        since = seen.gone.setdefault(name, at)
        if 0 <= since <= at - GONE_AFTER_S * NS_PER_S:
            seen.gone[name] = -1  # told
            yield Notice("process_gone", name, f"not seen for {GONE_AFTER_S} s", at)
