"""kill -9 of a sandbox that is being traded on: what was answered is still true afterwards."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import requests
from kiteconnect import KiteConnect
from kiteconnect.exceptions import KiteException, NetworkException
from loopback_ports import free_ports

MOMENTS = 3


@contextmanager
def process(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "broker_adapter.sandbox", "--date", "2026-11-20", "--instruments", "4"]
    words += ["--port", str(port), "--state", str(folder), "--start", "--from", "09:16", "--speed", "30"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        for line in child.stdout:
            if line == b"ready\n":
                break
        else:
            raise AssertionError("the sandbox ended")
        yield child
    finally:
        child.kill()
        child.wait(20)


def logged_in(port: int) -> KiteConnect:
    kite = KiteConnect("kitepilot_paper", root=f"http://127.0.0.1:{port}")
    reply = httpx.get(f"{kite.root}/connect/login", params={"v": 3, "api_key": kite.api_key})
    token = httpx.URL(reply.headers["location"]).params["request_token"]
    kite.generate_session(token, "sandbox")
    return kite


class Trader:
    """Places, changes and cancels until the sandbox is gone; keeps what it was told."""

    def __init__(self, kite: KiteConnect, symbol: str, rng: random.Random) -> None:
        self.kite, self.symbol, self.rng = kite, symbol, rng
        self.answered: list[str] = []
        self.seen: dict[str, list[str]] = {}

    def act(self, number: int) -> None:
        try:
            if self.answered and number % 4 == 2:
                self.kite.cancel_order("regular", self.rng.choice(self.answered))
            elif number % 4 == 3:
                for row in self.kite.orders():
                    self.seen.setdefault(row["order_id"], []).append(row["status"])
            else:
                self.answered.append(self.place(number))
        except KiteException:
            return  # too late or too often

    def place(self, number: int) -> str:
        last = self.kite.ltp(f"NSE:{self.symbol}")[f"NSE:{self.symbol}"]["last_price"]
        price = round(last * (1.01 if number % 4 else 0.99), 0)
        side = self.rng.choice(("BUY", "SELL"))
        return str(
            self.kite.place_order(
                "regular", "NSE", self.symbol, side, 5, "MIS", "LIMIT", price, tag=f"T{number}"
            )
        )


def patiently(call: Callable[..., Any], *words: object) -> Any:
    """The answer to a read, asked again while there were too many of them."""
    for _ in range(200):
        with suppress(NetworkException):
            return call(*words)
        time.sleep(0.01)
    raise AssertionError("throttled for too long")


def told(kite: KiteConnect) -> dict[str, Any]:
    return {row["order_id"]: row for row in patiently(kite.orders)}


def test_every_order_that_was_answered_survives_kill_9_with_the_token_that_placed_it(tmp_path):
    port, rng, numbers = free_ports(3)[0], random.Random(7), itertools.count()
    trader: Trader | None = None
    symbol = ""
    for _ in range(MOMENTS):
        with process(tmp_path, port) as child:
            if trader is None:
                kite = logged_in(port)
                symbol = next(
                    row["tradingsymbol"]
                    for row in kite.instruments("NSE")
                    if row["segment"] == "NSE" and "-" not in row["tradingsymbol"]
                )
                trader = Trader(kite, symbol, rng)
            book = told(trader.kite)
            assert set(trader.answered) <= set(book)
            assert len({row["tag"] for row in book.values()}) == len(book), "an order was doubled"
            for order_id, statuses in trader.seen.items():
                known = {state["status"] for state in patiently(trader.kite.order_history, order_id)}
                assert set(statuses) <= known
            deadline = time.monotonic() + rng.uniform(1.0, 2.0)
            while time.monotonic() < deadline:
                trader.act(next(numbers))
            os.kill(child.pid, signal.SIGKILL)  # the moment itself is what is tested
            with suppress(requests.exceptions.RequestException):
                trader.act(4 * next(numbers))
    assert len(trader.answered) > MOMENTS
    with process(tmp_path, port):
        book, trades, positions = at_one_instant(trader.kite)
        assert set(trader.answered) <= set(book)
        for order_id, row in book.items():
            assert sum(t["quantity"] for t in trades if t["order_id"] == order_id) == row["filled_quantity"]
        bought = sum(t["quantity"] * (1 if t["transaction_type"] == "BUY" else -1) for t in trades)
        held = {row["tradingsymbol"]: row["quantity"] for row in positions["net"]}
        assert held.get(symbol, 0) == bought


def at_one_instant(kite):
    """Orders, trades and positions between two equal trade books: no order filled while they were read."""
    while True:
        before = patiently(kite.trades)
        book, positions = told(kite), patiently(kite.positions)
        if patiently(kite.trades) == before:
            return book, before, positions
