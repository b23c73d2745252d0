"""The sandbox process: REST, ticker and admin on three loopback addresses, one session, one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
import urllib.parse
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import uvicorn
import uvloop
from litestar.types import ASGIApp

from broker_adapter.sandbox.accounts import Accounts
from broker_adapter.sandbox.admin import Control, build_admin
from broker_adapter.sandbox.book import Book
from broker_adapter.sandbox.candles import CandleDesk
from broker_adapter.sandbox.exchange import Exchange
from broker_adapter.sandbox.fault_board import FaultBoard
from broker_adapter.sandbox.faulty_replies import FaultyReplies, LeakyProtocol
from broker_adapter.sandbox.faulty_updates import FaultyUpdates
from broker_adapter.sandbox.feed import FeedError, open_feed
from broker_adapter.sandbox.feed.port import MarketFeed
from broker_adapter.sandbox.latency import Latency
from broker_adapter.sandbox.limits import RateLimiter
from broker_adapter.sandbox.market import Market
from broker_adapter.sandbox.memory import clock_of, open_memory, recall
from broker_adapter.sandbox.player import Player, clock_frame, covering, first_instant
from broker_adapter.sandbox.postbacks import Postbacks, posting
from broker_adapter.sandbox.rest import Desk, build_rest
from broker_adapter.sandbox.rms import RiskDesk
from broker_adapter.sandbox.session_clock import SessionClock
from broker_adapter.sandbox.ticker import Ticker
from broker_adapter.sandbox.venue import Venue
from kitepilot.config import Config, ConfigError, override
from kitepilot.market import calendar
from kitepilot.market.calendar import Session
from kitepilot.run import Run

API_SECRET_VARIABLE = "KITEPILOT_API_SECRET"  # noqa: S105 the name of the variable, not a secret
RUSH_SPEED = 600.0  # on the way to `start_from`; faster would overshoot by minutes
KEEP_ALIVE_S = 75  # longer than our clients pause: a POST must not meet a socket that is being closed

log = logging.getLogger(__name__)


def main(run: Run) -> int:
    """Entry point under the supervisor. Serves until SIGTERM, also after the session's end."""
    secret = os.environ.get(API_SECRET_VARIABLE, "")
    if not secret:
        raise ConfigError(f"${API_SECRET_VARIABLE} is not set: the sandbox shares it with whoever logs in")
    venue = Venue(
        secret,
        state=run.folder / "exchange",
        postback_url=f"http://{run.config.api.host}:{run.config.api.port}/broker/postbacks",
    )
    return serve(run.config, venue, lambda: run.mark_ready("sandbox"))


def serve(config: Config, venue: Venue, ready: Callable[[], None]) -> int:
    """Open the feed, listen, play. Returns 0 after SIGTERM or SIGINT.

    Raises:
        ConfigError: a port in use or an address that is not loopback.
        FeedError, CalendarError: the day cannot be played.
    """
    feed = open_feed(config)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_sandbox(config, venue, feed, ready))
    return 0


async def run_sandbox(
    config: Config,
    venue: Venue,
    feed: MarketFeed,
    ready: Callable[[], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Everything in the running loop until `stop` is set or a signal comes. Raises what the feed raises."""
    stopping = stop or asyncio.Event()
    session = calendar.session(date.fromisoformat(config.session.date), allow_special=True)
    memory = open_memory(config, venue, feed)
    clock = clock_of(config, first_instant(feed, session), memory)
    exchange = build_exchange(config, venue, feed, session, clock.wake)
    accounts = Accounts(
        config.broker.api_key,
        venue.api_secret,
        venue.redirect_url,
        time.monotonic_ns,
        clock.now,
        venue.single_session,
    )
    board = FaultBoard(session.date, clock.now, config.market.seed)
    ticker = Ticker(
        exchange.market, accounts.authorised, lambda: clock_frame(clock.played), board, venue.hard_sockets
    )
    candles = CandleDesk(feed, session, lambda: clock.played, earlier_days(config), venue.sessions_back)
    desk = Desk(accounts, exchange, clock, RateLimiter(clock.now, time.monotonic_ns), candles)
    slices, note = recall(memory, covering(feed, session), desk, ticker)
    postbacks = Postbacks(venue.postback_url, venue.api_secret)
    told = postbacks.after(FaultyUpdates(board).through)
    player = Player(slices, clock, exchange, ticker, told, note)
    rest = FaultyReplies(build_rest(desk), board, accounts.expire)
    admin = build_admin(Control(clock, exchange, ticker, board, feed.description, feed.depth))
    broker = config.broker
    async with contextlib.AsyncExitStack() as stack:
        sockets = [listen(url) for url in (broker.rest_url, broker.ticker_url, broker.admin_url)]
        for sock in sockets:
            stack.callback(sock.close)
        if memory:
            stack.callback(memory.close)
        await stack.enter_async_context(_http(rest, sockets[0]))
        await stack.enter_async_context(_http(admin, sockets[2]))
        await ticker.start(sockets[1])
        stack.push_async_callback(ticker.stop)
        await stack.enter_async_context(posting(postbacks))
        _stop_on_signals(stopping)
        opening = asyncio.create_task(_open_up(clock, session.date, venue, ready))
        await _until_stopped(player, stopping, opening)


def build_exchange(
    config: Config, venue: Venue, feed: MarketFeed, session: Session, arrived: Callable[[], None]
) -> Exchange:
    """A fresh exchange at the beginning of the session."""
    market, seed = Market(feed, venue.stale_after_s * 1_000_000_000), config.market.seed
    book = Book(session.date, seed)
    rms = RiskDesk(market, book, venue.cash_rupees * 100, venue.no_mis_percent)
    latency = Latency(venue.latency_mean_ms, seed, venue.latency_shares)
    return Exchange(market, session, book, latency, rms, arrived, square_off=venue.square_off)


def earlier_days(config: Config) -> Callable[[date], MarketFeed | None]:
    """The same market on other session dates; None where a recording has no such day."""

    def feed_of(day: date) -> MarketFeed | None:
        try:
            return open_feed(override(config, **{"session.date": day.isoformat()}))
        except FeedError:
            return None

    return feed_of


async def _open_up(clock: SessionClock, day: date, venue: Venue, ready: Callable[[], None]) -> None:
    """Start the session if it should start by itself; ready once it is where it should begin."""
    if venue.start_at_once:
        clock.start()
        if venue.start_from:
            pace, begins_at = clock.speed, calendar.ist_ns(day, venue.start_from)
            clock.set_speed(RUSH_SPEED)
            while clock.now() < begins_at:
                await asyncio.sleep(0.005)
            clock.set_speed(pace)
    ready()


async def _until_stopped(player: Player, stopping: asyncio.Event, opening: asyncio.Task[None]) -> None:
    """The session plays in the background; after it the sandbox goes on answering."""
    playing = asyncio.create_task(player.run())
    waiting = asyncio.create_task(stopping.wait())
    pending: set[asyncio.Task[Any]] = {opening, playing, waiting}
    try:
        while not waiting.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in (opening, playing, waiting):
            task.cancel()
        await asyncio.gather(opening, playing, waiting, return_exceptions=True)


def listen(url: str) -> socket.socket:
    """A bound loopback socket for `http://127.0.0.1:18210` or `ws://...`.

    Raises:
        ConfigError: no port, another host than loopback, or the port is taken.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost") or not parts.port:
        raise ConfigError(f"sandbox address {url}: expected loopback and a port, like http://127.0.0.1:18210")
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", parts.port))
        sock.listen(128)
    except OSError as err:
        sock.close()
        raise ConfigError(
            f"port {parts.port} ({url}) cannot be used: {err.strerror}. Stop what uses it or change `broker`."
        ) from err
    sock.setblocking(False)
    return sock


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: this process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _http(app: ASGIApp, sock: socket.socket):  # type: ignore[no-untyped-def]
    config = uvicorn.Config(
        app,
        http=LeakyProtocol,
        date_header=False,  # a fault may shift the venue's clock
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:
        if serving.done():
            serving.result()
            raise RuntimeError("the HTTP server ended before it started")
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def _stop_on_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(RuntimeError, ValueError):  # not in the main thread: the caller stops us
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:  # under a supervisor Ctrl-C is not for us
                loop.add_signal_handler(number, stopping.set)
