"""The system in the background: up, down, status, logs."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from infra.fence import Fence
from kitepilot import config as configuration
from kitepilot.cli import after_close, live, opening, own_api, retrained
from kitepilot.cli import processes as table
from kitepilot.cli.feed import feed_state
from kitepilot.cli.preflight import findings
from kitepilot.cli.supervise import SupervisionError, Supervisor
from kitepilot.config import Config, ConfigError
from kitepilot.market import calendar
from kitepilot.orders import charges
from kitepilot.ports import EventLog
from kitepilot.risk import states
from kitepilot.run import Run


def require_clean(config: Config, home: Path) -> None:
    """Refuse to start where a check fails.

    Raises:
        ConfigError: the first failing check with its remedy.
    """
    require_market(config)
    for finding in findings(config, home):
        if not finding.ok:
            raise ConfigError(f"{finding.check}: {finding.detail}; {finding.remedy}")


def require_market(config: Config) -> None:
    """Refuse a day that cannot be traded or a recording that cannot be played, before anything starts.

    Raises:
        CalendarError: the date is closed or unknown. ConfigError: no charge rates, or an unusable feed.
    """
    from broker_adapter.sandbox.feed import FeedError, open_feed

    day = date.fromisoformat(config.session.date)
    calendar.session(day)
    try:
        charges.rates_on(day)
        if config.mode == "paper":
            open_feed(config)
    except (charges.ChargesError, FeedError) as err:
        raise ConfigError(str(err)) from err


def refuse_second(supervisor: Supervisor) -> None:
    """One system per home; a daily pack that is being made there gives way.

    Raises:
        SupervisionError: one is running, or the pack does not give way; names it.
    """
    if supervisor.alive():
        folder = supervisor.run_folder()
        raise SupervisionError(
            f"{folder.name if folder else 'a run'} is already running in {supervisor.home}; "
            "`kitepilot status` shows it, `kitepilot down` stops it"
        )
    after_close.give_way(supervisor.home)


def bring_up(config: Config, home: Path, came_from: Path | None = None) -> Run:
    """Start everything and open the session; returns once trading. Stops everything again on failure.

    Live wants `live.dated` and `live.require_ready` before.
    """
    supervisor = Supervisor(home)
    refuse_second(supervisor)
    require_clean(config, home)
    if config.mode == "paper":
        opening.ensure_api_secret()
    run = opening.create_run(config, home, came_from)
    venue = (table.SANDBOX,) if config.mode == "paper" else ()
    supervisor.start(run, (*table.stores(config), *venue, *table.TRADING))
    try:
        log = opening.start_stores(run, supervisor)
        if config.mode == "paper":
            _open_paper(run, supervisor, log)
        else:
            opening.announce(run, log, opening.plan(run, live.enter(run)))
            opening.start_trading(run, supervisor)
        log.close()
    except BaseException:
        supervisor.shutdown()
        raise
    return run


def _open_paper(run: Run, supervisor: Supervisor, log: EventLog) -> None:
    exchange = opening.open_exchange(run, supervisor)
    opening.announce(run, log, opening.plan(run, opening.auction_stocks(exchange)))
    opening.start_trading(run, supervisor)
    opening.await_subscribed(run, exchange)
    exchange.post("/admin/start")
    exchange.close()


@dataclass(frozen=True)
class TakenDown:
    """What `take_down` found, and how a live day ended (None: paper, or a run that never opened)."""

    was_running: bool
    result: dict[str, Any] | None = None


def take_down(home: Path, *, leave_positions: bool = False) -> TakenDown:
    """Stop the system of this home. A live run is flattened first, and its day concluded.

    Raises:
        SupervisionError: live, not seen flat, and nobody said `leave_positions`; it runs on, halted. Or all
            is stopped, and a live day could not be concluded.
    """
    supervisor = Supervisor(home)
    if not supervisor.alive():
        return TakenDown(False)
    run = _opened(supervisor.run_folder())
    from kitepilot.cli.closing import close_day, close_paper

    if run is not None and run.config.mode == "live":
        return TakenDown(True, close_day(run, supervisor, leave_positions=leave_positions))
    if run is None:
        supervisor.shutdown()
    else:
        close_paper(run, supervisor)
    return TakenDown(True)


def _opened(folder: Path | None) -> Run | None:
    """The run in `folder`, if it was announced: there is something to conclude, live to flatten."""
    if folder is None or not (folder / "parameters.json").exists():
        return None
    return Run(folder.name, folder, configuration.load(folder / "config.yaml"))


def describe(home: Path) -> dict[str, Any]:
    """Processes, account and feed for a person or a script."""
    supervisor = Supervisor(home)
    if not supervisor.alive():
        none: dict[str, Any] = {"processes": [], "account": {}, "feed": {}, "fence": "", "audit": {}}
        told = {"retraining": retrained.last(home), "daily_pack": after_close.last_pack(home)}
        return {"running": False, **none, **told}
    folder = supervisor.run_folder()
    states = [asdict(s) | {"does": table.by_name(s.name).does} for s in supervisor.states()]
    return {
        "running": True,
        "run_id": folder.name if folder else "",
        "processes": states,
        "account": _account(folder),
        "fence": _fence(folder),
        "feed": feed_state(folder, time.time_ns()) if folder else {},
        "audit": _audit(folder),
        "retraining": retrained.last(home),
        "daily_pack": after_close.last_pack(home),
    }


def _fence(folder: Path | None) -> str:
    """Why the watchdog alone trades; "" while it does not."""
    raised = Fence(folder).raised() if folder else None
    return f"raised by the {raised.by}: {raised.reason}; `kitepilot resume` lowers it" if raised else ""


def _audit(folder: Path | None) -> dict[str, Any]:
    """How far the audit is, once the run has begun on the topics."""
    if folder is None or not (folder / "start_offsets.json").exists():
        return {}
    from infra.eventlog import open_log
    from kitepilot.cli.sealing import audit_state

    run = Run(folder.name, folder, configuration.load(folder / "config.yaml"))
    log = open_log(run)
    try:
        return audit_state(run, log)
    finally:
        log.close()


def _account(folder: Path | None) -> dict[str, Any]:
    if folder is None:
        return {}
    config = configuration.load(folder / "config.yaml")
    try:
        return own_api.status(folder.parent.parent, config)
    except (httpx.HTTPError, ValueError):
        return {"api": "does not answer yet"}


STATE_KEYS = ("trading_state", "trading_state_reason", "trading_state_rule")


def state_lines(account: dict[str, Any]) -> list[str]:
    """The trading state with the rule that lowered it, why, and what to do about it."""
    if "trading_state" not in account:
        return []
    lines = [f"trading: {account['trading_state']} ({account['trading_state_reason']})"]
    if account["trading_state"] != "active":
        rule = account.get("trading_state_rule", "")
        lines.append(f"  what to do: {states.to_do(rule) or '`kitepilot resume` when you are ready'}")
    return lines


BROKER_KEYS = ("foreign_orders", "reconciliation", "alarms")


def broker_lines(account: dict[str, Any]) -> list[str]:
    """What the gateway found at the broker, a line each: the last reconciliation, foreign orders, alarms."""
    lines = []
    if last := account.get("reconciliation"):
        lines.append(
            f"broker reconciled ({last['occasion']}): {last['verdict']}, {last['orders']} orders, "
            f"{last['trades']} trades, {last['positions']} positions"
        )
        lines += [
            f"  {each['rule']} {each['subject']}: ours {each['ours']}, broker {each['theirs']}"
            for each in last["differences"]
        ]
    for order in account.get("foreign_orders", []):
        lines.append(
            f"not ours: {order['side']} {order['filled_quantity']} of {order['quantity']} "
            f"{order['tradingsymbol']} {order['product']}, {order['venue_status']}, order {order['order_id']}"
        )
    for alarm in account.get("alarms", []):
        halts = " (halts)" if alarm["halts"] else ""
        lines.append(f"alarm{halts}: {alarm['kind']} {alarm['subject']}: {alarm['detail']}")
    return lines


MODEL_KEYS = ("models", "drifts")
LINE_KEYS = (*STATE_KEYS, *BROKER_KEYS, *MODEL_KEYS)  # what has lines of its own


def model_lines(account: dict[str, Any]) -> list[str]:
    """Which scores are not to be followed, and what has drifted, a line each."""
    judged = account.get("models", {})
    lines = [f"model {name}: {state}" for name, state in judged.items() if state != "fresh"]
    for found in account.get("drifts", []):
        what = f"feature {found['feature']} of {found['model']}" if found["feature"] else found["model"]
        lines.append(
            f"drift ({found['act']}): {what}, {found['detector']} {found['observed']:.3f}, "
            f"limit {found['limit']:.3f}"
        )
    return lines


def last_lines(home: Path, process: str, lines: int) -> Iterator[tuple[str, str]]:
    """(process, its last lines) of the newest run.

    Raises:
        ConfigError: no run yet, or no such process.
    """
    folder = Supervisor(home).run_folder()
    if folder is None or not folder.exists():
        raise ConfigError(f"no run in {home} yet: `kitepilot paper` makes one")
    names = [process] if process else [p.name for p in table.ALL]
    for name in names:
        path = folder / "logs" / f"{name}.log"
        if path.exists():
            with path.open(errors="replace") as text:
                yield name, "".join(deque(text, maxlen=lines)).rstrip()
        elif process:
            known = ", ".join(sorted(p.stem for p in (folder / "logs").glob("*.log")))
            raise ConfigError(f"no log of {process!r}; there are: {known}")
