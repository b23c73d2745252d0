"""The morning's checks (meant for 08:45 IST): may KitePilot trade today, and if not, what to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from broker_adapter.kite import session as sessions
from broker_adapter.kite.session import Session, SessionError, is_loopback
from infra.audit.seal_key import open_key
from infra.key_urls import SecretError
from kitepilot.cli import processes as table
from kitepilot.cli.instruments import today
from kitepilot.cli.readiness import books, judgement, measure
from kitepilot.cli.readiness.judgement import GIB, Check, worst
from kitepilot.cli.supervise import Supervisor
from kitepilot.config import Config, ConfigError
from kitepilot.market import calendar
from kitepilot.market.calendar import CalendarError
from kitepilot.market.instruments import InstrumentsError

__all__ = ["Check", "checks", "require", "show", "worst"]


def checks(config: Config, home: Path, *, besides: str = "") -> list[Check]:
    """All checks, in the order a person would look at them; about as long as the slowest takes.

    `besides`: a run that is not over yet, so not the last one; without it the one that runs now, if any.
    """
    morning = Morning(config, home, today(config), besides or _running(home))
    questions: list[Callable[[], list[Check]]] = [
        morning.account,
        morning.egress,
        morning.instruments,
        morning.session,
        morning.feed,
        morning.disk,
        morning.stores,
        morning.audit,
    ]
    with ThreadPoolExecutor(len(questions), "readiness") as pool:
        return [check for found in pool.map(lambda ask: ask(), questions) for check in found]


def require(config: Config, home: Path, *, accept_amber: bool, besides: str = "") -> list[Check]:
    """Red means no trading.

    Raises:
        ConfigError: a check is red, or amber and nobody has accepted that; names the first of them.
    """
    found = checks(config, home, besides=besides)
    bad = [check for check in found if check.colour == "red"]
    if bad:
        raise ConfigError(f"no trading: {bad[0].name} is red: {bad[0].found}; {bad[0].remedy}{_more(bad)}")
    doubtful = [check for check in found if check.colour == "amber"]
    if doubtful and not accept_amber:
        first = doubtful[0]
        raise ConfigError(
            f"{first.name} is amber: {first.found}; {first.remedy}, or accept it with --accept-amber"
            f"{_more(doubtful)}"
        )
    return found


def show(console: Console, found: list[Check]) -> None:
    """The table of green and red, with what to do."""
    lines = Table("check", "", "what was found", "what to do")
    for check in found:
        lines.add_row(check.name, f"[{_STYLE[check.colour]}]{check.colour}[/]", check.found, check.remedy)
    console.print(lines)
    colour = worst(found)
    console.print(f"[{_STYLE[colour]}]{_WORDS[colour]}[/]", highlight=False)


_STYLE = {"green": "green", "amber": "yellow", "red": "red"}
_WORDS = {
    "green": "ready to trade",
    "amber": "ready, if a person accepts what is amber",
    "red": "not ready: no trading",
}


def _running(home: Path) -> str:
    supervisor = Supervisor(home)
    folder = supervisor.run_folder() if supervisor.alive() else None
    return folder.name if folder else ""


def _more(of: list[Check]) -> str:
    return f" (and {len(of) - 1} more: `kitepilot readiness`)" if len(of) > 1 else ""


@dataclass(frozen=True)
class Morning:
    """One look at everything: each method measures, and leaves the judgement to `judgement`."""

    config: Config
    home: Path
    day: date
    besides: str

    def _session(self) -> Session:
        return sessions.held(self.home, self.config, time.time_ns())

    def account(self) -> list[Check]:
        """Login, clock, margin and the last run: what only the broker's answers can tell."""
        limit_s = self.config.readiness.clock_skew_ms / 1000
        ntp = measure.ntp_skew(self.config.readiness.ntp_server)
        floor = self.config.readiness.min_cash_rupees * 100
        last = books.last_run(self.config, self.home, self.besides)
        try:
            session = self._session()
        except SessionError as err:
            return [
                judgement.judge_login(None, 0, str(err)),
                judgement.judge_clock(judgement.Skew(ntp), limit_s),
                judgement.judge_margins(None, floor, "not asked without a login"),
                judgement.judge_last_run(last, self.config.mode, None),
            ]
        profile = measure.ask(self.config, session, "/user/profile")
        margins = measure.ask(self.config, session, "/user/margins/equity")
        positions = measure.ask(self.config, session, "/portfolio/positions")
        cash = measure.cash_paise(margins)
        return [
            self._login(session, profile),
            judgement.judge_clock(replace(profile.skew, ntp_s=ntp), limit_s),
            judgement.judge_margins(cash, floor, margins.trouble or "the broker tells no margin"),
            judgement.judge_last_run(last, self.config.mode, measure.open_intraday(positions)),
        ]

    def _login(self, session: Session, profile: measure.Answer) -> Check:
        if profile.data is None and not profile.refused:
            return judgement.judge_broker_unreachable(profile.trouble)
        user = str(profile.data.get("user_id")) if isinstance(profile.data, dict) else None
        return judgement.judge_login(user, session.ends_at, "the broker refuses the session")

    def egress(self) -> list[Check]:
        if is_loopback(self.config.broker.rest_url):
            return [Check("egress address", "green", "the broker is on this machine")]
        return [judgement.judge_egress(self.config.broker.egress_ips, measure.egress(self.config))]

    def instruments(self) -> list[Check]:
        live = self.config.mode == "live"
        try:
            kept = measure.day_list(self.config, self.home, self.day)
        except InstrumentsError as err:
            return [judgement.judge_instruments(self.day, None, str(err), has_auction=live)]
        return [judgement.judge_instruments(self.day, kept, "", has_auction=live)]

    def session(self) -> list[Check]:
        now = time.time_ns() if self.config.mode == "live" else None
        try:
            return [judgement.judge_session(self.day, calendar.session(self.day), now)]
        except CalendarError as err:
            return [judgement.judge_session(self.day, err, now)]

    def feed(self) -> list[Check]:
        try:
            session = self._session()
        except SessionError as err:
            return [judgement.judge_feed(judgement.Heard(False, 0, 0.0, f"login needed: {err}"))]
        try:
            tokens = measure.some_tokens(self.config, self.home, self.day)
        except InstrumentsError:
            tokens = []  # heartbeats come without any subscription
        return [judgement.judge_feed(asyncio.run(measure.listen(self.config, session, tokens)))]

    def disk(self) -> list[Check]:
        free, place = measure.free_bytes(self.home)
        return [judgement.judge_disk(free, self.config.readiness.min_free_gib * GIB, str(place))]

    def audit(self) -> list[Check]:
        if self.config.mode != "live":
            return []  # paper makes its key at the first seal
        try:
            return [judgement.judge_seal_key(open_key(self.config, self.home).public.hex(), "")]
        except SecretError as err:
            return [judgement.judge_seal_key("", str(err))]

    def stores(self) -> list[Check]:
        here = table.stores(self.config)
        judge = judgement.judge_store
        return [
            judge("PostgreSQL", table.POSTGRES in here, books.postgres_trouble(self.config, self.home)),
            judge("ClickHouse", table.CLICKHOUSE in here, books.clickhouse_trouble(self.config, self.home)),
            judge("event log", table.KAFKA in here, books.log_trouble(self.config)),
        ]
