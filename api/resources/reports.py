"""GET reports: what was written about each run, to list and to download."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from anyio import to_thread
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import File

from api.problems import Problem, declared
from api.resources.route import ALWAYS, read
from api.services import Services
from infra.daily_packs.shelf import packs_of

PAGES = {"report.html": "text/html", "result.json": "application/json"}
MOST = 500


class ReportRow(msgspec.Struct, frozen=True):
    """One file. kind: report (a page) | result (JSON) | pack (ZIP). `failed`: a pack that is not whole."""

    run_id: str
    name: str
    kind: str
    size_bytes: int
    failed: bool


class Reports(msgspec.Struct, frozen=True):
    """Newest run first, at most 500."""

    items: list[ReportRow]


@dataclass(frozen=True)
class _Kept:
    """A file of a run, by a name of ours."""

    row: ReportRow
    path: Path
    media_type: str


_ROW = {"run_id": "paper-20261120-0001", "name": "report.html", "kind": "report", "size_bytes": 48_213,
        "failed": False}  # fmt: skip


@read(
    "/reports",
    operation_id="listReports",
    summary="Reports of runs and daily packs, newest run first",
    answers=Reports,
    example={"items": [_ROW]},
)
async def reports(services: NamedDependency[Services]) -> Reports:
    found = await to_thread.run_sync(_kept, services.run.home)
    return Reports([each.row for each in found[:MOST]])


@get(
    "/reports/{run_id:str}/{name:str}",
    operation_id="getReport",
    summary="Download one of them",
    media_type="application/octet-stream",
    responses=declared(*ALWAYS, 404),
)
async def report(services: NamedDependency[Services], run_id: FromPath[str], name: FromPath[str]) -> File:
    """Only what `listReports` lists can be named; nothing is looked up by the path given."""
    for each in await to_thread.run_sync(_kept, services.run.home):
        if (each.row.run_id, each.row.name) == (run_id, name):
            return File(
                each.path,
                filename=each.path.name,
                media_type=each.media_type,
                content_disposition_type="attachment",
            )
    raise Problem("not_found", "No such report: GET /api/v1/reports lists them.")


def _kept(home: Path) -> list[_Kept]:
    folders = [each for each in (home / "runs").glob("*-*-*") if each.is_dir() and not each.is_symlink()]
    found: list[_Kept] = []
    for folder in sorted(folders, key=lambda each: each.name.split("-")[1:], reverse=True):
        for name, media_type in PAGES.items():
            if (path := folder / name).is_file():
                kind = name.partition(".")[0]
                found.append(_one(folder.name, name, kind, path, media_type))
    packs = [pack for day in (home / "packs").glob("*") for pack in packs_of(home / "packs", day.name)]
    newest = sorted(packs, key=lambda each: (each.run_id, each.version), reverse=True)
    return found + [
        _one(pack.run_id, pack.path.name, "pack", pack.path, "application/zip", failed=pack.failed)
        for pack in newest
    ]


def _one(run_id: str, name: str, kind: str, path: Path, media_type: str, *, failed: bool = False) -> _Kept:
    return _Kept(ReportRow(run_id, name, kind, path.stat().st_size, failed), path, media_type)


ROUTES = (reports, report)
