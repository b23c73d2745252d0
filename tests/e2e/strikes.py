"""What is done to the processes of a running paper day, and how long until all of it works again.

    Fault (kind, victims, session time) --strike--> seconds until the system works, or why it does not

A fault is named as `kill:gateway`, `stop:market+api`, `away:postgres`, `cut:orders`, `full:log`.
"""

from __future__ import annotations

import signal
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import network_cut
import psutil
import small_disk
from paper_house import DAY_WITHIN_S, HOUR_NS, House, PaperDay

from infra.kafka.server import loopback_port
from kitepilot.cli import processes
from kitepilot.cli.supervise import Supervisor

WORKS_WITHIN_S = 300.0  # a bound on a busy machine; what it took is printed
MOVED_ON_NS = 60_000_000_000  # session time that must pass after a fault: the whole chain works
ORDER_WITHIN_NS = HOUR_NS // 2  # a fault for an order strikes then at the latest
PACE_WHILE_DOWN = 60  # session seconds per second around a fault, so that a day has room for many
SERVER = "/server"  # `postgres/server`: the child that does the work, not the process that watches it


@dataclass
class Fault:
    """`at`: session time (ns UTC). `on_order_s`: strike so many seconds after the next intent from then on.
    `lasts_s`: how long it stays so; `until_fills`: until so many trades were made and told meanwhile.
    `took_s`: until all worked again, from its end; -1 if it never struck."""

    kind: str
    victims: tuple[str, ...]
    at: int
    lasts_s: float = 0.0
    until_fills: int = 0
    on_order_s: float | None = None
    took_s: float = -1.0

    @property
    def name(self) -> str:
        return f"{self.kind}:{'+'.join(self.victims)}"

    def strike(self, day: PaperDay) -> bool:
        """Do it and wait until everything works; False when the session was over before.

        Raises:
            AssertionError: the day ended, or something does not work `WORKS_WITHIN_S` later.
        """
        if not _moment_comes(day, self):
            return False
        day.set_speed(PACE_WHILE_DOWN)
        bare = [name.removesuffix(SERVER) for name in self.victims]
        new = {name: day.pid_of(name) for name in bare} if self.kind in ("kill", "away") else {}
        began = time.monotonic()
        with HARMS[self.kind](day, self):
            if self.lasts_s:
                time.sleep(self.lasts_s)  # the length of the fault is the fault
                began = time.monotonic()
            if self.until_fills:
                day.set_speed("max")
                day.await_fills(self.until_fills)
                day.set_speed(PACE_WHILE_DOWN)
        if self.kind != "kill":
            began = time.monotonic()
        day.await_true(f"all to work after {self.name}", _works_again(day, new), WORKS_WITHIN_S)
        self.took_s = time.monotonic() - began
        day.set_speed("max")
        return True


def _moment_comes(day: PaperDay, fault: Fault) -> bool:
    """Wait for the fault's moment; False when the session closed before."""
    seen: dict[str, object] = {}

    def come() -> bool:
        seen.update(day.exchange_state)
        return seen.get("state") == "closed" or day.session_time >= fault.at

    day.await_true(f"the moment of {fault.name}", come, DAY_WITHIN_S)
    if seen["state"] == "closed":
        return False
    if fault.on_order_s is not None:
        day.await_intent(until=day.session_time + ORDER_WITHIN_NS)
        time.sleep(fault.on_order_s)  # the moment itself is what is tested
    return day.session_time > 0


def _works_again(day: PaperDay, new: dict[str, int]) -> Callable[[], bool]:
    """Every process runs (those killed: another one), every server answers, session time has moved on."""
    supervisor = Supervisor(day.house.home)
    since = [0]

    def works() -> bool:
        state = day.exchange_state
        if not state:
            return False
        since[0] = since[0] or int(state["session_time_ns"])
        moved = state["state"] == "closed" or int(state["session_time_ns"]) >= since[0] + MOVED_ON_NS
        return moved and _all_run(supervisor, new) and _answers(day.house)

    return works


def _all_run(supervisor: Supervisor, new: dict[str, int]) -> bool:
    try:
        return all(s.state == "RUNNING" and s.pid != new.get(s.name) for s in supervisor.states())
    except (OSError, xmlrpc.client.Error):
        return False  # the day is ending, which the caller sees


def _answers(house: House) -> bool:
    ping = f"{house.config.storage.clickhouse_url}/ping"
    try:
        return bool(house.status()) and httpx.get(ping, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


# --- the harms ---------------------------------------------------------------------------------------------


@contextmanager
def _killed(day: PaperDay, fault: Fault) -> Iterator[None]:
    """kill -9, as the kernel's out-of-memory killer would."""
    found = [_own(day, name) for name in fault.victims]
    for process in found:
        process.kill()
    yield


@contextmanager
def _stopped(day: PaperDay, fault: Fault) -> Iterator[None]:
    """SIGSTOP to the processes and all their children; SIGCONT at the end."""
    own = [_own(day, name) for name in fault.victims]
    found = [each for one in own for each in (one, *one.children(recursive=True))]
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


@contextmanager
def _away(day: PaperDay, fault: Fault) -> Iterator[None]:
    """kill -9, and nobody starts it again for a while."""
    supervisor = Supervisor(day.house.home)
    gone = [processes.by_name(name) for name in fault.victims]
    for process in gone:
        _own(day, process.name).kill()
    supervisor.stop_processes(gone)
    yield
    for process in gone:
        supervisor.launch(process)


def _cut(day: PaperDay, fault: Fault) -> AbstractContextManager[None]:
    ports, way = lines(day.house)[fault.victims[0]]
    return network_cut.cut(ports, way)


def _full(day: PaperDay, fault: Fault) -> AbstractContextManager[None]:
    return small_disk.full(disks(day.house)[fault.victims[0]])


HARMS: dict[str, Callable[[PaperDay, Fault], AbstractContextManager[None]]] = {
    "kill": _killed,
    "stop": _stopped,
    "away": _away,
    "cut": _cut,
    "full": _full,
}


def lines(house: House) -> dict[str, tuple[tuple[int, ...], str]]:
    """The network's lines that can be cut: (ports, way)."""
    rest, ticker, _, clickhouse, _ = house.ports
    found = {
        "orders": ((rest,), "both"),
        "answers": ((rest,), "answers"),
        "ticker": ((ticker,), "both"),
        "exchange": ((rest, ticker), "both"),
        "clickhouse": ((clickhouse,), "both"),
    }
    if house.config.log.kind == "kafka":
        found["kafka"] = ((loopback_port(house.config.log.bootstrap_servers),), "both")
    return found


def disks(house: House) -> dict[str, Path]:
    """The folders that can lie on a disk of their own."""
    log = house.home / ("kafka/data" if house.config.log.kind == "kafka" else "log")
    return {"log": log, "postgres": house.home / "postgres"}


def _own(day: PaperDay, name: str) -> psutil.Process:
    """The supervised process of that name, or with `/server` its first child."""
    process = psutil.Process(day.pid_of(name.removesuffix(SERVER)))
    return process.children()[0] if name.endswith(SERVER) else process
