"""A recorded day through a real flow once more, killed and frozen on the way: the same words must come out.

    Recorded (input records, what each producer said) + log + seed -> what was said again

This is what can be equal to the undisturbed day bit for bit: what one process makes of the records it reads.
Which records there are (ticks lost on the wire, an order's answer that came a second later) is the day's own.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from paper_house import COVERAGE_VARIABLE, Day, House, values

from infra.eventlog import open_log
from infra.kafka.jars import provide_jars
from infra.kafka.server import KafkaServer, loopback_port
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot.ports import EventLog
from kitepilot.run import RUN_FOLDER_VARIABLE, Run
from kitepilot.topics import BARS, DECISIONS, FEATURES, INTENTS, SESSION, TICKS, TOPICS

#: What a flow reads, and where it speaks.
FLOWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "decisions": (SESSION.name, (DECISIONS.name, INTENTS.name)),
    "market": (TICKS.name, (SESSION.name, BARS.name, FEATURES.name)),
}
KILLS, FREEZES = 4, 2
FROZEN_S = 1.5
FOLDED_WITHIN_S = 600.0
PORTION = 500  # records of input appended at once

Said = dict[tuple[str, str], dict[int, bytes]]  # (topic, producer) -> number -> canonical bytes


@dataclass(frozen=True)
class Recorded:
    """An undisturbed day: its run, the records of `session` and `ticks`, all that was said on each topic."""

    run: Run
    records: Mapping[str, list[bytes]]
    said: Said

    def of_flow(self, flow: str) -> Said:
        """What `flow` itself said: of `session` the market's part."""
        topics = FLOWS[flow][1]
        return {
            key: words
            for key, words in self.said.items()
            if key[0] in topics and (flow != "market" or key[1].startswith("market"))
        }


@dataclass(frozen=True)
class Refolded:
    """How it came out: blows struck, words said again, the first difference or nothing."""

    kills: int
    freezes: int
    words: int
    difference: str


def record(log: EventLog, run: Run, day: Day) -> Recorded:
    """Read an undisturbed day from its log."""
    starts = run.start_offsets()
    records = {
        name: list(values(log, name, starts[name], day.ends[name])) for name in (SESSION.name, TICKS.name)
    }
    topics = {name for _, names in FLOWS.values() for name in names}
    said: Said = {}
    for topic in sorted(topics):
        said |= spoken(topic, values(log, topic, starts[topic], day.ends[topic]))
    return Recorded(run, records, said)


def spoken(topic: str, raw: Iterator[bytes]) -> Said:
    """By producer and number; a number that says two things keeps both, so that it equals nothing."""
    found: Said = defaultdict(dict)
    for value in raw:
        try:
            event = e.decode(value)
        except ValueError:
            continue
        words = e.canonical(event)
        before = found[topic, event.source].setdefault(event.seq, words)
        if before != words:
            found[topic, event.source][event.seq] = before + words
    return dict(found)


def the_day_again(run: Run, folder: Path, log: Mapping[str, object]) -> Run:
    """The same run, id and all, in another home on another log; the configuration keeps its meaning."""
    config = configuration.override(run.config, **log)
    again = Run(run.run_id, folder / "runs" / run.run_id, config)
    again.folder.mkdir(parents=True)
    (again.folder / "config.yaml").write_text(configuration.dump(config))
    (again.folder / "start_offsets.json").write_text(json.dumps({topic.name: 0 for topic in TOPICS}))
    shutil.copy(run.folder / "parameters.json", again.folder)
    if (run.folder / "models").exists():
        shutil.copytree(run.folder / "models", again.folder / "models")
    if run.models_folder.exists() and not again.models_folder.exists():
        shutil.copytree(run.models_folder, again.models_folder)
    return again


def disturbed(recorded: Recorded, house: House, flow: str, seed: int) -> Refolded:
    """Fold the day again on the log of `house`, with kills and freezes at moments that `seed` draws."""
    log_kind = {
        "log.kind": house.config.log.kind,
        "log.bootstrap_servers": house.config.log.bootstrap_servers,
    }
    run = the_day_again(recorded.run, house.home, log_kind)
    wanted = recorded.of_flow(flow)
    rng = random.Random(f"{seed}:refold:{flow}")
    total = sum(map(len, wanted.values()))
    blows = sorted(
        [(rng.randrange(total * 9 // 10), signal.SIGKILL) for _ in range(KILLS)]
        + [(rng.randrange(total * 9 // 10), signal.SIGSTOP) for _ in range(FREEZES)]
    )
    with _log_of(house, run) as log, Restarted(run, flow) as process:
        _append(log, FLOWS[flow][0], recorded.records[FLOWS[flow][0]])
        said = Listener(log, flow)
        for after, blow in blows:
            process.until(lambda after=after: said.count() >= after)
            process.strike(blow)
        process.until(lambda: said.count() >= total)
        process.drain()
        return Refolded(KILLS, FREEZES, said.count(), difference(wanted, said.words))


def difference(wanted: Said, said: Said) -> str:
    """The first word that is not as it was, or missing, or too much."""
    for topic, producer in sorted(wanted.keys() | said.keys()):
        before, after = wanted.get((topic, producer), {}), said.get((topic, producer), {})
        for number in sorted(before.keys() | after.keys()):
            if before.get(number) != after.get(number):
                return f"{topic}: {producer} {number} is not what it was"
    return ""


class Listener:
    """Reads on while a flow speaks; repetitions count once."""

    def __init__(self, log: EventLog, flow: str) -> None:
        self._log = log
        self._own = "market" if flow == "market" else ""
        self._at = dict.fromkeys(FLOWS[flow][1], 0)
        self.words: Said = {}

    def count(self) -> int:
        for topic, at in self._at.items():
            end = self._log.end_offset(topic)
            if end > at:
                self._hear(topic, spoken(topic, values(self._log, topic, at, end)))
                self._at[topic] = end
        return sum(map(len, self.words.values()))

    def _hear(self, topic: str, more: Said) -> None:
        for (_, producer), words in more.items():
            if not producer.startswith(self._own):
                continue
            known = self.words.setdefault((topic, producer), {})
            for number, word in words.items():
                if known.setdefault(number, word) != word:
                    known[number] += word


class Restarted:
    """One process of a run, started again whenever it was killed."""

    def __init__(self, run: Run, name: str) -> None:
        self._words = [sys.executable, "-m", "kitepilot", "run", name]
        self._ready = run.ready_file(name)
        plain = {k: v for k, v in os.environ.items() if k != COVERAGE_VARIABLE}
        self._environment = plain | {RUN_FOLDER_VARIABLE: str(run.folder)}

    def __enter__(self) -> Restarted:
        self._ready.unlink(missing_ok=True)
        self._process = subprocess.Popen(self._words, env=self._environment)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + FOLDED_WITHIN_S
        while not condition():
            assert self._process.poll() is None, f"{self._words[-1]} ended with {self._process.returncode}"
            assert time.monotonic() < deadline, f"not within {FOLDED_WITHIN_S} s"
            time.sleep(0.02)

    def strike(self, blow: signal.Signals) -> None:
        self._process.send_signal(blow)
        if blow is signal.SIGSTOP:
            time.sleep(FROZEN_S)  # the length of the fault is the fault
            self._process.send_signal(signal.SIGCONT)
            return
        self._process.wait()
        self.__enter__()

    def drain(self) -> None:
        """An orderly end; one that has just begun again hears the word only when it is up."""
        self.until(self._ready.exists)
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(60)
        assert code == 0, f"{self._words[-1]} ended with {code} on SIGTERM"


def _append(log: EventLog, topic: str, records: list[bytes]) -> None:
    for at in range(0, len(records), PORTION):
        log.append(topic, records[at : at + PORTION])


@contextmanager
def _log_of(house: House, run: Run) -> Iterator[EventLog]:
    with ExitStack() as stack:
        if house.config.log.kind == "kafka":
            port = loopback_port(house.config.log.bootstrap_servers)
            node = KafkaServer(house.home / "kafka", port, provide_jars(house.home / "kafka" / "libs"))
            node.start()
            stack.callback(node.stop)
        log = open_log(run)
        stack.callback(log.close)
        log.create_topics(TOPICS)
        yield log
