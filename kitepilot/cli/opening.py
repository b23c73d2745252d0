"""From a configuration to a running system: the run's folder, stores, exchange, parameters, processes."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import msgspec
from sqlalchemy import create_engine, text

from infra.audit.acts import record_act
from kitepilot import __version__, configured_from
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot.audit.acts import CONFIGURED, LOGGED_IN
from kitepilot.cli import instrument_facts, model_choice, risk_book
from kitepilot.cli import processes as table
from kitepilot.cli.carrying import resolved
from kitepilot.cli.code import write_code
from kitepilot.cli.own_strategies import with_sources
from kitepilot.cli.supervise import SupervisionError, Supervisor
from kitepilot.config import Config, ConfigError
from kitepilot.market import calendar
from kitepilot.market.instruments import parse_instruments, with_closing_auction
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import TICKS, TOPICS

API_SECRET_VARIABLE = "KITEPILOT_API_SECRET"  # noqa: S105 the name of the variable, not a secret
INDICES = "INDICES"  # segment: watched, never traded
KEPT_RUNS = 3
READY_WITHIN_S = 300.0  # on a machine that is busy with something else; one that fails is told at once
RESTARTED_WITHIN_S = 180.0  # a large market plays its day again for longer than a minute
SOURCE = "cli"


def create_run(config: Config, home: Path, came_from: Path | None = None) -> Run:
    """A new run with its own folder and configuration. Ids count up per session date.

    `came_from`: the file that was chosen; what it says is noted for a later look at it.

    Raises:
        ConfigError: the folder cannot be written (says why), or a strategy's file cannot be used.
    """
    config = with_sources(config, home)
    day = config.session.date.replace("-", "")
    folder = home / "runs"
    try:
        config = resolved(config, home)
        folder.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(p.name[-4:]) for p in folder.glob(f"{config.mode}-{day}-*")), default=0)
        run = Run(f"{config.mode}-{day}-{number:04d}", folder / f"{config.mode}-{day}-{number:04d}", config)
        run.folder.mkdir()
        written = run.folder / "config.yaml"
        written.touch(mode=0o600)  # an address in it may hold a password
        written.write_text(configuration.dump(config))
        if came_from is not None:
            configured_from.write(run.folder, came_from)
        write_code(run.folder)
        _record_configuration(run)
    except OSError as err:
        raise ConfigError(f"cannot create the run's folder under {folder}: {err.strerror}") from err
    return run


def _record_configuration(run: Run) -> None:
    """Every run's whole configuration is in the audit, whatever becomes of the run."""
    record_act(
        run.home,
        CONFIGURED,
        subject=run.config_hash,
        run_id=run.run_id,
        mode=run.config.mode,
        code_version=__version__,
        config=configuration.canonical(run.config).decode(),
    )


def forget_old_runs(home: Path) -> None:
    """Keep the folders of the newest runs; results stay in PostgreSQL and ClickHouse."""
    folders = sorted((home / "runs").glob("*-*-*"), key=lambda p: p.stat().st_mtime)
    for folder in folders[:-KEPT_RUNS]:
        shutil.rmtree(folder, ignore_errors=True)


def trim_ticks(log: EventLog, home: Path) -> None:
    """Forget ticks older than the oldest run whose folder is kept (whole segments only)."""
    started = [p.stat().st_mtime for p in (home / "runs").glob("*-*-*/start_offsets.json")]
    if len(started) >= KEPT_RUNS:
        log.trim(TICKS.name, int(min(started) * 1e9))


def start_stores(run: Run, supervisor: Supervisor) -> EventLog:
    """Start the embedded databases and log that this configuration needs, then `prepare_stores`."""
    wanted = table.stores(run.config)
    for process in wanted:
        supervisor.launch(process)
    supervisor.await_ready(run, wanted, timeout_s=READY_WITHIN_S)
    return prepare_stores(run)


def prepare_stores(run: Run) -> EventLog:
    """Bring the schemas up to date, write the run's row, choose its models, note where its topics begin.

    Raises:
        ConfigError, ModelError: the run has no offline model it may follow.
    """
    from infra.clickhouse.migrate import migrate as migrate_clickhouse
    from infra.eventlog import open_log
    from infra.postgres.embedded import database_url
    from infra.postgres.migrate import migrate

    migrate(database_url(run))
    migrate_clickhouse(run)
    record_run(run)
    model_choice.choose(run)
    log = open_log(run)
    log.create_topics(TOPICS)
    trim_ticks(log, run.home)
    starts = {topic.name: log.end_offset(topic.name) for topic in TOPICS}
    (run.folder / "start_offsets.json").write_text(json.dumps(starts))
    return log


def record_run(run: Run) -> None:
    """The run's row in PostgreSQL: what everything else refers to."""
    from infra.postgres.embedded import database_url

    engine = create_engine(database_url(run))
    row = {
        "run_id": run.run_id,
        "mode": run.config.mode,
        "session_date": date.fromisoformat(run.config.session.date),
        "seed": run.config.market.seed,
        "feed": run.config.market.feed,
        "config_hash": run.config_hash,
        "config": configuration.shown(run.config),
        "code_version": __version__,
    }
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    with engine.begin() as db:
        db.execute(text(f"insert into runs ({names}, started_at) values ({values}, now())"), row)  # noqa: S608
    engine.dispose()


class Exchange:
    """The sandbox exchange's admin port, as the command line uses it.

    An exchange that died is started again and plays its day again up to where it was: calls wait for that,
    unless it is `gone` for good.
    """

    def __init__(self, config: Config, gone: Callable[[], bool] = lambda: True) -> None:
        self._http = httpx.Client(base_url=config.broker.admin_url, timeout=20.0)
        self._gone = gone

    def get(self, path: str) -> Any:
        """Raises `SupervisionError` when the exchange does not answer or refuses."""
        return self._ask("GET", path)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Raises `SupervisionError` when the exchange does not answer or refuses."""
        return self._ask("POST", path, json=body or {})

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        deadline = time.monotonic() + RESTARTED_WITHIN_S
        while True:
            try:
                reply = self._http.request(method, path, **request)
                reply.raise_for_status()
            except httpx.HTTPError as err:
                away = isinstance(err, httpx.TransportError)
                if away and time.monotonic() < deadline and not self._gone():
                    time.sleep(0.1)
                    continue
                raise SupervisionError(
                    f"the exchange at {self._http.base_url} does not answer {path} ({err}): "
                    "see `kitepilot logs sandbox`"
                ) from err
            return reply.json() if reply.content else None

    def close(self) -> None:
        self._http.close()


def ensure_api_secret() -> None:
    """Paper needs no account: the sandbox and its clients share a secret drawn for this start."""
    os.environ.setdefault(API_SECRET_VARIABLE, secrets.token_hex(16))


def open_exchange(run: Run, supervisor: Supervisor) -> Exchange:
    """Start the sandbox and `enter` it."""
    supervisor.launch(table.SANDBOX)
    supervisor.await_ready(run, [table.SANDBOX], timeout_s=READY_WITHIN_S)
    return enter(run, lambda: supervisor.gave_up(table.SANDBOX))


def enter(run: Run, gone: Callable[[], bool] = lambda: True) -> Exchange:
    """Log in to the sandbox through its login page, fetch the day's instruments file."""
    from broker_adapter.kite.client import KiteBroker
    from broker_adapter.kite.session import login_to_sandbox

    login_to_sandbox(run, os.environ[API_SECRET_VARIABLE])
    record_act(run.home, LOGGED_IN, run_id=run.run_id, broker=run.config.broker.rest_url)
    (run.folder / "instruments.csv").write_bytes(KiteBroker(run).instruments())
    return Exchange(run.config, gone)


def auction_stocks(exchange: Exchange) -> frozenset[int]:
    """Tokens of the sandbox's stocks with a closing auction."""
    rows = exchange.get("/admin/instruments")
    return frozenset(int(row["token"]) for row in rows if row["closing_auction"])


def plan(run: Run, auction: frozenset[int]) -> e.DecisionParameters:
    """All that this run's decisions may depend on, kept in its folder: `decision_parameters` under the risk
    profile in force, with what a live day has used up already.

    Raises:
        ConfigError: see `risk_book.applied`.
    """
    opens_at = time.time_ns() if run.config.mode == "live" else calendar.announced_at(run.config.session.date)
    instrument_facts.keep(run, instrument_facts.gather(run))
    parameters = risk_book.applied(run, decision_parameters(run, auction), opens_at)
    (run.folder / "parameters.json").write_bytes(msgspec.json.encode(parameters))
    return parameters


def decision_parameters(run: Run, auction: frozenset[int]) -> e.DecisionParameters:
    """Instruments with their dated cutoffs and the facts kept of them, and limits and sizing as configured.

    `auction`: tokens of the stocks with a closing auction.
    """
    session = calendar.session(date.fromisoformat(run.config.session.date))
    listed = parse_instruments((run.folder / "instruments.csv").read_bytes())
    watched = tuple(i for i in listed if i.tradable or i.segment == INDICES)
    leaving = leaving_times(run.config, session, {i.tradingsymbol for i in watched})
    facts = instrument_facts.kept(run)
    terms = tuple(
        facts.of(calendar.terms(session, instrument, leaving.get(instrument.tradingsymbol)))
        for instrument in with_closing_auction(watched, auction)
    )
    return e.DecisionParameters(
        session_date=run.config.session.date,
        open_at=session.open_at,
        close_at=session.close_at,
        instruments=terms,
        profile=run.config.risk.profile(),
        strategies=tuple(run.config.strategies.enabled),
    )


def leaving_times(config: Config, session: calendar.Session, symbols: set[str]) -> dict[str, int]:
    """`session.square_off` by symbol, in ns.

    Raises:
        ConfigError: a symbol that is not watched, a time after the calendar's, or one before the open.
    """
    asked = config.session.square_off
    if unknown := sorted(asked.keys() - symbols - {"*"}):
        raise ConfigError(f"session.square_off: not watched on this day: {', '.join(unknown[:10])}")
    times = {}
    for symbol in symbols:
        clock = asked.get(symbol, asked.get("*", ""))
        if not clock:
            continue
        times[symbol] = at = calendar.ist_ns(session.date, clock)
        if not session.open_at <= at <= session.square_off_at:
            latest = f"{calendar.to_ist(session.square_off_at):%H:%M}"
            raise ConfigError(
                f"session.square_off {symbol}: {clock} is not between the open and {latest}, "
                "where the calendar starts leaving: it can only be earlier"
            )
    return times


def announce(run: Run, log: EventLog, parameters: e.DecisionParameters) -> None:
    """Write `RunStarted`, the first message of the run on `session`."""
    started = e.RunStarted(
        source=SOURCE,
        seq=0,
        event_at=calendar.announced_at(parameters.session_date),
        run_id=run.run_id,
        mode=run.config.mode,
        config_hash=run.config_hash,
        parameters=parameters,
    )
    log.append("session", [e.encode(started, emitted_at=time.time_ns())])


def start_trading(run: Run, supervisor: Supervisor) -> None:
    """Start the trading processes, consumers first; returns when all work and the ticker is connected."""
    for process in table.TRADING:
        supervisor.launch(process)
    supervisor.await_ready(run, table.TRADING, timeout_s=READY_WITHIN_S)


def await_subscribed(run: Run, exchange: Exchange) -> None:
    """Wait until the sandbox counts every instrument as subscribed. Raises `ConfigError` after 30 s."""
    wanted = len(run.parameters().instruments)
    deadline = time.monotonic() + 30
    while (seen := exchange.get("/admin/state")["subscribed_tokens"]) < wanted:
        if time.monotonic() > deadline:
            raise ConfigError(
                f"the ticker subscribed {seen} of {wanted} instruments in 30 s: see `kitepilot logs`"
            )
        time.sleep(0.05)
