"""A real HTTP server takes what a real process delivers: all of it, in order, again when it was refused."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flows import alerts as process
from infra import reloads
from infra.alerts import state_file
from infra.alerts.couriers import Courier
from infra.alerts.room import Room
from infra.alerts.state_file import State
from infra.alerts.targets import UndeliveredError, deliver
from infra.eventlog import open_log
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot.alerts import desk
from kitepilot.alerts.notices import Notice
from kitepilot.config import AlertsSection, AlertTargetSection, ConfigError
from kitepilot.market.calendar import to_ist
from kitepilot.ports import EventLog, LogError
from kitepilot.reloading import COMMAND, Reload
from kitepilot.run import Run
from kitepilot.topics import TOPICS

AT = 1_795_150_800_000_000_000  # 2026-11-20 10:30:00 IST
RUN = "paper-20261120-0001"
WAIT_S = 60.0


class Receiver(ThreadingHTTPServer):
    """Takes POSTs of JSON and GETs; refuses the next `refusing` of them with 503."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusing = 0
        self.refused: list[str] = []
        self.taken: list[str] = []
        self.beats = 0

    @property
    def url(self) -> str:
        return f"json://user:s3cretword@127.0.0.1:{self.server_address[1]}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        title = json.loads(self.rfile.read(int(self.headers["content-length"])))["title"]
        refused = self.server.refusing > 0
        self.server.refusing -= refused
        (self.server.refused if refused else self.server.taken).append(title)
        self.send_response(503 if refused else 200)
        self.end_headers()

    def do_GET(self) -> None:
        self.server.beats += 1
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def room(folder: Path, **targets: float) -> Room:
    told = [desk.Target(name=name, after_s=after_s) for name, after_s in targets.items()]
    kept = state_file.read(folder) or State(offsets={})
    return Room(folder, kept, desk.Policy(targets=tuple(told)))


def notice(held: Room, *found: Notice) -> None:
    def work() -> bool:
        for each in found:
            desk.take(held.state.desk, each, held.policy)
        return True

    held.fold(work)


@pytest.fixture
def url_at(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ALERTS_TEST_URL", receiver.url)
    return "env:ALERTS_TEST_URL"


def courier(held: Room, url_at: str) -> Courier:
    return Courier(held, held.policy.targets[0], partial(deliver, url_at, run_id=RUN), first_retry_s=0.01)


def keys(titles: list[str]) -> list[str]:
    return [title.split(": ")[1].split(" (")[0] for title in titles]


def test_messages_arrive_in_order_though_the_target_refuses_some_and_each_is_tried_until_taken(
    tmp_path: Path, receiver: Receiver, url_at: str
) -> None:
    receiver.refusing = 3
    held = room(tmp_path, me=0)
    wanted = [f"halted:{n}" for n in range(6)]
    notice(held, *(Notice("halted", str(n), "why", AT + n) for n in range(6)))
    sender = courier(held, url_at)
    sender.start()
    until(lambda: len(receiver.taken) >= 6)
    sender.stop()
    assert keys(receiver.taken) == wanted
    assert keys(receiver.refused) == ["halted:0"] * 3


def test_a_process_that_starts_again_tells_nothing_twice_and_what_was_not_saved_once_more(
    tmp_path: Path, receiver: Receiver, url_at: str
) -> None:
    held = room(tmp_path, me=0)
    notice(held, Notice("halted", "a", "why", AT))
    before = (tmp_path / state_file.FILE).read_bytes()
    for kept in (None, None, before):  # as it was left, and as a crash before the save leaves it
        if kept is not None:
            (tmp_path / state_file.FILE).write_bytes(kept)
        again = room(tmp_path, me=0)
        sender = courier(again, url_at)
        sender.start()
        told = again.policy.targets[0]
        until(lambda again=again, told=told: again.next_for(told, AT + 1) is None)  # type: ignore[misc]
        sender.stop()
    assert keys(receiver.taken) == ["halted:a"] * 2


def test_one_target_that_is_away_keeps_nobody_else_waiting(
    tmp_path: Path, receiver: Receiver, url_at: str
) -> None:
    held = room(tmp_path, away=0, me=0)

    def away(_message: desk.Message) -> None:
        raise UndeliveredError("away")

    senders = [
        Courier(held, held.policy.targets[0], away),
        Courier(held, held.policy.targets[1], partial(deliver, url_at, run_id=RUN)),
    ]
    notice(held, Notice("halted", "a", "why", AT))
    for sender in senders:
        sender.start()
    until(lambda: keys(receiver.taken) == ["halted:a"])
    for sender in senders:
        sender.stop()


def test_no_failure_shows_the_address(
    tmp_path: Path, receiver: Receiver, url_at: str, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.refusing = 10_000
    held = room(tmp_path, me=0)
    notice(held, Notice("halted", "a", "why", AT))
    sender = courier(held, url_at)
    sender.start()
    until(lambda: len(receiver.refused) >= 2)
    sender.stop()
    with pytest.raises(UndeliveredError) as caught:
        deliver("env:NOT_SET", desk.Message("me", 1, "k", desk.Severity.WARNING, "raised", "", "", 0, 0), RUN)
    shown = "".join(capfd.readouterr()) + str(caught.value) + (tmp_path / state_file.FILE).read_text()
    assert "s3cretword" not in shown
    assert "me" in shown


# --- the process over a real log -----------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path, receiver: Receiver, url_at: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("ALERTS_TEST_BEAT", f"http://127.0.0.1:{receiver.server_address[1]}/beat")
    folder = tmp_path / "var" / "runs" / RUN
    folder.mkdir(parents=True)
    (folder / "start_offsets.json").write_text(json.dumps({t.name: 0 for t in TOPICS}))
    wanted = AlertsSection(
        targets=[AlertTargetSection(name="me", url_at=url_at)], heartbeat_at="env:ALERTS_TEST_BEAT"
    )
    return Run(folder.name, folder, configuration.Config(alerts=wanted))


@pytest.fixture
def log(run: Run) -> Iterator[EventLog]:
    opened = open_log(run)
    opened.create_topics(TOPICS)
    yield opened
    opened.close()


class Serving:
    """The process's whole life, on a thread."""

    def __init__(self, run: Run, opener: Callable[[Run], EventLog] = open_log) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=process.serve, args=(run, self._stopping, opener))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()


def halted(seq: int, previous: e.TradingState, state: e.TradingState) -> bytes:
    return lowered(seq, previous, state, "alarm" if state is e.TradingState.HALTED else "")


def lowered(seq: int, previous: e.TradingState, state: e.TradingState, rule: str) -> bytes:
    said = e.StateChanged(
        source="decisions",
        seq=seq,
        event_at=AT,
        run_id=RUN,
        previous=previous,
        state=state,
        reason="why",
        rule=rule,
    )
    return e.encode(said)


def test_a_halt_on_the_log_reaches_a_person_once_over_two_lives_of_the_process(
    run: Run, log: EventLog, receiver: Receiver
) -> None:
    active, stopped = e.TradingState.ACTIVE, e.TradingState.HALTED
    with Serving(run):
        log.append("decisions", [halted(0, active, stopped)])
        until(lambda: keys(receiver.taken) == ["halted:alarm"])
        until(lambda: receiver.beats > 0)
    log.append("decisions", [halted(0, active, stopped)])  # a producer that started again repeats itself
    with Serving(run):
        log.append("decisions", [halted(1, stopped, active)])
        until(lambda: len(receiver.taken) == 2)
    assert keys(receiver.taken) == ["halted:alarm"] * 2
    assert [title.split(":")[0].split()[-1] for title in receiver.taken] == ["critical", "over"]


def test_the_word_that_it_was_seen_travels_on_the_log(run: Run, log: EventLog) -> None:
    seen = e.Commanded(
        source="cli",
        seq=0,
        event_at=AT,
        command_id="1",
        command="alert_ack",
        argument="halted:alarm",
        by="owner",
    )
    with Serving(run):
        log.append("decisions", [halted(0, e.TradingState.ACTIVE, e.TradingState.HALTED)])
        until(lambda: bool((kept := state_file.read(run.folder)) and kept.desk.alerts))
        log.append("session", [e.encode(seen)])
        until(lambda: _by(run) == "owner")


def _by(run: Run) -> str:
    kept = state_file.read(run.folder)
    return kept.desk.alerts["halted:alarm"].acknowledged_by if kept else ""


def reread(run: Run, log: EventLog, seq: int, **alerts: object) -> str:
    """The owner has the file read again, and the process has taken it: the command's id."""
    config = configuration.override(run.config, **{f"alerts.{key}": value for key, value in alerts.items()})
    command_id, tree = f"api-{seq}", json.loads(configuration.canonical(config))
    reloads.keep(run, command_id, Reload(tree, tree, log.end_offset("session")))
    said = e.Commanded(
        source="api",
        seq=seq,
        event_at=AT,
        command_id=command_id,
        command=COMMAND,
        argument="hash",
        by="owner",
    )
    log.append("session", [e.encode(said)])
    until(lambda: bool((kept := state_file.read(run.folder)) and kept.configured == command_id))
    return command_id


def test_a_target_that_moved_hears_at_its_new_address_also_after_a_kill_that_forgets_the_move(
    run: Run, log: EventLog, receiver: Receiver, url_at: str
) -> None:
    away = AlertTargetSection(name="me", url_at="env:ALERTS_TEST_OF_NOBODY")
    lost = Run(run.run_id, run.folder, configuration.Config(alerts=AlertsSection(targets=[away])))
    active, stopped = e.TradingState.ACTIVE, e.TradingState.HALTED
    with Serving(lost):
        log.append("decisions", [halted(0, active, stopped)])
        until(lambda: bool((kept := state_file.read(run.folder)) and kept.desk.alerts))
        before = (run.folder / state_file.FILE).read_bytes()
        reread(lost, log, 0, targets=[{"name": "me", "url_at": url_at}])
        until(lambda: keys(receiver.taken) == ["halted:alarm"])
    (run.folder / state_file.FILE).write_bytes(before)
    with Serving(lost):
        until(lambda: keys(receiver.taken) == ["halted:alarm"] * 2)
        log.append("decisions", [halted(1, stopped, active)])
        until(lambda: len(receiver.taken) == 3)
    with Serving(lost):
        reread(lost, log, 1, targets=[], heartbeat_at="env:ALERTS_TEST_BEAT")
        until(lambda: receiver.beats > 0)
    assert [title.split(":")[0].split()[-1] for title in receiver.taken] == ["critical", "critical", "over"]


def test_quiet_hours_that_are_read_again_keep_a_warning_back_and_let_it_go(
    run: Run, log: EventLog, receiver: Receiver
) -> None:
    active, reducing, stopped = (e.TradingState(each) for each in ("active", "reducing", "halted"))
    hour = to_ist(time.time_ns()).hour
    with Serving(run):
        reread(run, log, 0, quiet=f"{(hour - 1) % 24:02d}:00-{(hour + 3) % 24:02d}:00")
        log.append("decisions", [lowered(0, active, reducing, "drift"), halted(1, reducing, stopped)])
        until(lambda: len(receiver.taken) > 0)
        assert keys(receiver.taken) == ["halted:alarm"], "a critical one calls at any hour"
        reread(run, log, 1, quiet="")
        until(lambda: keys(receiver.taken) == ["halted:alarm", "reducing:drift"])


def test_without_targets_heartbeat_and_collector_nobody_outside_is_called(run: Run, log: EventLog) -> None:
    plain = Run(run.run_id, run.folder, configuration.Config())
    before = set(threading.enumerate())
    with Serving(plain):
        log.append("decisions", [halted(0, e.TradingState.ACTIVE, e.TradingState.HALTED)])
        until(lambda: bool((kept := state_file.read(run.folder)) and kept.desk.alerts))
        more = [each for each in threading.enumerate() if each not in before]
        assert len(more) == 1, "a thread for each who is told, and here only the one that follows"


def test_a_log_that_cannot_be_read_is_told_as_well(run: Run, receiver: Receiver) -> None:
    def broken(_run: Run) -> EventLog:
        raise LogError("the log is away")

    with Serving(run, broken):
        until(lambda: keys(receiver.taken) == ["log_unreadable:log"])


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"quiet": "25:00-07:00"}, "alerts.quiet"),
        ({"repeat_s": 1}, "alerts.repeat_s"),
        ({"targets": [{"name": "a", "url_at": "env:A"}] * 2}, "name of its own"),
        ({"targets": [{"name": "a b", "url_at": "env:A"}]}, "a-z"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        configuration.build({"alerts": wrong})
