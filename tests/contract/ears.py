"""The ticker heard two ways: by KitePilot's client in a thread, by the unmodified KiteTicker in a process.

Both give the same events, lists of plain values:
["up"], ["tick", token, mode, last paise], ["order", status, tag], ["down", reason].
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from sandbox_thread import wait

from broker_adapter.kite.ticker import Binary, Down, Frame, Text, Ticker, Up
from broker_adapter.kite.wire import OrderSaid, decode, read_text
from kitepilot.config import BrokerSection
from kitepilot.market.ticks import RECORD_DTYPE

Event = list[Any]


class Ears(Protocol):
    events: list[Event]

    def subscribe(self, token: int, mode: str) -> None: ...
    def unsubscribe(self, token: int) -> None: ...
    def close(self) -> None: ...


def hear(ears: Ears, wanted: Callable[[Event], bool], what: str, since: int = 0) -> Event:
    """The first event at or after index `since` that is wanted."""
    return wait(lambda: next(filter(wanted, ears.events[since:]), None), what)  # type: ignore[no-any-return]


class KitePilotEars:
    """`kite.ticker.Ticker` on an event loop of its own."""

    def __init__(self, broker: BrokerSection, token: str, idle_timeout_s: float = 6.0) -> None:
        self.events: list[Event] = []
        self._ticker = Ticker(broker.ticker_url, broker.api_key, lambda: token, idle_timeout_s=idle_timeout_s)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ears")
        self._thread.start()
        self._running = asyncio.run_coroutine_threadsafe(self._ticker.run(self._put), self._loop)

    async def _put(self, frame: Frame) -> None:
        match frame:
            case Up():
                self.events.append(["up"])
            case Down(_, reason):
                self.events.append(["down", reason])
            case Text(_, text):
                if isinstance(said := read_text(text), OrderSaid):
                    self.events.append(["order", said.row["status"], said.row["tag"]])
            case Binary(at, raw):
                for packet in np.frombuffer(decode(raw, at).records, RECORD_DTYPE)["packet"]:
                    mode = "full" if packet["bids"][0]["price"] else "quote" if packet["open"] else "ltp"
                    self.events.append(["tick", int(packet["token"]), mode, int(packet["last_price"])])

    def subscribe(self, token: int, mode: str) -> None:
        self._call(self._ticker.subscribe([token], mode))  # type: ignore[arg-type]

    def unsubscribe(self, token: int) -> None:
        self._call(self._ticker.unsubscribe([token]))

    def close(self) -> None:
        self._running.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._ended())
        self._loop.close()

    @staticmethod
    async def _ended() -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*left, return_exceptions=True)

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


STOCK = """
import json, sys, threading
from kiteconnect import KiteTicker
from twisted.internet import reactor
root, key, token = sys.argv[1:]
ticker = KiteTicker(key, token, root=root)
def say(*event):
    print(json.dumps(event), flush=True)
def ticks(ws, ticks):
    for t in ticks:
        say("tick", t["instrument_token"], t["mode"], round(t["last_price"] * 100))
ticker.on_connect = lambda ws, response: say("up")
ticker.on_ticks = ticks
ticker.on_order_update = lambda ws, row: say("order", row["status"], row["tag"])
ticker.on_close = lambda ws, code, reason: say("down", str(reason))
ticker.on_error = lambda ws, code, reason: say("down", str(reason))
def commands():
    for line in sys.stdin:
        reactor.callFromThread(follow, *json.loads(line))
    reactor.callFromThread(reactor.stop)
def follow(word, instrument, mode):
    if word == "subscribe":
        ticker.subscribe([instrument])
        ticker.set_mode(mode, [instrument])
    else:
        ticker.unsubscribe([instrument])
threading.Thread(target=commands, daemon=True).start()
ticker.connect()
"""


class StockEars:
    """`kiteconnect.KiteTicker` in a process of its own: its reactor runs once and for good."""

    def __init__(self, broker: BrokerSection, token: str) -> None:
        self.events: list[Event] = []
        self._child = subprocess.Popen(
            [sys.executable, "-c", STOCK, broker.ticker_url, broker.api_key, token],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name="stock-ears")
        self._reader.start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self.events.append(json.loads(line))

    def subscribe(self, token: int, mode: str) -> None:
        self._tell("subscribe", token, mode)

    def unsubscribe(self, token: int) -> None:
        self._tell("unsubscribe", token, "")

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        self._reader.join()

    def _tell(self, *command: object) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(command) + "\n")
        self._child.stdin.flush()
