"""What must hold of a day after everything that was done to it; each flaw found is one line of text.

The command has already compared the books (exchange, PostgreSQL, a fresh fold, ClickHouse) fill by fill.
Here: no message lost or told twice, every intent ended, every tick of the market is in the log or in a named
gap, and `kitepilot replay --verify` computes the decisions and the market's features again, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

from paper_house import Day, House, flaws, values

from kitepilot import events as e
from kitepilot.cli.tape import Tape
from kitepilot.market.ticks import KIND_CLOCK, KIND_FEED, RECORD_BYTES, read_own_record
from kitepilot.orders.permission import permitted
from kitepilot.ports import EventLog
from kitepilot.risk.admission import admit
from kitepilot.run import Run
from kitepilot.topics import INTENTS, SESSION, TICKS

Bodies = list[bytes]


def found_wrong(house: House, day: Day, market: Bodies) -> tuple[list[str], int]:
    """Every flaw of a finished day, and the tick records that named gaps took.

    `market`: the tick records of an undisturbed day of the same market.
    """
    if not day.out.strip():
        said = day.error_lines or day.err.splitlines() or ["no word"]
        return [f"exit {day.code}: {said[-1][:300]}", *house.leftovers()], 0
    result = day.result
    found = [f"exit {day.code}"] if day.code not in (0, 130) else []
    found += [result["first_difference"]] if not result["reconciled"] else []
    found += [f"{result[key]} {key}" for key in ("open_positions", "unlinked_orders") if result[key]]
    found += house.leftovers()
    run = house.run(result["run_id"])
    with house.log_at_rest() as log:
        found += flaws(log, run)
        found += without_end(log, run)
        lost, gone = missing_ticks(bodies(log, run), market, whole=not result["interrupted"])
        found += lost
    found += replayed(house, result["run_id"])
    return found, gone


def _tape(log: EventLog, run: Run, topic: str, decode: Callable[[bytes], e.AnyEvent]) -> Tape:
    return Tape(log, topic, run.start_offsets()[topic], log.end_offset(topic), decode=decode)


def replayed(house: House, run_id: str) -> list[str]:
    """What `kitepilot replay --verify` finds: every decision from the session's records, every bar, feature,
    score and signal from the ticks."""
    day = house.replay(run_id)
    return [] if day.code == 0 else [f"replay: {(day.out or day.err)[-600:]}"]


def without_end(log: EventLog, run: Run) -> list[str]:
    """Intents of which nobody ever said how they ended."""
    ours = partial(permitted, run_id=run.run_id, config_hash=run.config_hash)
    wanted = {i.intent_id for i in _tape(log, run, INTENTS.name, ours) if isinstance(i, e.ApprovedIntent)}
    told = (u for u in _tape(log, run, SESSION.name, admit) if isinstance(u, e.OrderUpdated))
    ended = {update.intent_id for update in told if update.status.terminal}
    return [f"intent {intent} has no end" for intent in sorted(wanted - ended)]


def bodies(log: EventLog, run: Run) -> Bodies:
    """Every record on `ticks` without the machine's receive time."""
    found: Bodies = []
    for raw in values(log, TICKS.name, run.start_offsets()[TICKS.name]):
        found += [raw[at + 8 : at + RECORD_BYTES] for at in range(0, len(raw), RECORD_BYTES)]
    return found


def _kind(body: bytes) -> int:
    return 0 if int.from_bytes(body[:4], "big") else read_own_record(bytes(8) + body)[0]


def missing_ticks(day: Bodies, market: Bodies, *, whole: bool = True) -> tuple[list[str], int]:
    """What `day` lacks of `market` outside its named gaps, or has twice; and how many records the gaps took.

    A gap is named by a feed record. Between two of them the day must be one unbroken piece of the market, but
    for what the exchange sends after each subscription: its clock and every instrument's last packet.
    `whole`: the day was traded to its end.
    """
    place = {body: at for at, body in enumerate(market) if _kind(body) == KIND_CLOCK}
    greeting = 2 * len({body[:4] for body in market}) + 2
    found: list[str] = []
    reached, gone = 0, 0
    for piece in _between_feed_records(day):
        last = next((at for at in reversed(range(len(piece))) if piece[at] in place), 0)
        if piece[last] not in place:
            continue  # not a second of session time passed between two breaks
        first, shift = _begins(piece, last, market, place[piece[last]]), place[piece[last]] - last
        if first > greeting:
            found.append(f"ticks: a record is lost, doubled or altered {first} records after a connection")
        if piece[last:] != market[shift + last : shift + len(piece)]:
            found.append("ticks: what follows the last second of a connection is not the market's")
        if first + shift < reached - greeting:
            found.append("ticks: a part of the market is there twice")
        gone += max(0, first + shift - reached)
        reached = max(reached, shift + len(piece))
    if whole and reached < len(market):
        found.append(f"ticks: the last {len(market) - reached} records of the market are missing")
    return found, gone


def _begins(piece: Bodies, clock: int, market: Bodies, there: int) -> int:
    """The first record of `piece` from which on, up to `clock`, it is the market's up to `there`."""
    back = 0
    while back < min(clock, there) and piece[clock - back - 1] == market[there - back - 1]:
        back += 1
    return clock - back


def _between_feed_records(day: Bodies) -> Iterator[Bodies]:
    edges = [-1, *(n for n, body in enumerate(day) if _kind(body) == KIND_FEED), len(day)]
    yield from (day[a + 1 : b] for a, b in pairwise(edges) if b > a + 1)
