"""Proof that the simulation bites: each mutant is built, simulated, and must be caught.

    .venv/bin/python tests/simulation/mutations.py [--seeds 0:300] [--only NAME] [--jobs 2] [--quick]

A mutant lives in a copy of the tree. The table says which seed caught it and which invariant it broke.
`--quick` gives each mutant only the seed that is noted in `caught.json`, which is how CI runs it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mutants import MUTANTS, Mutant
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
NOTED = Path(__file__).with_name("caught.json")
PACKAGES = ("kitepilot", "broker_adapter", "flows", "infra", "api", "tests")
SEEDS = "0:300"
LIMIT_S = 1_800


class MutantError(ValueError):
    """The mutant does not fit the code any more; says how to mend it."""


@dataclass(frozen=True)
class Verdict:
    """`seed` is the first that failed, -1 when none did; `broke` names the invariant."""

    mutant: Mutant
    seed: int
    broke: str

    @property
    def caught(self) -> bool:
        return self.seed >= 0


def mutate(mutant: Mutant, root: Path) -> dict[Path, str]:
    """File -> its text with the bug in it, of the tree at `root`.

    Raises:
        MutantError: the text to replace is not there exactly once.
    """
    texts: dict[Path, str] = {}
    for file, old, new in mutant.edits:
        path = root / file
        text = texts.get(path) or path.read_text()
        if text.count(old) != 1:
            raise MutantError(
                f"mutant {mutant.name}: its text occurs {text.count(old)} times in {file}: "
                "the code has moved on, bring tests/simulation/mutants.py up to it"
            )
        texts[path] = text.replace(old, new)
    return texts


@contextmanager
def copy_with(mutant: Mutant | None) -> Iterator[Path]:
    """A copy of the packages in a folder of its own, with the bug in it; without one when None."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        root = Path(folder)
        for name in PACKAGES:
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        if mutant is not None:
            for path, text in mutate(mutant, root).items():
                path.write_text(text)
        yield root


def simulate(root: Path, seeds: str) -> tuple[int, str]:
    """(seed, invariant) of the first failure in the copy at `root`; (-1, "") when all seeds pass."""
    command = [sys.executable, "tests/simulation/run.py", "--seeds", seeds, "--stop-first", "--quiet"]
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    if done.returncode == 0:
        return -1, ""
    found = re.search(r"^seed (\d+): ([^:]+)", done.stdout, re.MULTILINE)
    if not found:
        raise MutantError(f"the simulation itself failed: {(done.stderr or done.stdout).strip()[-600:]}")
    return int(found[1]), found[2]


def judge(mutant: Mutant, seeds: str) -> Verdict:
    with copy_with(mutant) as root:
        return Verdict(mutant, *simulate(root, seeds))


def noted() -> dict[str, int]:
    """Mutant -> a seed that catches it."""
    return dict(json.loads(NOTED.read_text())) if NOTED.exists() else {}


def table(verdicts: Sequence[Verdict]) -> Table:
    shown = Table(title="mutants of the code against the simulation")
    for column in ("mutant", "the bug", "seed", "invariant that broke"):
        shown.add_column(column, overflow="fold")
    for verdict in verdicts:
        seed = str(verdict.seed) if verdict.caught else "[red]survived[/red]"
        shown.add_row(verdict.mutant.name, verdict.mutant.story, seed, verdict.broke)
    return shown


def run(mutants: Sequence[Mutant], seeds: dict[str, str], jobs: int, console: Console) -> list[Verdict]:
    """Each mutant against its seeds, `jobs` at a time, with a bar."""
    with Progress(console=console) as progress, ThreadPoolExecutor(jobs) as pool:
        bar = progress.add_task("mutants", total=len(mutants))

        def one(mutant: Mutant) -> Verdict:
            verdict = judge(mutant, seeds[mutant.name])
            came = f"seed {verdict.seed}: {verdict.broke}" if verdict.caught else "[red]survived[/red]"
            progress.console.print(f"{mutant.name}: {came}")
            progress.advance(bar)
            return verdict

        return list(pool.map(one, mutants))


def chosen(only: str) -> tuple[Mutant, ...]:
    names = [name for name in only.split(",") if name]
    unknown = sorted(set(names) - {mutant.name for mutant in MUTANTS})
    if unknown:
        raise SystemExit(f"no mutant {', '.join(unknown)}; there are: {', '.join(m.name for m in MUTANTS)}")
    return tuple(mutant for mutant in MUTANTS if not names or mutant.name in names)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", default=SEEDS, help="range of seeds, as FIRST:END")
    parser.add_argument("--only", default="", help="names of mutants, with commas")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="only the seed noted for each mutant")
    parser.add_argument("--note", action="store_true", help="write the seeds found to caught.json")
    options = parser.parse_args()
    console = Console()
    mutants, known = chosen(options.only), noted()
    seeds = {mutant.name: options.seeds for mutant in mutants}
    if options.quick:
        seeds |= {name: f"{seed}:{seed + 1}" for name, seed in known.items() if name in seeds}
    with copy_with(None) as root:
        healthy = simulate(root, "0:20")
    if healthy != (-1, ""):
        console.print(f"the unchanged code fails at seed {healthy[0]}: {healthy[1]}; mend that first")
        return 1
    verdicts = run(mutants, seeds, options.jobs, console)
    console.print(table(verdicts))
    if options.note:
        known |= {verdict.mutant.name: verdict.seed for verdict in verdicts if verdict.caught}
        NOTED.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")
    survived = sum(not verdict.caught for verdict in verdicts)
    console.print(f"{len(verdicts) - survived} of {len(verdicts)} caught")
    return 1 if survived else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except MutantError as err:
        raise SystemExit(f"mutations: {err}") from err
