"""Connections, bounded in number and in time: whoever is slow loses his place, and never takes another's.

uvicorn waits for ever for headers, for a body that nobody reads and for a peer that does not read. Here a
connection without a whole request has a deadline; and where an address, or the house, is full, whoever has
waited longest without one makes room. So however many slow ones come, a command that arrives whole is served.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Any, Protocol

import uvloop
from uvicorn.protocols.http.h11_impl import H11Protocol

HANDSHAKE_S = 5.0  # of TLS
BACKLOG = 128  # connections the kernel holds ready


@dataclass(frozen=True)
class Bounds:
    """`request_s`: from the connection, or the last answer, to the whole headers; `stalled_s`: a peer reads
    nothing of what is sent. `most` connections, `per_address` of them from one address.

    64 live readers, a console in a few tabs and twenty programs are far below them, behind one proxy too.
    """

    request_s: float = 10.0
    stalled_s: float = 30.0
    most: int = 512
    per_address: int = 256


class Visitor(Protocol):
    """A connection as the door sees it."""

    address: str

    def leave(self) -> None:
        """Cut it, whatever was still to be sent."""
        ...


class Door:
    """Who is in, and who of them waits: without a whole request. Event loop only."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._in: set[Visitor] = set()
        self._waiting: OrderedDict[Visitor, None] = OrderedDict()  # longest first
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._in)

    def enter(self, visitor: Visitor) -> None:
        """Lets him in, and another one out where it is full: himself where all others are being served."""
        full = self._of[visitor.address] >= self.bounds.per_address
        if full or len(self._in) >= self.bounds.most:
            out = next(
                (each for each in self._waiting if not full or each.address == visitor.address), visitor
            )
            self.left(out)
            out.leave()
            if out is visitor:
                return
        self._in.add(visitor)
        self._waiting[visitor] = None
        self._of[visitor.address] += 1

    def waits(self, visitor: Visitor) -> None:
        """From now on, unless he did already."""
        if visitor in self._in:
            self._waiting.setdefault(visitor)

    def is_served(self, visitor: Visitor) -> None:
        self._waiting.pop(visitor, None)

    def left(self, visitor: Visitor) -> None:
        if visitor not in self._in:
            return
        self._in.remove(visitor)
        self._waiting.pop(visitor, None)
        self._of[visitor.address] -= 1
        if not self._of[visitor.address]:
            del self._of[visitor.address]


class Guest(H11Protocol):
    """uvicorn's HTTP connection with deadlines. Make it with `guests_of`."""

    door: Door
    address = "unknown"
    _ends: asyncio.TimerHandle | None = None
    _unsent = 0
    _gone = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        self.address = self.client[0] if self.client else "unknown"
        self.door.enter(self)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._depart()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._give(self.door.bounds.stalled_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._give(None)
        self._look()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """A socket has its own ways to end, and the streams count their readers."""
        self._depart()
        super().handle_websocket_upgrade(event)

    def leave(self) -> None:
        self.transport.abort()

    def _look(self) -> None:
        """Is a request being served, or waited for?"""
        served = self.cycle is not None and not self.cycle.response_complete
        if served and not self.cycle.more_body:
            self.door.is_served(self)
        else:
            self.door.waits(self)  # of a body `api.identity.patience` keeps the time
        if served and not self.flow.write_paused:
            self._give(None)
        elif self._ends is None:
            self._give(self.door.bounds.request_s)

    def _give(self, seconds: float | None) -> None:
        """A new deadline, or none."""
        if self._ends is not None:
            self._ends.cancel()
            self._ends = None
        if seconds is not None and not self._gone:
            self._unsent = self.transport.get_write_buffer_size()
            self._ends = self.loop.call_later(seconds, self._out_of_time, seconds)

    def _out_of_time(self, seconds: float) -> None:
        """Who still takes what is sent to him has longer."""
        if 0 < self.transport.get_write_buffer_size() < self._unsent:
            self._give(seconds)
        else:
            self.leave()

    def _depart(self) -> None:
        self._gone = True
        self._give(None)
        self.door.left(self)


def guests_of(door: Door) -> type[Guest]:
    """For `uvicorn.Config(http=...)`."""
    return type("GuestOfTheDoor", (Guest,), {"door": door})


class ImpatientLoop(uvloop.Loop):
    """For `uvicorn.Config(loop="api.connections:ImpatientLoop")`, which has no word for TLS handshakes."""

    async def create_server(self, *args: Any, **settings: Any) -> Any:
        if settings.get("ssl"):
            settings.setdefault("ssl_handshake_timeout", HANDSHAKE_S)
        return await super().create_server(*args, **settings)
