"""The live streams' one source: the log's tail -> newest figures, a ring of events, readers woken.

The thread that reads the log never waits for a reader. A reader has no queue of its own: it has a place in
the ring, and of each figure the version it was sent last. One that falls out of the ring is told so and cut.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from api.live.board import Board
from api.live.ring import BehindError, Place, Ring
from api.live.telling import told
from api.view import STALE_AFTER_S, TAILED
from infra.fence import Fence
from kitepilot import events as e
from kitepilot.ports import LogRecord
from kitepilot.run import Run

RING = 8_192  # events: some minutes of a wild day
READERS = 64
AT_ONCE = 500  # events handed to one reader in one go
RECENT = 40  # of each kind, for a page that opens
HEALTH_EVERY_S = 0.5
HEARTBEAT_S = 0.5  # a page believes what it shows for three of them: static/live.js
BEAT_SHARED_S = 0.1
QUIET_S = STALE_AFTER_S  # the decisions mark the account each second of the session


class FullError(RuntimeError):
    """As many readers as are let in."""


def quiet_after_s(speed: float | str) -> float:
    """How long the decisions may say nothing: five marks of theirs, also of a day that runs slowly.

    `speed`: session seconds a second, or "max".
    """
    return QUIET_S / speed if isinstance(speed, float | int) and speed < 1 else QUIET_S


@dataclass(frozen=True)
class Figure:
    """The newest of one kind; `version` counts its changes."""

    version: int
    body: bytes


@dataclass(frozen=True)
class Sent:
    """One event on its way: `id` names the place of the log after it, "" for one that has none."""

    kind: str
    body: bytes
    id: str = ""


@dataclass(eq=False)
class Reader:
    """One stream. `number` and `seen` are its place in the ring."""

    loop: asyncio.AbstractEventLoop
    number: int
    seen: Place
    versions: dict[str, int] = field(default_factory=dict)
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """Give `hear` and `settle` to the view; the routes take readers. `clock` is the machine's, seconds."""

    def __init__(
        self, run: Run, lag: dict[str, int], clock: Callable[[], float] = time.monotonic, size: int = RING
    ) -> None:
        starts = run.start_offsets()
        self.run_id = run.run_id
        self.board = Board()
        self._topics = {topic.name: number for number, topic in enumerate(TAILED)}
        self._ring = Ring([t.name for t in TAILED], [starts[t.name] for t in TAILED], size)
        self._recent: dict[str, deque[bytes]] = {
            kind: deque(maxlen=RECENT) for kind in ("signal", "verdict", "order", "alert")
        }
        self._figures: dict[str, Figure] = {}
        self._fence = Fence(run.folder)
        self._lag = lag
        self._clock = clock
        self._health_at = float("-inf")
        self._settled_at = float("-inf")
        self._account_at = clock()
        self._quiet_after_s = quiet_after_s(run.config.session.speed if run.config.mode == "paper" else 1.0)
        self._beat_at, self._beat = float("-inf"), Sent("heartbeat", b"{}")
        self._lock = threading.Lock()
        self._readers: set[Reader] = set()

    # --- the thread that reads the log ---------------------------------------------------------------

    def hear(self, record: LogRecord, event: e.AnyEvent) -> None:
        """One event, the first time it is read."""
        self.board.hear(event)
        topic = self._topics[record.topic]
        said = told(event)
        body = msgspec.json.encode(said[1]) if said else b""
        with self._lock:
            self._ring.passed(topic, record.offset)
            if said:
                self._ring.add(said[0], body, topic, record.offset)
                self._recent[said[0]].append(body)
        if isinstance(event, e.AccountMarked):
            self._account_at = self._clock()

    def settle(self) -> None:
        """A batch was read: work out the figures, wake whoever waits."""
        now, fence = self._clock(), self._fence.raised()
        fresh: dict[str, msgspec.Struct | None] = {
            "state": self.board.state(f"{fence.by}: {fence.reason}" if fence else ""),
            "pnl": self.board.pnl(),
            "positions": self.board.positions(),
        }
        if now - self._health_at >= HEALTH_EVERY_S:
            self._health_at = now
            fresh |= {"feed": self.board.feed(), "health": self.board.health(self._lag)}
        bodies = {kind: msgspec.json.encode(each) for kind, each in fresh.items() if each is not None}
        with self._lock:
            self._settled_at = now
            for kind, body in bodies.items():
                last = self._figures.get(kind)
                if last is None or last.body != body:
                    self._figures[kind] = Figure(last.version + 1 if last else 1, body)
            loops = {reader.loop for reader in self._readers}
        for loop in loops:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._wake, loop)

    # --- the routes ----------------------------------------------------------------------------------

    def join(self, last_id: str) -> tuple[Reader, list[Sent]]:
        """A new reader, and what it is sent first: all there is, or what it missed.

        Raises:
            FullError: `READERS` of them are here.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            if len(self._readers) >= READERS:
                raise FullError(f"{READERS} live streams are open: close one")
            try:
                seen = self._place_of(last_id)
                reader, first = Reader(loop, self._ring.resume(seen), seen), []
            except BehindError as why:
                reader = Reader(loop, self._ring.end, self._ring.place)
                reader.versions = {kind: figure.version for kind, figure in self._figures.items()}
                first = [Sent("reset", msgspec.json.encode({"reason": str(why)}))] if last_id else []
                first.append(Sent("snapshot", self._snapshot(), self._id(reader, self._ring.place)))
            self._readers.add(reader)
        return reader, first

    def leave(self, reader: Reader) -> None:
        with self._lock:
            self._readers.discard(reader)

    def take(self, reader: Reader) -> list[Sent]:
        """What the reader has not been sent: events first, then the figures that changed.

        Raises:
            BehindError: events it had not been sent are gone: cut it, with the reason.
        """
        with self._lock:
            happened, reader.number = self._ring.since(reader.number, reader.seen, AT_ONCE)
            figures = self._newer(reader) if reader.number == self._ring.end else []
            place = self._ring.place
        sent = [Sent(each.kind, each.body, self._id(reader, each.place)) for each in happened]
        for kind, figure in figures:
            reader.versions[kind] = figure.version
            sent.append(Sent(kind, figure.body, self._id(reader, place)))
        return sent

    def _newer(self, reader: Reader) -> list[tuple[str, Figure]]:
        """Figures that changed since the reader was sent them; only once it has all events before them."""
        return [
            (kind, figure)
            for kind, figure in self._figures.items()
            if reader.versions.get(kind, 0) < figure.version
        ]

    def heartbeat(self) -> Sent:
        """How old what the streams say is, in seconds of the machine's clock; made once for all readers.

        Beyond `quiet_after_s` nobody should act on it. `at_ms`: the machine's time, ms UTC.
        """
        now = self._clock()
        if now - self._beat_at < BEAT_SHARED_S:
            return self._beat
        ages = {
            "at_ms": time.time_ns() // 1_000_000,
            "log_age_s": round(min(now - self._settled_at, 1e9), 1),
            "account_age_s": round(now - self._account_at, 1),
            "quiet_after_s": self._quiet_after_s,
        }
        self._beat_at, self._beat = now, Sent("heartbeat", msgspec.json.encode(ages))
        return self._beat

    def snapshot(self) -> bytes:
        """Everything a page shows when it opens, JSON."""
        with self._lock:
            return self._snapshot()

    def opening(self) -> Sent:
        """The snapshot, and the id from which a stream goes on after it."""
        with self._lock:
            place = "-".join(str(each) for each in self._ring.place)
            return Sent("snapshot", self._snapshot(), f"{self.run_id}@{place}")

    @property
    def readers(self) -> int:
        return len(self._readers)

    def _snapshot(self) -> bytes:
        raw = {kind: msgspec.Raw(figure.body) for kind, figure in self._figures.items()}
        recent = {kind: [msgspec.Raw(body) for body in kept] for kind, kept in self._recent.items()}
        return msgspec.json.encode({**raw, "recent": recent, "curve": self.board.curve[:]})

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            readers = [reader for reader in self._readers if reader.loop is loop]
        for reader in readers:
            reader.woken.set()

    def _id(self, reader: Reader, place: Place) -> str:
        """Never below what the reader has had: while the log is read anew after a start we are behind it."""
        return f"{self.run_id}@{'-'.join(str(max(pair)) for pair in zip(place, reader.seen, strict=True))}"

    def _place_of(self, last_id: str) -> Place:
        run_id, _, numbers = last_id.rpartition("@")
        if not last_id:
            raise BehindError("a new reader")
        if run_id != self.run_id:
            raise BehindError("another run")
        try:
            return tuple(int(each) for each in numbers.split("-"))
        except ValueError:
            raise BehindError("not an id of this stream") from None
