"""Stored synthetic days -> what today's code decides of them, pinned in `pins.json`. Run by `make repin`.

Without a word it decides the stored sessions again and stores the new decisions and hashes: for a change that
means to decide otherwise. `--new` records the days anew as well: only when their messages cannot be read any
more. The commit says why, in both cases.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent))
from recorded_day import Happening, Recorder, make_home, messages
from recorded_day import parameters as usual

from flows.decisions import DecisionLogic
from flows.market import make_pipeline
from flows.replay import RecordedRun, open_recorded
from infra.session_archive import ArchivedLog, TopicCard, keep, read_card
from infra.session_archive.card import write_card
from infra.session_archive.files import topic_path, write_topic
from kitepilot import __version__
from kitepilot import config as configuration
from kitepilot.events import (
    Alarmed,
    BarsClosed,
    DecisionParameters,
    ForeignFilled,
    Marked,
    Reconciled,
    Side,
    encode,
    stream_hash,
)
from kitepilot.market.ticks import KIND_FEED, own_record
from kitepilot.ports import LogRecord
from kitepilot.topics import BARS, DEAD_LETTER, DECISIONS, FEATURES, INTENTS, SESSION, TICKS

DAYS = Path(__file__).parent / "days"
PINS = Path(__file__).parent / "pins.json"
#: Kept in the repository; ticks are made again from their recipe, bars are pinned by hash.
STORED = (SESSION.name, DECISIONS.name, INTENTS.name, FEATURES.name, DEAD_LETTER.name)
DECIDED = (DECISIONS.name, INTENTS.name)
S = 1_000_000_000
MINUTE = 60 * S


def short_day(minutes: int) -> DecisionParameters:
    """A session with everything of a whole one: entries end, the ladder squares off, the close comes."""
    terms = usual()
    opens = terms.open_at
    times = {
        "entry_cutoff_at": opens + (minutes - 14) * MINUTE,
        "square_off_at": opens + (minutes - 9) * MINUTE,
        "force_flat_at": opens + (minutes - 5) * MINUTE,
        "continuous_close_at": opens + (minutes - 2) * MINUTE,
    }
    instruments = tuple(replace(one, **times) for one in terms.instruments)
    return replace(terms, close_at=opens + minutes * MINUTE, instruments=instruments)


def eventful_ticks() -> list[bytes]:
    """The recipe of the eventful day's market: the feed is down for a while in it."""
    ticks = messages(minutes=30, seed=11)
    at = usual().open_at + 9 * MINUTE
    down, up = (
        own_record(KIND_FEED, at + n * 20 * S, at + n * 20 * S, w) for n, w in ((0, "down cut"), (1, "up"))
    )
    return [*ticks[:1090], down, *ticks[1130:1150], up, *ticks[1150:]]


def eventful() -> list[Happening]:
    """Foreign trades, alarms, a reconciliation that halts, the owner's words."""
    opens, token = usual().open_at, usual().instruments[1].token

    def foreign(desk: Recorder, at: int) -> ForeignFilled:
        return ForeignFilled(
            **desk.head("gateway.findings", at),
            run_id=desk.run.run_id,
            order_id="hand-1",
            trade_id="h1",
            token=token,
            tradingsymbol="KP1",
            side=Side.BUY,
            quantity=5,
            price_paise=200_000,
            filled_at=at,
            placed_by="AB1234",
            by_broker=False,
        )

    def alarmed(desk: Recorder, at: int) -> Alarmed:
        head = desk.head("gateway.findings", at)
        return Alarmed(
            **head, run_id=desk.run.run_id, kind="breaker", subject="reads", detail="5xx", halts=True
        )

    def reconciled(desk: Recorder, at: int) -> Reconciled:
        head = desk.head("gateway.findings", at)
        figures = {"orders": 3, "trades": 3, "positions": 1, "differences": ()}
        return Reconciled(**head, run_id=desk.run.run_id, occasion="minute", verdict="equal", **figures)

    def commanded(word: str, desk: Recorder, at: int) -> Any:
        return desk.command(word, at)

    said = [
        (3, foreign),
        (5, reconciled),
        (6, alarmed),
        (7, partial(commanded, "resume")),
        (12, partial(commanded, "reduce")),
        (13, partial(commanded, "resume")),
        (14, partial(commanded, "nonsense")),
    ]
    return [
        (opens + minute * MINUTE, lambda desk, say=say, at=opens + minute * MINUTE: say(desk, at))
        for minute, say in said
    ]


def recipe(name: str) -> tuple[list[bytes], DecisionParameters, list[Happening]]:
    """(ticks, parameters, happenings) of a stored day."""
    if name == "quiet":
        return messages(minutes=8, seed=7), usual(), []
    return eventful_ticks(), short_day(30), eventful()


NAMES = ("quiet", "eventful")


def record_anew(name: str) -> None:
    """Record the day by its recipe with today's code and keep what is stored of it."""
    ticks, terms, happenings = recipe(name)
    with tempfile.TemporaryDirectory() as folder:
        day = make_home(Path(folder) / "home", strays=0)
        Recorder(day.log, day.run, day.run.start_offsets(), terms=terms, happenings=happenings).record(ticks)
        kept = keep(day.run, day.log, code_version=__version__, code_hash="", concluded=True, ends=day.ends())
        card = read_card(kept)
        shutil.rmtree(DAYS / name, ignore_errors=True)
        (DAYS / name).mkdir(parents=True)
        for topic in STORED:
            shutil.copy2(topic_path(kept, topic), topic_path(DAYS / name, topic))
        shutil.copy2(kept / "config.yaml", DAYS / name)
        write_card(DAYS / name, replace(card, topics={topic: card.topics[topic] for topic in STORED}))


def stored(name: str) -> RecordedRun:
    """The stored day as a run to replay."""
    archive = ArchivedLog(DAYS / name)
    topics = archive.card.topics
    starts, ends = ({n: getattr(c, end) for n, c in topics.items()} for end in ("start", "end"))
    return open_recorded(archive.card.run_id, archive, starts, ends)


def decide_again(name: str) -> None:
    """Store what today's code decides of the stored session."""
    run, card = stored(name), read_card(DAYS / name)
    logic, said = DecisionLogic(), {topic: list[bytes]() for topic in (*DECIDED, DEAD_LETTER.name)}
    for record in run.records(SESSION.name):
        for topic, event in logic.on_record(record):
            said[topic].append(encode(event))
    topics: dict[str, TopicCard] = dict(card.topics)
    for topic in DECIDED:
        records = [LogRecord(topic, 0, at, 0, b"", value) for at, value in enumerate(said[topic])]
        topics[topic] = write_topic(DAYS / name, topic, 0, len(records), records)
    write_card(DAYS / name, replace(card, topics=topics))


def market_hashes(name: str) -> dict[str, str]:
    """Bars and marks that the recipe's ticks give: integers, so the same on every machine."""
    ticks, terms, _ = recipe(name)
    pipeline = make_pipeline(configuration.load(DAYS / name / "config.yaml"), terms, Path())
    told = [event for at, value in enumerate(ticks) for _, event in pipeline.on_message(value, at)]
    return {
        BARS.name: stream_hash(event for event in told if isinstance(event, BarsClosed)),
        "marks": stream_hash(event for event in told if isinstance(event, Marked)),
        TICKS.name: stream_hash_of(ticks),
    }


def stream_hash_of(values: Sequence[bytes]) -> str:
    """SHA-256 (hex) over the recipe's own bytes: whether the tape itself changed."""
    import hashlib

    digest = hashlib.sha256()
    for value in values:
        digest.update(value)
    return digest.hexdigest()


def pin(name: str) -> dict[str, Any]:
    """What is pinned of one day."""
    from flows.replay import verify_decisions

    finding = verify_decisions(stored(name))
    assert finding.equal, finding
    return {
        "decisions": {
            each.topic: {"messages": each.messages, "sha256": each.sha256} for each in finding.streams
        },
        "market": market_hashes(name),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--new", action="store_true", help="record the days anew, sessions and all")
    chosen = parser.parse_args(arguments)
    before = json.loads(PINS.read_text()) if PINS.exists() else {}
    pins = {}
    for name in NAMES:
        (record_anew if chosen.new else decide_again)(name)
        pins[name] = pin(name)
        print(f"{name}: {'as before' if before.get(name) == pins[name] else 'CHANGED'}")
    PINS.write_text(json.dumps(pins, indent=1) + "\n")
    if before != pins:
        print("the commit must say why a recorded day is decided otherwise from now on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
