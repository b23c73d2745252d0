"""Asks the world what `judgement` needs to know. Each question has a time limit, silence is an answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import tenacity

from broker_adapter.kite import session as sessions
from broker_adapter.kite.instruments_file import Snapshots
from broker_adapter.kite.reading import AFTER_429_S, ATTEMPTS
from broker_adapter.kite.session import Session
from broker_adapter.kite.ticker import Down, Frame, Ticker, Up
from kitepilot.cli.instruments import compare
from kitepilot.cli.readiness.judgement import DayList, Egress, Heard, Skew
from kitepilot.config import Config
from kitepilot.market import listings

ECHO_TIMEOUT_S = 5.0
NTP_TIMEOUT_S = 2.0
FEED_TOKENS = 5


@dataclass(frozen=True)
class Answer:
    """What a call to the broker came to: `data`, or `trouble`. `refused`: it answered 403."""

    data: Any = None
    trouble: str = ""
    refused: bool = False
    skew: Skew = field(default_factory=Skew)


def ask(config: Config, session: Session, path: str) -> Answer:
    """GET `path` at the broker in the name of `session`; numbers are kept exact.

    A 429 says that the account's other programs have used the second up: asked again in the next ones.
    """
    try:
        sent, heard, reply = _in_a_free_second(config, session, path)
    except httpx.HTTPError as err:
        return Answer(trouble=f"{config.broker.rest_url} does not answer ({type(err).__name__})")
    answer = Answer(skew=_skew(reply.headers.get("date", ""), sent, heard))
    if reply.status_code != 200:
        trouble = f"the broker answered {reply.status_code} to {path}"
        return replace(answer, trouble=trouble, refused=reply.status_code == 403)
    try:
        return replace(answer, data=json.loads(reply.content, parse_float=Decimal)["data"])
    except (ValueError, KeyError, TypeError):
        return replace(answer, trouble=f"the broker's answer to {path} is not Kite's")


def _in_a_free_second(config: Config, session: Session, path: str) -> tuple[float, float, httpx.Response]:
    """When it was asked and heard (machine s), and the reply: the first that is no 429, else the last."""
    again = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda asked: asked[2].status_code == httpx.codes.TOO_MANY_REQUESTS),
        wait=tenacity.wait_fixed(AFTER_429_S),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )

    def once() -> tuple[float, float, httpx.Response]:
        with sessions.connection(config.broker) as http:
            sent = time.time()
            reply = http.get(path, headers=session.authorization)
            return sent, time.time(), reply

    return again(once)


def cash_paise(margins: Answer) -> int | None:
    """`net` of `/user/margins/equity`: what may be used for new positions (facts as of 2026-07-14)."""
    try:
        return int(Decimal(margins.data["net"]) * 100)
    except (TypeError, KeyError, ArithmeticError, ValueError):
        return None


def open_intraday(positions: Answer) -> int | None:
    """How many MIS positions are open in `/portfolio/positions`; None when that could not be read."""
    try:
        rows = positions.data["net"]
        return sum(1 for row in rows if row["product"] == "MIS" and row["quantity"] != 0)
    except (TypeError, KeyError):
        return None


def _skew(date_header: str, sent: float, heard: float) -> Skew:
    try:
        theirs = parsedate_to_datetime(date_header).timestamp() + 0.5  # the header is cut to a second
    except ValueError:
        return Skew()
    return Skew(broker_s=(sent + heard) / 2 - theirs, round_trip_s=heard - sent)


def ntp_skew(server: str) -> float | None:
    """Our clock minus the NTP server's, seconds; None when it does not answer."""
    import ntplib

    if not server:
        return None
    host, _, port = server.partition(":")
    try:
        answer = ntplib.NTPClient().request(host, version=3, port=port or "ntp", timeout=NTP_TIMEOUT_S)
    except (ntplib.NTPException, OSError):
        return None
    return -float(answer.offset)


def egress(config: Config) -> Egress:
    """Where our orders come from, as well as this machine can tell. They leave over IPv4 alone."""
    ours = config.broker.local_ipv4
    echoed = _echo(config.readiness.egress_echo_url, ours)
    if echoed:
        return Egress(echoed, "echo")
    local = _local_address(urlsplit(config.broker.rest_url).hostname or "", ours)
    return Egress(local, "route") if local else Egress()


def _echo(url: str, ours: str) -> str:
    if not url:
        return ""
    try:
        over_ipv4 = httpx.HTTPTransport(local_address=ours)
        with httpx.Client(transport=over_ipv4, timeout=ECHO_TIMEOUT_S) as http:
            told = http.get(url).raise_for_status().text.strip()
        return str(ip_address(told)) if ip_address(told).version == 4 else ""
    except (httpx.HTTPError, ValueError):
        return ""


def _local_address(host: str, ours: str) -> str:
    """Our address on the route to `host` from `ours`; "" without a route. Nothing is sent."""
    try:
        found = socket.getaddrinfo(host, 443, socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((ours, 0))
            probe.connect(found[0][4])
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def day_list(config: Config, home: Path, day: date) -> DayList:
    """The kept instruments of `day`. Raises `InstrumentsError` when there are none or they are damaged."""
    snapshots = Snapshots.of(home, config.broker)
    listed = snapshots.read(day)
    found = compare(snapshots, day, listed)
    cash = found.diffs.get(listings.CASH, listings.Diff())
    return DayList(
        rows=listed.num_rows,
        tradable=found.tradable,
        closing_auction=found.closing_auction,
        changes=len(cash.new) + len(cash.gone) + len(cash.changes),
        before=found.before,
    )


def some_tokens(config: Config, home: Path, day: date) -> list[int]:
    """A few instruments to listen to: with a closing auction, as those are the most traded, else any."""
    listed = Snapshots.of(home, config.broker).read(day)
    chosen = sorted(listings.closing_auction_tokens(listed)) or listed["instrument_token"].to_pylist()
    return chosen[:FEED_TOKENS]


async def listen(config: Config, session: Session, tokens: Sequence[int]) -> Heard:
    """Connect to the ticker and wait for a first frame, at most `readiness.feed_within_s`."""
    loop = asyncio.get_running_loop()
    heard, first, began = Heard(False, 0, 0.0), asyncio.Event(), loop.time()

    async def put(frame: Frame) -> None:
        nonlocal heard
        if isinstance(frame, Up):
            heard = replace(heard, connected=True)
        elif isinstance(frame, Down):
            heard = replace(heard, trouble=frame.reason)
            if frame.reason.startswith("login needed"):
                first.set()
        else:
            heard = replace(heard, frames=heard.frames + 1)
            first.set()

    broker, within = config.broker, config.readiness.feed_within_s
    ticker = Ticker(broker.ticker_url, broker.api_key, lambda: session.access_token, tokens=tokens)
    listening = asyncio.create_task(ticker.run(put))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(first.wait(), within)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return replace(heard, waited_s=loop.time() - began)


def free_bytes(home: Path) -> tuple[int, Path]:
    """Free space where `home` is or will be, and the folder that exists there."""
    place = next(p for p in (home, *home.parents) if p.exists())
    return shutil.disk_usage(place).free, place
