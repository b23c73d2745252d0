"""Our client of Kite's ticker: one socket that comes back by itself and never goes silently dead.

The stock client keeps a half-open socket for ever and tears a good one down on one bad packet. This one
reconnects when nothing (not even a heartbeat) arrived in time, hands frames on untouched, restores its
subscriptions with their modes, and treats a refused token as a login that is needed. Back-pressure is the
reader's: while `put` waits, the socket is not read and TCP slows the sender; nothing is dropped.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from broker_adapter.kite.session import KITE_VERSION, SessionError, is_loopback
from broker_adapter.kite.subscriptions import Mode, Subscriptions

MAX_FRAME_BYTES = 4 << 20
QUEUED_FRAMES = 64
FIRST_DELAY_S = 0.25
MAX_DELAY_S = 30.0
STEADY_S = 5.0
FIRST_LOGIN_RETRY_S = 2.0  # Kite has refused good tokens for a moment (forum, late 2025)
MAX_LOGIN_RETRY_S = 60.0
LOGIN_LOOK_S = 1.0
HANDSHAKE_TIMEOUT_S = 10.0
REFUSED = frozenset({401, 403})
LOGIN_NEEDED = "login needed"
FIRST_TEXT_BYTE = 0x20  # JSON begins above it; a container would need 8,192 packets to


class Binary(NamedTuple):
    """A binary frame; `received_at` is the machine clock (ns UTC) when it was read."""

    received_at: int
    raw: bytes


class Text(NamedTuple):
    """A text frame, likewise; bytes when it is not UTF-8."""

    received_at: int
    text: str | bytes


class Up(NamedTuple):
    """Connected and subscribed."""

    received_at: int


class Down(NamedTuple):
    """Not connected; `reason` begins with "login needed" where only a person can help."""

    received_at: int
    reason: str


Frame = Binary | Text | Up | Down
Put = Callable[[Frame], Awaitable[None]]


class Ticker:
    """One connection to `url`. `access_token` is asked at each attempt, so a new login is picked up.

    Raises:
        ValueError: an address that is no WebSocket, or subscriptions Kite would refuse.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        access_token: Callable[[], str],
        *,
        tokens: Sequence[int] = (),
        mode: Mode = "full",
        idle_timeout_s: float = 6.0,
        max_delay_s: float = MAX_DELAY_S,
        steady_s: float = STEADY_S,
        login_retry_s: float = FIRST_LOGIN_RETRY_S,
        login_look_s: float = LOGIN_LOOK_S,
    ) -> None:
        if urlsplit(url).scheme not in ("ws", "wss") or not urlsplit(url).hostname:
            raise ValueError(f"ticker address {url!r}: expected one like wss://ws.kite.trade")
        self._url = url
        self._api_key = api_key
        self._access_token = access_token
        self._subscriptions = Subscriptions(tokens, mode)
        self._idle_timeout_s = idle_timeout_s
        self._max_delay_s = max_delay_s
        self._steady_s = steady_s
        self._login_retry_s = login_retry_s
        self._login_look_s = login_look_s
        self.failures = 0  # attempts since data last flowed for a while
        self._token_tried = ""
        self._socket: ClientConnection | None = None
        self._sending = asyncio.Lock()  # commands leave in the order the memory was changed
        self.connects = 0

    async def run(self, put: Put) -> None:
        """Connect, hand every frame to `put` in order, reconnect. Ends only by cancellation."""
        while True:
            reason = await self._one_connection(put)
            await put(Down(time.time_ns(), reason))
            if reason.startswith(LOGIN_NEEDED):
                await self._login_or_patience()
            else:
                await asyncio.sleep(self._delay())

    async def subscribe(self, tokens: Iterable[int], mode: Mode = "full") -> None:
        """Now, and again after every reconnect; also changes the mode. Raises as `Subscriptions.add`."""
        await self._tell(self._subscriptions.add(tokens, mode))

    async def unsubscribe(self, tokens: Iterable[int]) -> None:
        await self._tell(self._subscriptions.drop(tokens))

    async def _tell(self, commands: Sequence[str]) -> None:
        async with self._sending:
            try:
                for command in commands if self._socket else ():
                    await self._socket.send(command)  # type: ignore[union-attr]
            except ConnectionClosed:
                return  # remembered: the next connection is told

    async def _one_connection(self, put: Put) -> str:
        """Until it breaks; returns why."""
        self.failures += 1
        try:
            async with self._connect() as socket:
                await self._restore(socket)
                self.connects += 1
                await put(Up(time.time_ns()))
                return await self._listen(socket, put)
        except SessionError as err:
            self._token_tried = ""
            return f"{LOGIN_NEEDED}: {err}"
        except InvalidStatus as err:
            status = err.response.status_code
            return (
                f"{LOGIN_NEEDED}: handshake refused" if status in REFUSED else f"handshake answered {status}"
            )
        except ConnectionClosed as err:
            return self._told(f"closed: {err}")
        except (OSError, TimeoutError, WebSocketException) as err:
            return self._told(f"{type(err).__name__}: {err}")
        finally:
            self._socket = None

    def _told(self, reason: str) -> str:
        """A reason ends up in logs; the token is part of the address and must not."""
        return reason.replace(self._token_tried, "...") if self._token_tried else reason

    def _connect(self) -> connect:
        self._token_tried = self._access_token()
        query = urlencode({"api_key": self._api_key, "access_token": self._token_tried})
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

    async def _restore(self, socket: ClientConnection) -> None:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT_S), self._sending:
            for command in self._subscriptions.restore():
                await socket.send(command)
            self._socket = socket

    async def _listen(self, socket: ClientConnection, put: Put) -> str:
        """Frames to `put` until the socket breaks or goes silent; the reason of the latter."""
        loop = asyncio.get_running_loop()
        steady_at = loop.time() + self._steady_s
        while True:
            try:
                async with asyncio.timeout(self._idle_timeout_s):
                    # undecoded: text that is not UTF-8 is ours to bury, not a reason to lose the connection
                    frame = await socket.recv(decode=False)
            except TimeoutError:
                socket.transport.abort()  # a close handshake with a dead peer would only wait again
                return f"silent for {self._idle_timeout_s:g} s"
            if self.failures and loop.time() >= steady_at:
                self.failures = 0  # data for a while, not a handshake, proves the connection
            await put(_framed(time.time_ns(), frame))

    async def _login_or_patience(self) -> None:
        """A refused token is asked again ever more slowly; another one, from a person's login, at once."""
        ceiling = min(self._login_retry_s * 2 ** min(self.failures, 10), MAX_LOGIN_RETRY_S)
        patience_s = ceiling * random.uniform(0.5, 1.0)
        try:
            async with asyncio.timeout(patience_s):
                while self._same_token():
                    await asyncio.sleep(self._login_look_s)
        except TimeoutError:
            return

    def _same_token(self) -> bool:
        try:
            return self._access_token() == self._token_tried
        except SessionError:
            return True

    def _delay(self) -> float:
        """Doubling from a quarter second, jittered so that clients do not return in step."""
        ceiling: float = min(FIRST_DELAY_S * 2 ** min(self.failures, 10), self._max_delay_s)
        return ceiling * (0.5 + 0.5 * random.random())


def _framed(received_at: int, raw: bytes) -> Binary | Text:
    """A frame without its opcode, told apart by its first byte."""
    if len(raw) < 2 or raw[0] < FIRST_TEXT_BYTE:
        return Binary(received_at, raw)
    try:
        return Text(received_at, raw.decode())
    except UnicodeDecodeError:
        return Text(received_at, raw)
