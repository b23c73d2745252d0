"""Which run was opened with which configuration, what was taken while it was up, by whom.

Each run's whole configuration is in the audit, and each that was asked for since; one whose word never came
on the log was never in force and is left out. They are compared by the keys of today: one that an older
version did not have counts as its default there, one that is no more is not told. A configuration that no run
of the book of record ever had is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, LiteralString

import msgspec

from api import cursors
from api.record import Record
from api.times import Instant, instant
from kitepilot import configured_from
from kitepilot.audit.acts import CONFIGURED, RELOAD_ASKED
from kitepilot.config import Config, without_passwords

LIST = "config_history"
DIGITS = 12  # of the SHA-256 of a strategy's text
#: By the index of subjects: the audit has millions of lines, and a handful of these.
_CONFIGURED: LiteralString = """
    WITH known AS MATERIALIZED (
        SELECT seq FROM audit
        WHERE subject <> '' AND subject IN (SELECT config_hash FROM runs)
        AND CASE WHEN kind = %(asked)s THEN EXISTS (
            SELECT FROM audit AS word WHERE word.subject <> '' AND word.kind = 'commanded'
            AND word.subject = audit.body::jsonb #>> '{facts,command_id}')
        ELSE kind = %(opened)s END)
    SELECT seq, run_id, kind, subject, event_at, body FROM audit
    WHERE seq IN (SELECT seq FROM known WHERE %(before)s::bigint IS NULL OR seq < %(before)s
                  ORDER BY seq DESC LIMIT %(limit)s)
    ORDER BY seq DESC"""
_ABSENT = object()


class Change(msgspec.Struct, frozen=True):
    """One key and its values. Of strategies' texts the digests are told, of addresses no password."""

    key: str
    before: Any
    after: Any


class Configured(msgspec.Struct, frozen=True):
    """`changes` since the line before it; the first run's are those from the defaults.

    `how`: opened (with the run) | reloaded (while it was up, beside the configuration that its orders name).
    """

    run_id: str
    how: str
    config_hash: str
    made: Instant
    by: str
    changes: list[Change]


async def history(record: Record, limit: int, cursor: str | None) -> tuple[list[Configured], str | None]:
    """Newest first, and where the list goes on. Raises `Problem`: bad_cursor, record_unreachable."""
    before = cursors.before(LIST, cursor)
    rows = await record.rows(
        _CONFIGURED, {"opened": CONFIGURED, "asked": RELOAD_ASKED, "before": before, "limit": limit + 1}
    )
    told = [_told(row, older) for row, older in pairwise([*rows, None]) if row is not None]
    following = cursors.sealed(LIST, rows[limit - 1]["seq"]) if len(rows) > limit else None
    return told[:limit], following


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """Between two configurations as the audit has them, in the order of the sections."""
    found = []
    for key, default in configured_from.keys(Config()).items():
        old, new = (_shown(key, _at(each, key.split("."), default)) for each in (before, after))
        if old != new:
            found.append(Change(key, old, new))
    return found


def _told(row: dict[str, Any], older: dict[str, Any] | None) -> Configured:
    said = json.loads(row["body"])
    before = _config(json.loads(older["body"])) if older else {}
    found = changes(before, _config(said))
    reloaded = row["kind"] == RELOAD_ASKED
    digest = said["facts"]["in_force"] if reloaded else row["subject"]
    how = "reloaded" if reloaded else "opened"
    return Configured(row["run_id"], how, digest, instant(row["event_at"]), said["by"], found)


def _config(said: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(said["facts"]["config"]))


def _at(tree: Any, path: Iterable[str], default: Any) -> Any:
    for name in path:
        tree = tree.get(name, _ABSENT) if isinstance(tree, dict) else _ABSENT
    return default if tree is _ABSENT else tree


def _shown(key: str, value: Any) -> Any:
    if key == "strategies.sources":
        return {name: hashlib.sha256(text.encode()).hexdigest()[:DIGITS] for name, text in value.items()}
    return json.loads(without_passwords(json.dumps(value)))
