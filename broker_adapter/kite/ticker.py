"""Our client of Kite's ticker: one socket that comes back by itself and never goes silently dead.

The stock client keeps a half-open socket for ever and tears a good one down on one bad packet. This one
reconnects when nothing (not even a heartbeat) arrived in time, hands frames on untouched, restores its
subscriptions, and treats a refused token as a login that is needed. Back-pressure is the reader's: while
`put` waits, the socket is not read and TCP slows the sender; nothing is dropped.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from broker_adapter.kite.session import KITE_VERSION, SessionError, is_loopback

MAX_INSTRUMENTS = 3_000  # per connection (Kite documentation)
MAX_FRAME_BYTES = 4 << 20
QUEUED_FRAMES = 64
FIRST_DELAY_S = 0.25
MAX_DELAY_S = 30.0
HANDSHAKE_TIMEOUT_S = 10.0
FORBIDDEN = 403
LOGIN_NEEDED = "login needed"


class Binary(NamedTuple):
    """A binary frame; `received_at` is the machine clock (ns UTC) when it was read."""

    received_at: int
    raw: bytes


class Text(NamedTuple):
    """A text frame, likewise."""

    received_at: int
    text: str


class Up(NamedTuple):
    """Connected and subscribed."""

    received_at: int


class Down(NamedTuple):
    """The connection is gone; `reason` begins with "login needed" where only a person can help."""

    received_at: int
    reason: str


Frame = Binary | Text | Up | Down
Put = Callable[[Frame], Awaitable[None]]


class Ticker:
    """One connection to `url`. `access_token` is asked at each attempt, so a new login is picked up."""

    def __init__(
        self,
        url: str,
        api_key: str,
        access_token: Callable[[], str],
        *,
        tokens: Sequence[int] = (),
        mode: str = "full",
        idle_timeout_s: float = 6.0,
        max_delay_s: float = MAX_DELAY_S,
    ) -> None:
        if len(tokens) > MAX_INSTRUMENTS:
            raise ValueError(f"{len(tokens)} instruments; one connection carries at most {MAX_INSTRUMENTS}")
        self._url = url
        self._api_key = api_key
        self._access_token = access_token
        self._tokens = [int(token) for token in tokens]
        self._mode = mode
        self._idle_timeout_s = idle_timeout_s
        self._max_delay_s = max_delay_s
        self._failures = 0
        self.connects = 0

    async def run(self, put: Put) -> None:
        """Connect, hand every frame to `put` in order, reconnect. Ends only by cancellation."""
        while True:
            reason = await self._one_connection(put)
            await put(Down(time.time_ns(), reason))
            await asyncio.sleep(self._delay())

    async def _one_connection(self, put: Put) -> str:
        """Until it breaks; returns why."""
        self._failures += 1
        try:
            async with self._connect() as socket:
                await self._subscribe(socket)
                self.connects += 1
                await put(Up(time.time_ns()))
                return await self._listen(socket, put)
        except SessionError as err:
            return f"{LOGIN_NEEDED}: {err}"
        except InvalidStatus as err:
            status = err.response.status_code
            return (
                f"{LOGIN_NEEDED}: handshake refused"
                if status == FORBIDDEN
                else f"handshake answered {status}"
            )
        except ConnectionClosed as err:
            return f"closed: {err}"
        except (OSError, TimeoutError, InvalidHandshake) as err:
            return f"{type(err).__name__}: {err}"

    def _connect(self) -> connect:
        query = urlencode({"api_key": self._api_key, "access_token": self._access_token()})
        return connect(
            f"{self._url}?{query}",
            additional_headers=KITE_VERSION,
            compression=None,
            max_size=MAX_FRAME_BYTES,
            max_queue=QUEUED_FRAMES,
            open_timeout=HANDSHAKE_TIMEOUT_S,
            close_timeout=1.0,
            # Pongs wait behind unread frames: under back-pressure a ping timeout would cut a good socket.
            ping_interval=None,
            proxy=None if is_loopback(self._url) else True,
        )

    async def _subscribe(self, socket: ClientConnection) -> None:
        if self._tokens:
            await socket.send(json.dumps({"a": "subscribe", "v": self._tokens}))
            await socket.send(json.dumps({"a": "mode", "v": [self._mode, self._tokens]}))

    async def _listen(self, socket: ClientConnection, put: Put) -> str:
        while True:
            try:
                async with asyncio.timeout(self._idle_timeout_s):
                    frame = await socket.recv()
            except TimeoutError:
                socket.transport.abort()  # a close handshake with a dead peer would only wait again
                return f"silent for {self._idle_timeout_s:g} s"
            received_at = time.time_ns()
            self._failures = 0  # data, not a handshake, proves the connection
            if isinstance(frame, str):
                await put(Text(received_at, frame))
            else:
                await put(Binary(received_at, frame))

    def _delay(self) -> float:
        """Doubling from a quarter second, jittered so that clients do not return in step."""
        ceiling: float = min(FIRST_DELAY_S * 2 ** min(self._failures, 10), self._max_delay_s)
        return ceiling * (0.5 + 0.5 * random.random())
