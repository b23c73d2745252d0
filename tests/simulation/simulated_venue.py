"""The broker in one process: the sandbox's exchange, its faults and limits, behind a wire and a socket.

The real `Exchange`, `FaultBoard`, `FaultyUpdates` and `RateLimiter` answer; this module is what the sandbox's
REST application, player and ticker are around them. The stock Kite client talks to `Wire` as to a network.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests
from simulated_market import SimulatedMarket
from simulated_stores import Effects
from urllib3.exceptions import NewConnectionError
from virtual_loop import VirtualLoop

from broker_adapter.kite.ticker import Down, Put, Text, Up
from broker_adapter.sandbox import rows
from broker_adapter.sandbox.admission import not_found
from broker_adapter.sandbox.book import Book
from broker_adapter.sandbox.errors import KiteError, bad_input, bad_token
from broker_adapter.sandbox.exchange import Exchange
from broker_adapter.sandbox.fault_board import Armed, FaultBoard
from broker_adapter.sandbox.faulty_frames import POISON
from broker_adapter.sandbox.faulty_replies import (
    ALWAYS_REACHED,
    JSON,
    REFUSALS,
    WEB_PAGE,
    handling_of,
    shift_stamps,
)
from broker_adapter.sandbox.faulty_updates import FaultyUpdates
from broker_adapter.sandbox.input_log import Entry, Played
from broker_adapter.sandbox.latency import Latency
from broker_adapter.sandbox.limits import RateLimiter
from broker_adapter.sandbox.market import Market
from broker_adapter.sandbox.orders import ON_TIME, Handling, Order
from broker_adapter.sandbox.player import clock_frame, order_frame
from broker_adapter.sandbox.resume import resume
from broker_adapter.sandbox.rms import RiskDesk
from kitepilot.market.calendar import Session

S = 1_000_000_000
STALE_AFTER_NS = 90 * S
CASH_PAISE = 20_00_000_00
HOLD_S = 7.0  # how long the client waits for a reply that does not come: broker.request_timeout_s
IDLE_S = 6.0
_decode = msgspec.json.decode


class Venue:
    """One account's day. Session time moves by `step`; requests come at the time `now` says."""

    def __init__(
        self, seed: int, session: Session, feed: SimulatedMarket, loop: VirtualLoop, effects: Effects
    ) -> None:
        self._seed, self.session, self.feed, self.loop, self.effects = seed, session, feed, loop, effects
        self._draws = random.Random(f"{seed}:venue")
        self.exchange = self._fresh()
        self.board = FaultBoard(session.date, self.now, seed)
        self.updates = FaultyUpdates(self.board)
        self.limiter = RateLimiter(self.now, lambda: round(loop.monotonic() * S))
        self.entries: list[Entry] = []
        self.exchange.record = self.entries.append
        self.sockets: list[Socket] = []
        self.up = True
        self.reachable = "yes"  # yes | refused | silent: of the gateway
        self.token = "token-0"
        self._pace = (0.0, session.pre_open_at, session.pre_open_at, 1.0)  # loop s, from, to, session s per s
        self.hits: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.over_limit: list[tuple[float, str]] = []
        self._rows: dict[str, tuple[Order, rows.Row]] = {}
        self.fenced: Callable[[], bool] = lambda: False
        self.behind_fence: list[str] = []
        self.on_expiry: Callable[[], None] = lambda: None

    # --- time -------------------------------------------------------------------------------------------

    def now(self) -> int:
        since, start, end, speed = self._pace
        return min(start + int((self.loop.now - since) * speed * S), end)

    def pace(self, until: int, seconds: float) -> None:
        """Session time runs from what was played to `until` within so many seconds."""
        start = max(self.exchange.played, self.session.pre_open_at)
        self._pace = (self.loop.now, start, until - 1, (until - start) / S / seconds)

    def step(self, until: int) -> Any:
        """Play up to `until` and tell of it; returns the packets played."""
        since = self.exchange.played
        piece = self.feed.piece(since, until)
        if not self.up:
            return piece
        updates = self.exchange.advance(piece.packets, piece.sent_at, until)
        self._note()
        skew = self._skew_s()
        for order in self.updates.through(updates, until):
            text = order_frame(order)
            self._tell(shift_stamps(text.encode(), skew).decode() if skew else text)
        self._suffer()
        self._tell(clock_frame(until))
        return piece

    def _note(self) -> None:
        book = self.exchange.book
        self.entries.append(Played(self.exchange.played, "running", "1", len(book.orders), len(book.trades)))

    # --- crash and resume -----------------------------------------------------------------------------------

    def crash(self) -> None:
        """The venue's process is gone; what it was asked is in its input log."""
        self.up = False
        for socket in list(self.sockets):
            socket.break_off()

    def resume(self) -> None:
        """A fresh exchange plays the session again, from its input log, to where the last one stood."""
        before = self.exchange
        exchange = self._fresh()
        resume(exchange, iter([self.feed.piece(0, self.session.close_at + 3600 * S)]), self.entries)
        exchange.record = self.entries.append
        assert _fingerprint(exchange) == _fingerprint(before), "the exchange resumed as something else"
        self.exchange, self.up = exchange, True
        self._rows.clear()
        limiter = RateLimiter(self.now, lambda: round(self.loop.monotonic() * S))
        limiter.restore(self.limiter.saved())
        self.limiter = limiter

    def _fresh(self) -> Exchange:
        market, book = Market(self.feed, STALE_AFTER_NS), Book(self.session.date, self._seed)
        desk = RiskDesk(market, book, CASH_PAISE, 0)
        return Exchange(market, self.session, book, Latency(30.0, self._seed), desk)

    # --- the ticker -----------------------------------------------------------------------------------------

    def _tell(self, text: str) -> None:
        for socket in self.sockets:
            socket.send(text, self._draws.uniform(0.0003, 0.02))

    def _suffer(self) -> None:
        hit = self.board.strike("socket")
        if hit is None:
            return
        self.hits[hit.fault.name] += 1
        for socket in list(self.sockets):
            match hit.fault.name:
                case "silent_socket":
                    socket.dead = True
                case "abrupt_close":
                    socket.break_off()
                case "poison_frame":
                    poison = POISON[hit.text_of("kind")]
                    if isinstance(poison, str):
                        socket.send(poison, 0.001)

    # --- requests -----------------------------------------------------------------------------------------

    def request(self, method: str, path: str, form: dict[str, Any], query: Any, token: str) -> Reply:
        """One request at this instant. Raises what `requests` raises for a broken connection."""
        if self.reachable == "refused" or not self.up:
            raise requests.ConnectionError(NewConnectionError(None, "connection refused"))  # type: ignore[arg-type]
        if self.reachable == "silent":
            self.hits["silent_network"] += 1
            self.loop.spend(HOLD_S)
            if self._draws.random() < 0.5:  # it arrived, and the answer did not
                self._handled(method, path, form, query, token, ON_TIME)
            raise requests.ReadTimeout("read timed out (simulated)")
        self.effects.point()
        reply = self._faulty(method, path, form, query, token)
        self.loop.spend(self._draws.uniform(0.002, 0.03))
        self.effects.point()
        return reply

    def _faulty(self, method: str, path: str, form: dict[str, Any], query: Any, token: str) -> Reply:
        board, route = self.board, f"{method} {path}"
        if board.strike("venue", only=("token_expired",)):
            self.hits["token_expired"] += 1
            self.expire()
        placement = route.startswith("POST /orders/")
        if placement:
            board.count_order()
        about = {"route": route, "symbol": form.get("tradingsymbol", ""), "tag": form.get("tag", "")}
        hit = board.strike("reply", **about)
        handling = ON_TIME
        if placement:
            stuck = board.strike("order", only=("stuck_order",), **about)
            refused = board.strike("order", only=("rms_rejected",), **about)
            handling = handling_of(hit, stuck, refused)
            self.hits.update(each.fault.name for each in (stuck, refused) if each)
        if hit is None:
            return self._skewed(self._handled(method, path, form, query, token, handling))
        self.hits[hit.fault.name] += 1
        return self._spoiled(hit, lambda: self._handled(method, path, form, query, token, handling))

    def _spoiled(self, hit: Armed, handle: Callable[[], Reply]) -> Reply:
        name = hit.fault.name
        reached = name in ALWAYS_REACHED or hit.parameters.get("reached") == "yes"
        reply = handle() if reached else None
        match name:
            case "timeout_after_accept":
                self.loop.spend(HOLD_S)
                raise requests.ReadTimeout("read timed out (simulated)")
            case "reset_mid_reply":
                raise requests.ConnectionError("connection reset by peer (simulated)")
            case "no_content_type":
                assert reply is not None
                return Reply(reply.status_code, reply.body, "")
            case "html_error":
                return Reply(502, WEB_PAGE, "text/html")
        status, kind, text = REFUSALS[name]
        return Reply(status, KiteError(status, kind, text).envelope())

    def _handled(
        self, method: str, path: str, form: dict[str, Any], query: Any, token: str, handling: Handling
    ) -> Reply:
        """The reply without faults."""
        try:
            if token != self.token:
                raise bad_token()
            self._admit(method, path)
            return Reply(
                200, {"status": "success", "data": self._answer(method, path, form, query, handling)}
            )
        except KiteError as err:
            return Reply(err.status, err.envelope())

    def _admit(self, method: str, path: str) -> None:
        scope = "order" if path.startswith("/orders/") and method != "GET" else "other"
        try:
            if scope == "order" and method == "POST":
                self.limiter.admit_placement()
            else:
                self.limiter.admit("quote" if path.startswith("/quote") else scope)  # type: ignore[arg-type]
            window = self.limiter._windows["order"]
            self.hits["seconds with ten orders"] += scope == "order" and window.used == 10
        except KiteError:
            self.over_limit.append((self.loop.now, f"{method} {path}"))
            raise

    def _answer(self, method: str, path: str, form: dict[str, Any], query: Any, handling: Handling) -> Any:
        self.asked[f"{method} {path.split('/')[1]}"] += 1
        exchange = self.exchange
        match method, path.strip("/").split("/"):
            case "POST", ["orders", variety]:
                form = {name: str(value) for name, value in form.items()}
                if self.fenced():
                    self.behind_fence.append(f"{self.loop.now:.3f} {form.get('tag')}")
                return {"order_id": exchange.place(variety, form, self.now(), handling).order_id}
            case "PUT", ["orders", _, order_id]:
                return {"order_id": exchange.modify(order_id, form, self.now())}
            case "DELETE", ["orders", _, order_id]:
                return {"order_id": exchange.cancel(order_id, self.now())}
            case "GET", ["orders"]:
                listed = [self._row(order) for order in exchange.book.orders.values()]
                self._draws.shuffle(listed)  # the order of rows is not promised
                return listed
            case "GET", ["orders", order_id]:
                if order_id not in exchange.book.histories:
                    raise not_found(order_id)
                return [rows.order_row(order) for order in exchange.book.histories[order_id]]
            case "GET", ["orders", order_id, "trades"]:
                if order_id not in exchange.book.orders:
                    raise not_found(order_id)
                return [rows.trade_row(trade) for trade in exchange.book.trades_of(order_id)]
            case "GET", ["trades"]:
                return [rows.trade_row(trade) for trade in exchange.book.trades]
            case "GET", ["portfolio", "positions"]:
                return self._positions()
            case "GET", ["user", "margins", "equity"]:
                desk = exchange.rms
                return rows.margins_row(desk.cash_paise, desk.used_margin_paise(), desk.pnl_paise())
            case "GET", ["quote"]:
                return self._quotes(query)
        raise bad_input(f"the simulated broker has no {method} {path}")

    def _row(self, order: Order) -> rows.Row:
        held = self._rows.get(order.order_id)
        if held is None or held[0] is not order:
            held = self._rows[order.order_id] = (order, rows.order_row(order))
        return held[1]

    def _positions(self) -> Any:
        market, tallies = self.exchange.market, self.exchange.book.tallies
        held = [
            rows.position_row(market.instruments[token], tally, market.last_paise(token))
            for token, tally in tallies.items()
        ]
        return {"net": held, "day": held}

    def _quotes(self, query: Any) -> Any:
        market, asked = self.exchange.market, query["i"] if isinstance(query, dict) else []
        found = {}
        for key in [asked] if isinstance(asked, str) else asked:
            instrument = market.by_symbol.get(str(key).removeprefix("NSE:"))
            packet = market.row(instrument.token) if instrument else None
            if instrument is not None and packet is not None:
                found[key] = rows.quote_row(instrument, packet)
        return found

    def _skew_s(self) -> int:
        skew = self.board.standing("clock_skew")
        return round(skew.number_of("seconds")) if skew else 0

    def _skewed(self, reply: Reply) -> Reply:
        skew = self._skew_s()
        if skew and not isinstance(reply.body, bytes):
            self.hits["clock_skew"] += 1
            return Reply(reply.status_code, _decode(shift_stamps(msgspec.json.encode(reply.body), skew)))
        return reply

    def expire(self) -> None:
        """All tokens end; a person logs in again a little later (see `Wire`)."""
        self.token = f"token-{int(self.token.rpartition('-')[2]) + 1}"
        self.on_expiry()

    def place_by_hand(self, symbol: str, buy: bool, quantity: int, last_paise: int) -> None:
        """The owner trades in the broker's own application."""
        tick = self.exchange.market.by_symbol[symbol].tick_size_paise
        price = last_paise * (102 if buy else 98) // 100 // tick * tick
        form = {
            "exchange": "NSE", "tradingsymbol": symbol, "transaction_type": "BUY" if buy else "SELL",
            "quantity": str(quantity), "product": "MIS", "order_type": "LIMIT", "validity": "IOC",
            "price": f"{price // 100}.{price % 100:02d}",
        }  # fmt: skip
        try:
            self.exchange.place("regular", form, self.now())
        except KiteError:
            return
        self.hits["owner_trades"] += 1


class Reply:
    """What the stock client reads of a `requests.Response`."""

    def __init__(self, status_code: int, body: Any, content_type: str = JSON.decode()) -> None:
        self.status_code = status_code
        self.body = body
        self.headers = {"content-type": content_type} if content_type else {}

    @property
    def content(self) -> Any:
        return self.body

    def json(self) -> Any:
        return self.body


class Wire:
    """Stands where the stock client's `requests.Session` stands."""

    def __init__(self, venue: Venue, token: str) -> None:
        self._venue = venue
        self._token = token

    def request(self, method: str, url: str, **more: Any) -> Reply:
        form = dict(more.get("data") or {})
        return self._venue.request(method, urlsplit(url).path, form, more.get("params"), self._token)


class Socket:
    """One ticker connection: frames arrive in order, each after its own delay."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()
        self._last = 0.0
        self._waiting: deque[str | None] = deque()
        self.dead = False

    def send(self, text: str | None, delay: float) -> None:
        if self.dead:
            return
        self._last = max(self._last + 1e-6, self._loop.now + delay)
        self._loop.at(self._last - self._loop.now, self._frames.put_nowait, text)

    def break_off(self) -> None:
        self.send(None, 0.0)
        self.dead = True

    async def receive(self) -> str | None:
        return await self._frames.get()


class SimulatedEars:
    """`broker_adapter.gateway.main.Ears` over the venue: connects, reads, reconnects as the ticker does."""

    def __init__(self, venue: Venue, draws: random.Random, token: Callable[[], str]) -> None:
        self._venue = venue
        self._draws = draws
        self._token = token

    async def run(self, put: Put) -> None:
        loop = self._venue.loop
        while True:
            reason = self._refusal()
            if not reason:
                reason = await self._listen(put)
            await put(Down(loop.time_ns(), reason))
            await asyncio.sleep(self._draws.uniform(0.3, 1.5))

    def _refusal(self) -> str:
        venue = self._venue
        if not venue.up or venue.reachable != "yes":
            return "OSError: simulated"
        if self._token() != venue.token or venue.board.strike("handshake"):
            return "login needed: handshake refused"
        return ""

    async def _listen(self, put: Put) -> str:
        venue, loop = self._venue, self._venue.loop
        socket = Socket(loop)
        venue.sockets.append(socket)
        try:
            socket.send(clock_frame(max(venue.exchange.played, venue.session.pre_open_at)), 0.001)
            await put(Up(loop.time_ns()))
            while True:
                try:
                    async with asyncio.timeout(IDLE_S):
                        text = await socket.receive()
                except TimeoutError:
                    return f"silent for {IDLE_S:g} s"
                if text is None:
                    return "closed"
                await put(Text(loop.time_ns(), text))
        finally:
            venue.sockets.remove(socket)


def _fingerprint(exchange: Exchange) -> Any:
    book = exchange.book
    return (exchange.played, dict(book.orders), list(book.trades), exchange.next_arrival())
