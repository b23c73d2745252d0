"""Real processes under fire: `make chaos` strikes whole paper days and proves each of them afterwards.

.venv/bin/python tests/e2e/chaos.py [--log kafka] [--seed 7] [--only kill:gateway,cut] [--quick]

First an undisturbed day gives the market's records and a recorded session. Then the faults of the matrix,
some to a day: SIGKILL and SIGSTOP of every process and of pairs, servers that stay away, cut lines, full
disks. Last, the decision and the market flow fold the recorded day again while they are killed and frozen.
"""

from __future__ import annotations

import argparse
import os
import pickle
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

sys.path.insert(0, str(Path(__file__).parents[1]))

import chaos_plan
import httpx
import network_cut
import psutil
import small_disk
from chaos_proofs import Bodies, bodies, found_wrong
from chaos_table import Row, day_row, page, refold_row, show
from loopback_ports import free_ports
from paper_house import Day, House
from refold import Recorded, disturbed, record
from strikes import Fault, disks

from infra.kafka.jars import KafkaUnavailableError, provide_jars
from kitepilot.cli.report import ist_clock
from kitepilot.cli.supervise import SupervisionError
from kitepilot.run import home

INSTRUMENTS = 6
LOGS = ("sqlite", "kafka")


@dataclass
class Survived:
    """What a day with faults came to."""

    faults: Sequence[Fault]
    day: Day
    flaws: list[str] = field(default_factory=list)
    gone: int = 0  # tick records in named gaps

    @property
    def sound(self) -> bool:
        return not self.flaws


def quiet(_line: str) -> None:
    pass


def survive(
    house: House,
    faults: Sequence[Fault],
    market: Bodies,
    say: Callable[[str], None] = quiet,
    until: int = 0,
) -> Survived:
    """Trade a day with these faults, in order of their time, and prove it. `until`: session time (ns) from
    which on the day is ended as by Ctrl-C; 0 for the whole day."""
    broke = ""
    with house.paper() as paper:
        try:
            for number, fault in enumerate(sorted(faults, key=lambda f: f.at), 1):
                struck = fault.strike(paper)
                came = f"all works {fault.took_s:.1f} s later" if struck else "the session was over before"
                what = f"{number}/{len(faults)} {fault.name} {fault.lasts_s:g} s"
                say(f"  {what} at {ist_clock(fault.at)}: {came}")
            if until:
                paper.await_time(until)
                paper.interrupt()
            day = paper.wait()
        except (AssertionError, SupervisionError, httpx.HTTPError, psutil.Error) as err:
            broke = str(err)
            if paper.process.poll() is None:
                paper.interrupt()
            day = paper.last_words()
    found, gone = found_wrong(house, day, market)
    return Survived(faults, day, ([broke[:600]] if broke else []) + found, gone)


@dataclass(frozen=True)
class Asked:
    """The command line."""

    logs: tuple[str, ...]
    seed: int
    only: str
    quick: bool
    pairs: int
    page: str
    folder: str

    @classmethod
    def read(cls) -> Asked:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
        parser.add_argument(
            "--log", dest="logs", default=",".join(LOGS), help="sqlite, kafka or both (default)"
        )
        parser.add_argument("--seed", type=int, default=7, help="moments, lengths and pairs")
        parser.add_argument("--only", default="", help="faults with one of these words in their name")
        parser.add_argument("--quick", action="store_true", help=f"{chaos_plan.QUICK} faults a log, by lot")
        parser.add_argument("--pairs", type=int, default=3, help="pairs to kill, and as many to freeze")
        parser.add_argument("--page", default="", help="write docs/reference/chaos.md here")
        parser.add_argument(
            "--folder", default="", help="work there, keep it; its undisturbed day is used again"
        )
        said = parser.parse_args()
        return cls(**{**vars(said), "logs": tuple(said.logs.split(","))})


class Campaign:
    """One undisturbed day, then the matrix on each log."""

    def __init__(self, asked: Asked, folder: Path) -> None:
        self.asked = asked
        self.folder = folder
        self.rows: list[Row] = []
        self.loads: list[float] = []
        self._began = time.monotonic()
        if (home() / "models").exists() and not (
            folder / "calm"
        ).exists():  # what this machine has trained for a paper day
            shutil.copytree(home() / "models", folder / "calm" / "models")
        self._calm = House(folder / "calm", instruments=INSTRUMENTS)
        self._recorded: Recorded | None = None

    def say(self, line: str) -> None:
        self.loads.append(os.getloadavg()[0])
        sys.stderr.write(f"{time.monotonic() - self._began:6.0f} s  load {self.loads[-1]:4.1f}  {line}\n")

    def _calm_day(self) -> Day:
        """Traded now, or the one that is kept in the folder."""
        kept = self.folder / "calm.pickle"
        if not kept.exists():
            self.say("an undisturbed day: the market's records, a recorded session")
            day = self._calm.trade()
            assert day.code == 0, day.err[-2000:]
            kept.write_bytes(pickle.dumps(day))
        return cast(Day, pickle.loads(kept.read_bytes()))

    def run(self) -> None:
        day = self._calm_day()
        log = self._calm.log()
        run = self._calm.run(day.result["run_id"])
        market = bodies(log, run)
        self._recorded = record(log, run, day)
        log.close()
        for kind in self.asked.logs:
            self._strike_days(kind, market)
            self._fold_again(kind)

    def _strike_days(self, kind: str, market: Bodies) -> None:
        asked = self.asked
        faults = chaos_plan.matrix(self._house(kind, "plan"), asked.seed, asked.pairs)
        picked = chaos_plan.chosen(faults, asked.only, asked.quick, asked.seed)
        days = chaos_plan.days([fault for fault in picked if not self._skipped(kind, fault)], asked.seed)
        for number, faults_of_day in enumerate(days, 1):
            self.say(f"{kind}, day {number} of {len(days)}: {len(faults_of_day)} faults")
            house = self._house(kind, f"{kind}-{number}")
            with_disks = any(fault.kind == "full" for fault in faults_of_day)
            places = list(disks(house).values()) if with_disks else []
            for place in places:
                small_disk.mount(place)
            try:
                came = survive(house, faults_of_day, market, self.say)
            finally:
                for place in places:
                    small_disk.unmount(place)
            self.rows += [day_row(kind, asked.seed, number, fault, came.flaws) for fault in faults_of_day]
            told = came.day.result if came.day.out.strip() else {}
            self.say(
                f"{kind}, day {number}: {told.get('orders', '-')} orders, {told.get('fills', '-')} fills, "
                f"{came.gone} tick records in named gaps; flaws: {'; '.join(came.flaws) or 'none'}"
            )
            if came.sound:
                shutil.rmtree(house.home)

    def _fold_again(self, kind: str) -> None:
        recorded = self._recorded
        assert recorded is not None
        for flow in ("decisions", "market"):
            name = f"refold:{flow}"
            if self.asked.only and not any(word in name for word in self.asked.only.split(",")):
                continue
            self.say(f"{kind}: the recorded day through the {flow} flow, killed and frozen")
            house = self._house(kind, f"{kind}-{flow}")
            came = disturbed(recorded, house, flow, self.asked.seed)
            self.rows.append(refold_row(kind, self.asked.seed, name, came))
            self.say(f"{kind}: {self.rows[-1].outcome}")

    def _skipped(self, kind: str, fault: Fault) -> bool:
        why = {"cut": network_cut.why_not, "full": small_disk.why_not}.get(fault.kind, str)()
        if why:
            self.say(f"{kind}: {fault.name} is skipped: {why}")
            self.rows.append(Row(kind, fault.name, "-", self.asked.seed, "-", f"skipped: {why}"))
        return bool(why)

    def _house(self, kind: str, name: str) -> House:
        place = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))
        changes: dict[str, object] = {"log.kind": kind}
        if kind == "kafka":
            changes["log.bootstrap_servers"] = f"127.0.0.1:{free_ports(2)[0]}"
            (place / "kafka").mkdir(parents=True)
            (place / "kafka" / "libs").symlink_to(home() / "kafka" / "libs")
        if (self._calm.home / "models").exists():
            shutil.copytree(self._calm.home / "models", place / "models")
        return House(place, instruments=INSTRUMENTS, changes=changes)


def main() -> int:
    asked = Asked.read()
    if "kafka" in asked.logs:
        try:
            provide_jars(home() / "kafka" / "libs")
        except KafkaUnavailableError as err:
            sys.stderr.write(f"error: {err}\n")
            return 2
    if not network_cut.inside() and not network_cut.why_not():
        words = network_cut.alone([sys.executable, *sys.argv])
        os.execvp(words[0], words)
    folder = Path(asked.folder or tempfile.mkdtemp(prefix="kitepilot-chaos-")).absolute()
    campaign = Campaign(asked, folder)
    try:
        campaign.run()
    finally:
        show(campaign.rows)
        if asked.page:
            Path(asked.page).write_text(page(campaign.rows, INSTRUMENTS, campaign.loads))
    failed = [row for row in campaign.rows if row.failed]
    if failed:
        sys.stderr.write(f"{len(failed)} of {len(campaign.rows)} rows failed; homes kept in {folder}\n")
        return 1
    if not asked.folder:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
