"""A home of its own, ports of its own, and the real `kitepilot paper` command in it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psutil
from loopback_ports import free_ports
from outside import Heard, Outside
from planted import Visit

from infra.eventlog.kafka_log import KafkaLog
from infra.eventlog.sqlite_log import SqliteLog
from infra.kafka.jars import provide_jars
from infra.kafka.server import KafkaServer, loopback_port
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot.cli.supervise import SupervisionError, Supervisor
from kitepilot.orders.permission import permitted
from kitepilot.ports import EventLog
from kitepilot.risk.admission import admit
from kitepilot.run import HOME_VARIABLE, RUN_FOLDER_VARIABLE, Run
from kitepilot.topics import INTENTS, SESSION, TICKS, TOPICS

SESSION_DATE = "2026-11-20"
OPEN_NS = 1_795_146_300_000_000_000  # 2026-11-20 09:15:00 IST
HOUR_NS = 3_600_000_000_000
COVERAGE_VARIABLE = "COVERAGE_PROCESS_CONFIG"  # coverage's own, read by every child it shall trace
DAY_WITHIN_S = 1800.0  # a bound on a busy machine


@dataclass
class Day:
    """A `kitepilot paper --json` that has ended."""

    code: int
    out: str
    err: str
    ends: dict[str, int] = field(default_factory=dict)  # end offset by topic when it had ended
    heard: Heard = field(default_factory=Heard)  # by whoever listened outside
    visit: Visit = field(default_factory=Visit)  # of whoever came in meanwhile

    @property
    def result(self) -> dict[str, Any]:
        assert self.out.strip(), f"exit {self.code} without a result:\n{self.err[-3000:]}"
        return dict(json.loads(self.out))

    @property
    def error_lines(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("error:")]


@dataclass
class House:
    """One KITEPILOT_HOME with a configuration that nobody else's stack can collide with.

    `traced`: its processes count for the coverage, at a fifth of their speed; one day of the suite is enough.
    `outside` is told alerts, traces and heartbeats.
    """

    home: Path
    instruments: int = 5
    changes: Mapping[str, object] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    traced: bool = False
    ports: list[int] = field(default_factory=lambda: free_ports(5))
    outside: Outside | None = None

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        rest, ticker, admin, clickhouse, api = self.ports
        self.admin_url = f"http://127.0.0.1:{admin}"
        self.config = configuration.override(
            configuration.Config(),
            **{
                "session.date": SESSION_DATE,
                "session.speed": "max",
                "market.instruments": self.instruments,
                "market.updates_per_s": 1.0,
                "broker.rest_url": f"http://127.0.0.1:{rest}",
                "broker.ticker_url": f"ws://127.0.0.1:{ticker}",
                "broker.admin_url": self.admin_url,
                "storage.clickhouse_url": f"http://127.0.0.1:{clickhouse}",
                "api.port": api,
                "watchdog.silence_s": 120.0,  # a restart takes long on a busy machine
                "daily_pack.enabled": False,  # tests of the pack make it when they want it
                **(self.outside.changes if self.outside else {}),
                **self.changes,
            },
        )
        self.config_path = self.home / "kitepilot.yaml"
        self.config_path.write_text(configuration.dump(self.config))

    def status(self) -> dict[str, Any]:
        """What the API says of the account. Raises httpx.HTTPError: it does not answer."""
        headers = {"authorization": f"Bearer {(self.home / 'api.token').read_text()}"}
        url = f"http://127.0.0.1:{self.config.api.port}/status"
        return dict(httpx.get(url, headers=headers, timeout=30, trust_env=False).raise_for_status().json())

    def words(self, *more: str) -> list[str]:
        return [sys.executable, "-m", "kitepilot", *more]

    def _environment(self) -> dict[str, str]:
        hidden = {RUN_FOLDER_VARIABLE} if self.traced else {RUN_FOLDER_VARIABLE, COVERAGE_VARIABLE}
        plain = {k: v for k, v in os.environ.items() if k not in hidden}
        told = self.outside.environment if self.outside else {}
        return {**plain, HOME_VARIABLE: str(self.home), "COLUMNS": "200", **told, **self.environment}

    def call(self, *words: str, within_s: float = 60.0, given: str = "") -> Day:
        """Any `kitepilot` command, to its end; `given` is what is typed."""
        done = subprocess.run(
            self.words(*words),
            env=self._environment(),
            capture_output=True,
            text=True,
            input=given,
            timeout=within_s,
            check=False,
        )
        return Day(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def paper(self, *more: str) -> Iterator[PaperDay]:
        """The command while it runs. Whatever happens in the block, nothing of it is left behind."""
        process = subprocess.Popen(
            self.words("paper", "--config", str(self.config_path), "--json", *more),
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        day = PaperDay(self, process)
        try:
            yield day
        finally:
            day.end()

    def trade(self, *more: str, within_s: float = DAY_WITHIN_S) -> Day:
        """A whole day, undisturbed."""
        with self.paper(*more) as paper:
            return self.ended(paper, within_s)

    def ended(self, paper: PaperDay, within_s: float = DAY_WITHIN_S) -> Day:
        """The day when it has ended, and where the log stood then."""
        day = paper.wait(within_s)
        if day.out.strip():
            log = self.log()
            day.ends = {topic.name: log.end_offset(topic.name) for topic in TOPICS}
            log.close()
        return day

    def replay(self, run_id: str, *more: str) -> Day:
        """`kitepilot replay --verify` of a run that has ended."""
        words = ("replay", SESSION_DATE, "--run", run_id, "--verify", *more)
        return self.call(*words, within_s=DAY_WITHIN_S)

    def run(self, run_id: str) -> Run:
        folder = self.home / "runs" / run_id
        return Run(run_id, folder, configuration.load(folder / "config.yaml"))

    def log(self) -> EventLog:
        """The log of this house; one on Kafka answers while a day runs, or within `log_at_rest`."""
        if self.config.log.kind == "kafka":
            return KafkaLog(self.config.log.bootstrap_servers)
        return SqliteLog(self.home / "log")

    @contextmanager
    def log_at_rest(self) -> Iterator[EventLog]:
        """The log after a day, when nothing of the house runs any more."""
        with ExitStack() as stack:
            if self.config.log.kind == "kafka":
                port = loopback_port(self.config.log.bootstrap_servers)
                node = KafkaServer(self.home / "kafka", port, provide_jars(self.home / "kafka" / "libs"))
                node.start()
                stack.callback(node.stop)
            log = self.log()
            stack.callback(log.close)
            yield log

    def leftovers(self) -> list[str]:
        """Processes, listening ports and sockets that outlived a command."""
        found = [f"process {p.pid} {' '.join(p.cmdline())[:90]}" for p in self.processes()]
        for port in self.ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    found.append(f"port {port}")
        found += [f"socket {path}" for path in self.home.rglob("*") if path.is_socket()]
        return found

    def processes(self) -> list[psutil.Process]:
        """Everything that was started for this home, by its environment."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                ours = process.environ().get(HOME_VARIABLE) == str(self.home)
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


class PaperDay:
    """A running `kitepilot paper`."""

    def __init__(self, house: House, process: subprocess.Popen[str]) -> None:
        self.house = house
        self.process = process

    @property
    def exchange_state(self) -> dict[str, Any]:
        """What the exchange says of itself; empty while it does not answer."""
        try:
            reply = httpx.get(f"{self.house.admin_url}/admin/state", timeout=5, trust_env=False)
            return dict(reply.raise_for_status().json())
        except httpx.HTTPError:
            return {}

    @property
    def session_time(self) -> int:
        """The exchange's session time (ns UTC); 0 until it answers."""
        state = self.exchange_state
        return int(state["session_time_ns"]) if state.get("state") == "running" else 0

    def await_time(self, session_ns: int, within_s: float = DAY_WITHIN_S) -> None:
        """Wait until the session has reached this time."""
        self.await_true(f"session time {session_ns}", lambda: self.session_time >= session_ns, within_s)

    def await_intent(self, until: int, within_s: float = DAY_WITHIN_S) -> None:
        """Wait for the next order to be decided, or for this session time if none comes before."""
        log = self.house.log()
        before = log.end_offset(INTENTS.name)
        looks = itertools.count(1)

        def come() -> bool:
            late = next(looks) % 200 == 0 and self.session_time >= until
            return log.end_offset(INTENTS.name) > before or late

        self.await_true("an intent", come, within_s, pause_s=0.001)
        log.close()

    def await_fills(self, count: int, within_s: float = DAY_WITHIN_S) -> None:
        """Wait until so many more trades were told to the desk; never met where nobody trades."""
        log = self.house.log()
        reader = log.reader({(SESSION.name, 0): log.end_offset(SESSION.name)})
        told = 0

        def come() -> bool:
            nonlocal told
            told += sum(isinstance(e.decode(record.value), e.Filled) for record in reader.poll(1000))
            assert told >= count or self.exchange_state.get("state") != "closed", (
                f"{told} trades by the close"
            )
            return told >= count

        self.await_true(f"{count} trades", come, within_s, pause_s=0.05)
        reader.close()
        log.close()

    def await_true(
        self, what: str, condition: Callable[[], bool], within_s: float = 60.0, pause_s: float = 0.01
    ) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            if self.process.poll() is not None:
                out, err = self.process.communicate()
                raise AssertionError(f"the day ended before {what}:\n{out[-1500:]}\n{err[-3000:]}")
            assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
            time.sleep(pause_s)

    def current(self) -> Run:
        """The run being traded."""
        folder = Supervisor(self.house.home).run_folder()
        assert folder is not None
        return self.house.run(folder.name)

    def pid_of(self, name: str) -> int:
        """Process id of a supervised process that runs; waits for one that is being restarted."""
        supervisor = Supervisor(self.house.home)
        deadline = time.monotonic() + 60
        while (state := supervisor.state(name)).state not in ("RUNNING", "STARTING"):
            if time.monotonic() > deadline:
                raise SupervisionError(f"{name} is {state.state}")
            time.sleep(0.02)
        return state.pid

    def kill(self, name: str) -> int:
        """kill -9, as the kernel's out-of-memory killer would; returns the pid it had."""
        pid = self.pid_of(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def set_speed(self, speed: float | str) -> None:
        """Session seconds per second from now on, or "max"."""
        url = f"{self.house.admin_url}/admin/speed"
        httpx.post(url, json={"speed": speed}, timeout=5, trust_env=False).raise_for_status()

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait(self, within_s: float = DAY_WITHIN_S) -> Day:
        out, err = self.process.communicate(timeout=within_s)
        return Day(self.process.returncode, out, err)

    def last_words(self, within_s: float = 120.0) -> Day:
        """What it said, if it comes to an end by itself; killed otherwise."""
        with suppress(subprocess.TimeoutExpired, ValueError):
            return self.wait(within_s)
        self.process.kill()
        return Day(-9, "", "error: it did not end by itself")

    def end(self) -> None:
        """Nothing of this day survives the test."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        left = self.house.processes()
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=20)


# --- what a finished run left in the log -------------------------------------------------------------------


def values(log: EventLog, topic: str, start: int, end: int | None = None) -> Iterator[bytes]:
    """Every value of a topic from an offset on, up to `end`."""
    reader = log.reader({(topic, 0): start})
    end = log.end_offset(topic) if end is None else end
    try:
        while reader.positions()[(topic, 0)] < end:
            yield from (r.value for r in reader.poll(5000, timeout_s=5.0) if r.offset < end)
    finally:
        reader.close()


def market_bytes(house: House, day: Day) -> bytes:
    """The day's tick records without the machine's receive time."""
    log = house.log()
    start = house.run(day.result["run_id"]).start_offsets()[TICKS.name]
    raw = b"".join(values(log, TICKS.name, start, day.ends[TICKS.name]))
    log.close()
    step = 192
    return b"".join(raw[at + 8 : at + step] for at in range(0, len(raw), step))


def flaws(log: EventLog, run: Run) -> list[str]:
    """Lost or doubled messages of a run: gaps in a producer's numbers, one number with two stories, one
    intent with two orders at the broker, one trade told twice under two numbers."""
    told: dict[tuple[str, str], dict[int, bytes]] = defaultdict(dict)
    orders: dict[str, set[str]] = defaultdict(set)
    trades: dict[tuple[str, str], set[int]] = defaultdict(set)
    found: list[str] = []
    ours = partial(permitted, run_id=run.run_id, config_hash=run.config_hash)
    read: dict[str, Callable[[bytes], e.AnyEvent]] = {SESSION.name: admit, INTENTS.name: ours}
    for topic in TOPICS:
        if topic is TICKS:
            continue
        for value in values(log, topic.name, run.start_offsets()[topic.name]):
            try:
                event = read.get(topic.name, e.decode)(value)
            except ValueError:
                continue  # refused by the topic's readers
            if told[(topic.name, event.source)].setdefault(event.seq, e.canonical(event)) != e.canonical(
                event
            ):
                found.append(f"{topic.name}: {event.source} {event.seq} says two things")
            if isinstance(event, e.OrderJournaled) and event.order_id:
                orders[event.intent_id].add(event.order_id)
            if isinstance(event, e.Filled):
                trades[(event.order_id, event.trade_id)].add(event.seq)
    for (topic_name, source), numbers in told.items():
        said = sorted(numbers)
        gaps = [before + 1 for before, after in pairwise(said) if after != before + 1]
        if gaps:
            found.append(f"{topic_name}: {source} lacks {gaps[:5]} of {len(said)}")
    found += [f"intent {intent} has orders {sorted(ids)}" for intent, ids in orders.items() if len(ids) > 1]
    found += [f"trade {trade} was told as {sorted(seqs)}" for trade, seqs in trades.items() if len(seqs) > 1]
    return found
