"""What was measured in the morning -> green, amber or red, and what to do. Pure: no clock, no network.

Green: trade. Amber: could not be told, or worth a look; trading is a person's choice. Red: no trading.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from kitepilot.market import calendar
from kitepilot.market.calendar import CalendarError, Session

Colour = Literal["green", "amber", "red"]
DATE_HEADER_GRAIN_S = 1.0  # HTTP dates are whole seconds
LOG_IN = "log in: `kitepilot login`"
GIB = 1024**3


@dataclass(frozen=True)
class Check:
    """One line of the table. `remedy` is empty when green."""

    name: str
    colour: Colour
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Egress:
    """Where our orders come from, always IPv4. `by`: an echo service, or the local address of the route."""

    ipv4: str = ""
    by: Literal["echo", "route", ""] = ""


@dataclass(frozen=True)
class Skew:
    """Our clock minus another, in seconds; None where it did not answer. `round_trip_s` is the broker's."""

    ntp_s: float | None = None
    broker_s: float | None = None
    round_trip_s: float = 0.0


@dataclass(frozen=True)
class DayList:
    """The kept instruments of the day, against those before."""

    rows: int
    tradable: int
    closing_auction: int
    changes: int
    before: date | None


@dataclass(frozen=True)
class Heard:
    """The ticker, as far as it was listened to. `waited_s` until the first frame, or in vain."""

    connected: bool
    frames: int
    waited_s: float
    trouble: str = ""


@dataclass(frozen=True)
class LastRun:
    """How the previous run of the same mode ended; `reconciled` is None when it never came to that.

    `why` is the first difference of one that did not reconcile.
    """

    run_id: str
    reconciled: bool | None
    open_positions: int
    why: str = ""


def judge_login(user: str | None, ends_at: int, trouble: str) -> Check:
    """`user` as the broker's profile names them; None: refused or not asked, `trouble` says why."""
    if user is None:
        return Check("login", "red", trouble, LOG_IN)
    return Check("login", "green", f"{user}, until {calendar.to_ist(ends_at):%Y-%m-%d %H:%M} IST")


def judge_broker_unreachable(trouble: str) -> Check:
    return Check("login", "red", trouble, "check the network and Kite's status page")


def judge_egress(registered: Sequence[str], seen: Egress) -> Check:
    """Orders from an unregistered address are refused by the broker, exits too (SEBI, since 2026-04-01)."""
    name, known = "egress address", {ipaddress.ip_address(text) for text in registered}
    if not known:
        return Check(name, "amber", f"seen {seen.ipv4 or 'nothing'}; none registered", _TELL_ADDRESSES)
    if not seen.ipv4:
        return Check(name, "amber", "cannot tell where our requests come from", _SET_ECHO)
    address = ipaddress.ip_address(seen.ipv4)
    if address not in known:
        if seen.by == "route" and not address.is_global:
            return Check(name, "amber", f"cannot tell: {address} is behind a router", _SET_ECHO)
        return Check(
            name,
            "red",
            f"orders would come from {address}, registered: {', '.join(map(str, sorted(known, key=str)))}",
            "use the registered line, or change the address in the developer console (once a week)",
        )
    return Check(name, "green", f"{address} ({seen.by}) is registered")


_TELL_ADDRESSES = "put the addresses registered with the broker into broker.egress_ips"
_SET_ECHO = "set readiness.egress_echo_url to a service that answers with the caller's address"


def judge_clock(skew: Skew, limit_s: float) -> Check:
    """NTP decides where it answers; the broker's HTTP date can only show a skew beyond its whole seconds."""
    remedy = "let the machine keep time (chrony, systemd-timesyncd), then check again"
    if skew.ntp_s is not None:
        colour: Colour = "green" if abs(skew.ntp_s) <= limit_s else "red"
        found = f"{skew.ntp_s * 1000:+.0f} ms against NTP (limit {limit_s * 1000:.0f} ms)"
        return Check("clock", colour, found, "" if colour == "green" else remedy)
    if skew.broker_s is None:
        return Check("clock", "amber", "neither NTP nor the broker's date could be had", "check the network")
    found = f"{skew.broker_s:+.1f} s against the broker's date"
    if abs(skew.broker_s) > limit_s + DATE_HEADER_GRAIN_S + skew.round_trip_s:
        return Check("clock", "red", found, remedy)
    return Check("clock", "amber", f"{found}, which is good to a second; no NTP", "let UDP port 123 through")


def judge_instruments(day: date, kept: DayList | None, trouble: str, *, has_auction: bool) -> Check:
    """`has_auction`: stocks with futures close by auction on that day, so their list must not be empty."""
    name, fetch = "instruments", "fetch them: `kitepilot instruments`"
    if kept is None:
        return Check(name, "red", trouble or f"no file of {day}", fetch)
    if kept.tradable == 0:
        return Check(name, "red", f"none of the {kept.rows:,} instruments of {day} is tradable", fetch)
    if has_auction and kept.closing_auction == 0:
        found = f"{kept.rows:,} of {day}, and no futures to tell the closing-auction stocks by"
        return Check(name, "red", found, f"{fetch}, all exchanges")
    since = f"{kept.changes:,} changes on NSE since {kept.before}" if kept.before else "nothing earlier"
    found = (
        f"{day}: {kept.rows:,}, {kept.tradable:,} tradable, {kept.closing_auction:,} with auction; {since}"
    )
    return Check(name, "green", found)


def judge_session(day: date, session: Session | CalendarError, now: int | None) -> Check:
    """`now` in ns UTC, or None where time is the exchange's own (paper)."""
    if isinstance(session, CalendarError):
        return Check("session", "red", str(session), "no trading today")
    times = [session.entry_cutoff_at, session.square_off_at, session.force_flat_at]
    entries, square_off, flat = (f"{calendar.to_ist(at):%H:%M}" for at in times)
    found = f"{day}, {session.kind}: entries until {entries}, square-off {square_off}, flat by {flat}"
    if now is not None and now >= session.entry_cutoff_at:
        return Check("session", "red", f"{found}; no entries any more", "start tomorrow before 09:15")
    return Check("session", "green", found)


def judge_margins(cash_paise: int | None, floor_paise: int, trouble: str) -> Check:
    if cash_paise is None:
        return Check("margin", "red", trouble, LOG_IN)
    found = f"₹{cash_paise / 100:,.2f} available, ₹{floor_paise / 100:,.0f} wanted"
    if cash_paise < floor_paise:
        return Check("margin", "red", found, "add funds, or lower readiness.min_cash_rupees and the limits")
    return Check("margin", "green", found)


def judge_feed(heard: Heard) -> Check:
    """A heartbeat is enough: before the open there may be nothing else."""
    if heard.frames:
        return Check("feed", "green", f"first frame after {heard.waited_s:.1f} s")
    if heard.trouble.startswith("login needed"):
        return Check("feed", "red", heard.trouble, LOG_IN)
    state = "connected, and silent" if heard.connected else "not connected"
    found = f"{state} for {heard.waited_s:.1f} s{': ' if heard.trouble else ''}{heard.trouble}"
    return Check("feed", "red", found, "check the network, broker.ticker_url and the Connect subscription")


def judge_seal_key(public: str, trouble: str) -> Check:
    """`public` is the key that the day's seal will be checked with, hex; "" where there is none."""
    if not public:
        return Check("audit", "red", trouble, "make a key: `kitepilot audit key --make`")
    return Check("audit", "green", f"the day will be sealed, public key {public[:16]}...")


def judge_disk(free_bytes: int, floor_bytes: int, place: str) -> Check:
    found = f"{free_bytes / GIB:.1f} GiB free at {place}, {floor_bytes / GIB:.0f} GiB wanted"
    if free_bytes < floor_bytes:
        return Check("disk", "red", found, "free space, or set $KITEPILOT_HOME to a larger disk")
    return Check("disk", "green", found)


def judge_last_run(last: LastRun | None, mode: str, open_now: int | None) -> Check:
    """`open_now`: open intraday positions in the broker's book this morning; None: could not be asked."""
    name = "last run"
    if last is None:
        return Check(name, "green", f"no earlier {mode} run here")
    if last.reconciled and not last.open_positions:
        return Check(name, "green", f"{last.run_id} reconciled, flat")
    found = (
        f"{last.run_id} was never reconciled"
        if last.reconciled is None
        else f"{last.run_id} did not reconcile{': ' if last.why else ''}{last.why}"
    )
    if last.open_positions:
        found = f"{last.run_id} ended with {last.open_positions} open positions"
    if open_now == 0:
        return Check(name, "amber", f"{found}; the account is flat now", "compare its orders with Kite's")
    now = (
        "the broker could not be asked" if open_now is None else f"{open_now} intraday positions are open now"
    )
    return Check(name, "red", f"{found}; {now}", "close in Kite what is open, and find out why")


def judge_store(name: str, starts_here: bool, trouble: str | None) -> Check:
    """`trouble` is None when it answers. An embedded store that is not up yet starts with the system."""
    if trouble is None:
        return Check(name, "green", "answers")
    if starts_here:
        return Check(name, "green", "embedded; starts with the system")
    return Check(name, "red", trouble, f"start {name}, or correct its address under storage and log")


def worst(checks: Sequence[Check]) -> Colour:
    """The colour of the morning."""
    colours = {check.colour for check in checks}
    return "red" if "red" in colours else "amber" if "amber" in colours else "green"
