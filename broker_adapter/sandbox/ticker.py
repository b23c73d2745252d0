"""The binary WebSocket ticker: subscriptions, modes, containers, order frames, heartbeats.

A slow client is never dropped and nothing is dropped for it: `deliver` waits until its socket takes the
bytes, and session time waits with it. A dead one is found by pings and closed. Armed faults strike whenever
frames or heartbeats go out.
"""

from __future__ import annotations

import asyncio
import http
import json
import time
import urllib.parse
from collections.abc import Callable, Sequence
from socket import socket as Socket
from typing import Any

import numpy as np
import numpy.typing as npt
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from broker_adapter.sandbox.fault_board import Armed, FaultBoard
from broker_adapter.sandbox.faulty_frames import poison, stale
from broker_adapter.sandbox.faulty_replies import reset, shift_stamps
from broker_adapter.sandbox.market import Market, Packets
from broker_adapter.sandbox.packets import (
    FULL,
    HEARTBEAT,
    MODES,
    QUOTE,
    container,
    index_packet,
    is_index,
    mixed,
)
from broker_adapter.sandbox.packets import uniform as uniform_containers

MAX_TOKENS = 3000
SOFT_SOCKETS = 3  # of one API key; more are flagged (forum discussion 15708, Dec 2025)
HEARTBEAT_S = 1.0
WRITE_LIMIT_BYTES = 4 << 20
MAX_COMMAND_BYTES = 1 << 20


class Subscriber:
    """One socket: its modes by row of the market, and when it last heard from us."""

    def __init__(self, connection: ServerConnection, universe: int) -> None:
        self.connection = connection
        self.modes = np.zeros(universe, dtype=np.uint8)
        self.all_full = False
        self.last_sent = time.monotonic()
        self.sending = False
        self.dead = False

    def die(self) -> None:
        """Half open from now on: nothing is sent, not even a pong, and nothing is read. It never recovers."""
        self.dead = True
        if self.connection.keepalive_task is not None:
            self.connection.keepalive_task.cancel()
        self.connection.transport.pause_reading()

    async def send(self, frames: Sequence[bytes | str]) -> None:
        """Frames in order, with back-pressure. A closed socket is left to its own handler."""
        if self.dead:
            return
        self.sending = True
        try:
            for frame in frames:
                await self.connection.send(frame)
        except ConnectionClosed:
            return
        finally:
            self.sending = False
            self.last_sent = time.monotonic()

    def set_modes(self, rows: Sequence[int], mode: int) -> None:
        self.modes[list(rows)] = mode
        self.all_full = bool((self.modes == FULL).all())


class Ticker:
    """All sockets of the one user. `clock_frame` gives the text that tells a new socket the session time.

    `hard_sockets` refuses the connection after so many (0: never); Kite's limit of three is soft, and what
    comes above it is only flagged.
    """

    def __init__(
        self,
        market: Market,
        authorised: Callable[[str, str], bool],
        clock_frame: Callable[[], str],
        board: FaultBoard,
        hard_sockets: int = 0,
    ) -> None:
        self._market = market
        self._authorised = authorised
        self._clock_frame = clock_frame
        self._board = board
        self._hard_sockets = hard_sockets
        self.flagged = 0
        self._subscribers: set[Subscriber] = set()
        self._server: Server | None = None
        self._beat: asyncio.Task[None] | None = None
        self.ticks_sent = 0

    @property
    def sockets(self) -> int:
        """Open sockets; those a fault has silenced are gone for everybody but themselves."""
        return sum(not subscriber.dead for subscriber in self._subscribers)

    @property
    def subscribed_tokens(self) -> int:
        """Instruments that at least one socket has subscribed."""
        wanted = np.zeros(len(self._market.tokens), dtype=bool)
        for subscriber in self._subscribers:
            wanted |= subscriber.modes > 0
        return int(wanted.sum())

    async def start(self, sock: Socket) -> None:
        self._server = await serve(
            self._serve,
            sock=sock,
            process_request=self._check,
            compression=None,
            write_limit=WRITE_LIMIT_BYTES,
            max_size=MAX_COMMAND_BYTES,
            ping_interval=20,
            ping_timeout=20,
        )
        self._beat = asyncio.create_task(self._heartbeats())

    async def stop(self) -> None:
        if self._beat:
            self._beat.cancel()
        for subscriber in self._subscribers:
            if subscriber.dead:  # it would not answer a closing handshake
                subscriber.connection.transport.abort()
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    async def deliver(self, packets: Packets, raw: Sequence[bytes], texts: Sequence[str]) -> None:
        """Packets in send order, other packets, text frames: to every socket, and wait for them all."""
        await self._suffer()
        skew = self._board.standing("clock_skew")
        if skew is not None:
            packets, texts = _skewed(packets, texts, round(skew.number_of("seconds")))
        subscribers = tuple(self._subscribers)
        rows = self._market.positions_of(packets["token"]) if len(packets) else None
        everything: list[bytes] | None = None
        sends = []
        for subscriber in subscribers:
            if subscriber.all_full and len(packets):
                everything = uniform_containers(packets, FULL) if everything is None else everything
                frames: list[bytes | str] = [*everything]
                self.ticks_sent += len(packets)
            else:
                frames = [*self._selected(subscriber, packets, rows)]
            frames += self._other(subscriber, raw)
            frames += texts
            if frames:
                sends.append(subscriber.send(frames))
        if len(sends) == 1:
            await sends[0]
        elif sends:
            await asyncio.gather(*sends)

    def _selected(self, subscriber: Subscriber, packets: Packets, rows: Any) -> list[bytes]:
        if rows is None or not subscriber.modes.any():
            return []
        modes = np.where(rows >= 0, subscriber.modes[rows], 0).astype(np.uint8)
        self.ticks_sent += int((modes > 0).sum())
        return mixed(packets, modes)

    def _other(self, subscriber: Subscriber, raw: Sequence[bytes]) -> list[bytes]:
        """Index packets go to who subscribed them; malformed ones to every socket with a subscription."""
        if not raw or not subscriber.modes.any():
            return []
        bodies = []
        for packet in raw:
            if not is_index(packet):
                bodies.append(packet)
                continue
            row = int(self._market.positions_of(np.array([int.from_bytes(packet[:4])]))[0])
            mode = int(subscriber.modes[row]) if row >= 0 else 0
            if mode:
                bodies.append(index_packet(packet, mode))
        self.ticks_sent += len(bodies)
        return container(bodies)

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)
        key, token = query.get("api_key", [""])[0], query.get("access_token", [""])[0]
        if self._hard_sockets and self.sockets >= self._hard_sockets:
            return connection.respond(http.HTTPStatus.TOO_MANY_REQUESTS, "Too many connections.\n")
        if self._authorised(key, token) and not self._board.strike("handshake"):
            return None
        return connection.respond(http.HTTPStatus.FORBIDDEN, "Incorrect `api_key` or `access_token`.\n")

    async def _serve(self, connection: ServerConnection) -> None:
        subscriber = Subscriber(connection, len(self._market.tokens))
        self._subscribers.add(subscriber)
        try:
            await subscriber.send([self._clock_frame()])
            if self.sockets > SOFT_SOCKETS:
                self.flagged += 1
                await subscriber.send([message_frame(f"More than {SOFT_SOCKETS} connections of one API key")])
            async for message in connection:
                await self._command(subscriber, message)
        except ConnectionClosed:
            return
        finally:
            self._subscribers.discard(subscriber)

    async def _command(self, subscriber: Subscriber, message: str | bytes) -> None:
        """A client's JSON. What is not understood gets an error frame; the socket survives."""
        try:
            order = json.loads(message)
            action, value = order["a"], order["v"]
            if action == "mode":
                mode, tokens = MODES[value[0]], value[1]
            else:
                mode, tokens = {"subscribe": QUOTE, "unsubscribe": 0}[action], value
            numbers = [token for token in tokens if type(token) is int]
        except (ValueError, KeyError, TypeError, IndexError):
            await subscriber.send([error_frame("Invalid request")])
            return
        await self._subscribe(subscriber, action, mode, numbers)

    async def _subscribe(self, subscriber: Subscriber, action: str, mode: int, tokens: list[int]) -> None:
        """Unknown tokens and strings give silence, as at Kite. A newly subscribed instrument's last packet
        is sent at once. A bare subscribe of a token that has a mode keeps it."""
        rows = [
            row for row in self._market.positions_of(np.array(tokens, dtype=np.int64)).tolist() if row >= 0
        ]
        if mode:
            used = int((subscriber.modes > 0).sum())
            fresh = [row for row in dict.fromkeys(rows) if not subscriber.modes[row]]
            if used + len(fresh) > MAX_TOKENS:
                await subscriber.send(
                    [error_frame(f"Subscription limit of {MAX_TOKENS} instruments exceeded")]
                )
                refused = set(fresh[max(0, MAX_TOKENS - used) :])
                rows = [row for row in rows if row not in refused]
        if action == "subscribe":
            rows = [row for row in rows if not subscriber.modes[row]]
        subscriber.set_modes(rows, mode)
        if mode:
            await subscriber.send(self._cached(rows, mode))

    def _cached(self, rows: Sequence[int], mode: int) -> list[bytes]:
        market = self._market
        seen = [row for row in rows if market.seen_at[row]]
        indices = [
            index_packet(market.index_packets[token], mode)
            for token in market.tokens[list(rows)].tolist()
            if token in market.index_packets
        ]
        self.ticks_sent += len(seen) + len(indices)
        return mixed(market.rows[seen], np.full(len(seen), mode, np.uint8)) + container(indices)

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S / 2)
            await self._suffer()
            now = time.monotonic()
            for subscriber in tuple(self._subscribers):
                if not subscriber.sending and now - subscriber.last_sent >= HEARTBEAT_S:
                    await subscriber.send([HEARTBEAT])

    async def _suffer(self) -> None:
        """What the armed socket faults do to the open sockets at this moment."""
        living = [subscriber for subscriber in tuple(self._subscribers) if not subscriber.dead]
        if living and (hit := self._board.strike("socket")):
            for subscriber in living:
                await self._strike(hit, subscriber)

    async def _strike(self, hit: Armed, subscriber: Subscriber) -> None:
        match hit.fault.name:
            case "silent_socket":
                subscriber.die()
            case "abrupt_close":
                reset(subscriber.connection.transport)
            case "poison_frame":
                await subscriber.send([poison(hit.text_of("kind"))])
            case "stale_tick":
                rows = np.flatnonzero((subscriber.modes > 0) & (self._market.seen_at > 0))
                await subscriber.send(mixed(stale(self._market.rows[rows]), subscriber.modes[rows]))


def _skewed(packets: Packets, texts: Sequence[str], seconds: int) -> tuple[Packets, list[str]]:
    moved: npt.NDArray[np.void] = packets.copy()
    for name in ("exchange_time", "last_trade_time"):
        moved[name] = (packets[name].astype(np.int64) + seconds).clip(0)
    return moved, [shift_stamps(text.encode(), seconds).decode() for text in texts]


def message_frame(message: str) -> str:
    return json.dumps({"type": "message", "data": message})


def error_frame(message: str) -> str:
    return json.dumps({"type": "error", "data": message})
