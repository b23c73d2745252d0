"""What was tried on a day's books and records, and how it ended, in words for its owner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from kitepilot.cli import replay
from kitepilot.cli.days import KnownRun
from kitepilot.config import PackReplay
from kitepilot.models.port import ModelError
from kitepilot.ports import LogError

PASSED: Final = "passed"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
SHOWN: Final = 5  # failing tests in one sentence
PARTS: Final[Mapping[str, tuple[replay.Part, ...]]] = {
    "all": tuple(replay.Part),
    "decisions": (replay.Part.DECISIONS,),
}


class Check(msgspec.Struct, frozen=True):
    """`words` is a sentence. `detail` is what a person who mends it wants to see."""

    name: str
    state: Literal["passed", "failed", "skipped"]
    words: str
    detail: tuple[str, ...] = ()


def why_failed(checks: Iterable[Check]) -> tuple[str, ...]:
    """A sentence for each that failed."""
    return tuple(check.words for check in checks if check.state == FAILED)


def of_marts(lacking: Mapping[str, str]) -> list[Check]:
    """One sentence for all marts that are not there for the same reason."""
    reasons: dict[str, list[str]] = {}
    for mart, why in lacking.items():
        reasons.setdefault(why, []).append(mart)
    return [
        Check(
            "marts", FAILED, f"{len(marts)} parts of the book of analysis are not there: {why}.", tuple(marts)
        )
        for why, marts in reasons.items()
    ]


def replayed(known: KnownRun, home: Path, how: PackReplay) -> list[Check]:
    """Compute the day again and compare, where its record still is."""
    if how == "none":
        return [Check("replay", SKIPPED, "The day was not computed again: daily_pack.replay is none.")]
    parts = PARTS[how]
    try:
        with replay.opened(known, home, replay.topics_of(parts), from_archive_first(known)) as (where, run):
            told = replay.verified(known, run, where, parts)
    except LogError as err:
        words = "The day could not be computed again, because its record is not there as a whole."
        return [Check("replay", SKIPPED, words, (str(err),))]
    except ModelError as err:
        return [Check("replay", FAILED, "The day could not be computed again.", (str(err),))]
    return [_part(each) for each in told["parts"]]


def from_archive_first(known: KnownRun) -> bool:
    """An embedded Kafka need not be started for a day that lies in files."""
    return known.archive is not None and known.log_kind == "kafka"


def _part(told: Mapping[str, Any]) -> Check:
    name = f"replay of the {told['part']}"
    streams = tuple(
        f"{each['topic']}: {each['messages']:,} messages, sha256 {each['sha256']}" for each in told["streams"]
    )
    if told["status"] == "equal":
        return Check(
            name, PASSED, f"Computed again, the {told['part']} came out byte for byte the same.", streams
        )
    if told["status"] == "not compared":
        words = f"The {told['part']} could not be computed again: {'; '.join(told['notes'])}."
        return Check(name, SKIPPED, words)
    found = told.get("difference") or {}
    place = f" (first at {found['event_ist']} IST, {found['topic']} number {found['seq']})" if found else ""
    words = (
        f"Computed again from its record, the {told['part']} came out otherwise than on the day{place}: "
        "`kitepilot replay DATE --verify` shows both sides."
    )
    return Check(name, FAILED, words, streams)
