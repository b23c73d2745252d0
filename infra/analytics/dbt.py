"""dbt as a process of its own environment: what is asked -> what it made, found and thinks of it.

dbt's pins do not go with the pipeline's, so it lives in `.venv-dbt` and is talked to by command line,
environment and the files it writes. Nothing of it is written into the checkout.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.analytics.book import FOLDER, BookError
from infra.analytics.outcome import Outcome, outcome_of
from infra.analytics.slices import last_days
from infra.analytics.standing import Tests, forget, only_rows_are_new, recall, remember, standing
from infra.clickhouse import client
from kitepilot.run import Run

DBT_VARIABLE = "KITEPILOT_DBT"
#: The project's folder, where KitePilot is not run from its checkout (containers).
PROJECT_VARIABLE = "KITEPILOT_DBT_PROJECT"
PROJECT = Path(os.environ.get(PROJECT_VARIABLE) or Path(__file__).parents[2] / "dbt_project")
THREADS = 4
_WATCHED = (".sql", ".yml", ".csv")
#: What rows change, in dbt's words: no view and no seed.
ROWS = (
    "config.materialized:incremental",
    "config.materialized:table",
    "resource_type:test",
    "resource_type:unit_test",
)
_FINISHED = {"LogModelResult", "LogTestResult", "LogSeedResult", "LogSnapshotResult", "LogNodeNoOpResult"}

_LEFT_OUT: dict[Tests, list[str]] = {"all": [], "data": ["unit_test"], "none": ["test", "unit_test"]}

#: Called with (done, of how many, name of what was done last).
Step = Callable[[int, int, str], None]


def _silent(done: int, total: int, name: str) -> None:
    pass


@dataclass(frozen=True)
class Days:
    """Which days the marts redo. Nothing: those of which something was archived since."""

    on: date | None = None
    since: date | None = None
    full_refresh: bool = False
    until: date | None = None  # of any of them, only those up to this one

    def __post_init__(self) -> None:
        if (self.on is not None) + (self.since is not None) + self.full_refresh > 1:
            raise BookError("a date, a first date and a full refresh exclude each other: name one")


def dbt_program() -> Path | None:
    """`$KITEPILOT_DBT`, else the program in `.venv-dbt` beside the environment this runs in; None: none."""
    given = os.environ.get(DBT_VARIABLE)
    places = (
        [Path(given)] if given else [root / ".venv-dbt/bin/dbt" for root in (PROJECT.parent, _beside_me())]
    )
    return next((place for place in places if place.exists()), None)


def _beside_me() -> Path:
    return Path(sys.prefix).parent


def build(
    run: Run,
    days: Days | None = None,
    select: Sequence[str] = (),
    step: Step = _silent,
    *,
    tested: Tests = "data",
) -> Outcome:
    """Seeds, views, marts and tests of what they hold, in the order of what rests on what.

    `tested`: "all" has the unit tests too, which a day's data cannot change; "none" only makes.
    Where the project is not the one the marts were made by (a new version of KitePilot), every day is redone.
    Where neither it nor the archive changed since the last build, dbt is not asked: what it found stands.

    Raises:
        BookError: dbt is not installed, or it could not begin.
    """
    wish = days or Days()
    now, last = standing(run, project_print()), _print_file(run)
    if not select and wish == Days() and (outcome := recall(run, now, tested)):
        return outcome
    anew = wish.full_refresh or (not select and _text(last) != now.project)
    chosen = select or (ROWS if not anew and only_rows_are_new(run, now) else ())
    forget(run)
    outcome = _anew(run, select, step, tested) if anew else _build(run, wish, chosen, step, tested)
    if not select and not any(made.failed for made in outcome.made):
        last.write_text(now.project)
    if not select and (anew or wish == Days()):
        remember(run, now, outcome, tested)
    return outcome


def _anew(run: Run, select: Sequence[str], step: Step, tested: Tests) -> Outcome:
    """A long book stretch by stretch, oldest first; what is held against all of it is tested at the end."""
    earlier = last_days(run)[:-1]
    spent = 0.0
    for number, until in enumerate(earlier):
        part = _build(run, Days(full_refresh=number == 0, until=until), select, step, "none")
        spent += part.seconds
        if any(made.failed for made in part.made):
            return part
    outcome = _build(run, Days(full_refresh=not earlier), select, step, tested)
    return replace(outcome, seconds=spent + outcome.seconds, full_refresh=True)


def _build(run: Run, days: Days, select: Sequence[str], step: Step, tested: Tests) -> Outcome:
    left_out = ["--exclude-resource-types", *_LEFT_OUT[tested]] if _LEFT_OUT[tested] else []
    anew = ["--full-refresh"] if days.full_refresh else []
    return _run(run, ["build", *anew, *_selected(select), *left_out], days, step)


def test(run: Run, select: Sequence[str] = (), step: Step = _silent) -> Outcome:
    """Every test over what was built.

    Raises:
        BookError: dbt is not installed, or it could not begin.
    """
    return _run(run, ["test", *_selected(select)], Days(), step)


def freshness(run: Run, step: Step = _silent) -> Outcome:
    """How long ago the archive was written to.

    Raises:
        BookError: dbt is not installed, or it could not begin.
    """
    return _run(run, ["source", "freshness"], Days(), step, results="sources.json")


def document(run: Run, step: Step = _silent) -> Path:
    """The book's pages, all in one file.

    Raises:
        BookError: dbt is not installed, or it could not make them.
    """
    _run(run, ["docs", "generate", "--static"], Days(), step, results="catalog.json")
    return folder(run) / "target" / "static_index.html"


def folder(run: Run) -> Path:
    """Where dbt keeps what it compiled, and its log."""
    return run.home / FOLDER / "dbt"


def project_print(project: Path = PROJECT) -> str:
    """A print of everything that decides what a mart holds."""
    digest = hashlib.sha256()
    for path in sorted(p for p in project.rglob("*") if p.suffix in _WATCHED):
        digest.update(f"{path.relative_to(project)}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def environment(run: Run, days: Days) -> dict[str, str]:
    """What dbt is told: where ClickHouse is, who we are, which days; and where it may write."""
    address = urlsplit(run.config.storage.clickhouse_url)
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return own | {
        "DBT_PROJECT_DIR": str(PROJECT),
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_TARGET_PATH": str(folder(run) / "target"),
        "DBT_LOG_PATH": str(folder(run) / "logs"),
        "DBT_ENV_SECRET_KITEPILOT_PASSWORD": client.password(run, "dbt"),
        "DO_NOT_TRACK": "1",
        "KITEPILOT_DBT_DATE": f"{days.on or ''}",
        "KITEPILOT_DBT_HOST": address.hostname or "127.0.0.1",
        "KITEPILOT_DBT_PORT": str(address.port or (8443 if address.scheme == "https" else 8123)),
        "KITEPILOT_DBT_SECURE": str(address.scheme == "https"),
        "KITEPILOT_DBT_SINCE": f"{days.since or ''}",
        "KITEPILOT_DBT_UNTIL": f"{days.until or ''}",
        "KITEPILOT_DBT_THREADS": os.environ.get("KITEPILOT_DBT_THREADS", str(THREADS)),
        "KITEPILOT_DBT_USER": os.environ.get("KITEPILOT_CLICKHOUSE_USER_DBT", "dbt"),
        "KITEPILOT_RAW_DATABASE": run.config.storage.clickhouse_database,
    }


def _run(
    run: Run, arguments: Sequence[str], days: Days, step: Step, results: str = "run_results.json"
) -> Outcome:
    program = dbt_program()
    if program is None:
        raise BookError(f"dbt is not installed; run `make bootstrap`, or name it in ${DBT_VARIABLE}")
    target = folder(run) / "target"
    target.mkdir(parents=True, exist_ok=True)
    (target / results).unlink(missing_ok=True)
    said = _follow([str(program), "--log-format", "json", *arguments], environment(run, days), step)
    if not (target / results).exists():
        raise BookError(
            f"dbt could not begin: {said or 'no reason given'}; its log is in {folder(run) / 'logs'}"
        )
    return outcome_of(target, results, full_refresh=days.full_refresh)


def _follow(command: list[str], environ: dict[str, str], step: Step) -> str:
    """Run to the end, telling each thing done; returns what dbt said of errors, in one line."""
    errors: list[str] = []
    done = 0
    with subprocess.Popen(
        command, env=environ, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said = _parsed(line)
            info, data = said.get("info", {}), said.get("data", {})
            if info.get("name") in _FINISHED:
                done += 1
                step(
                    done,
                    int(data.get("total") or data.get("num_models", 0)),
                    str(data.get("node_info", {}).get("node_name", "")),
                )
            elif info.get("level") == "error" and len(errors) < 3:
                errors.append(" ".join(str(info.get("msg", "")).split()))
    return "; ".join(errors)


def _parsed(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except json.JSONDecodeError:
        return {"info": {"level": "error", "msg": line}}
    return said if isinstance(said, dict) else {}


def _selected(select: Sequence[str]) -> list[str]:
    return ["--select", *select] if select else []


def _print_file(run: Run) -> Path:
    return run.home / FOLDER / f"{run.config.storage.clickhouse_database}.print"


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
