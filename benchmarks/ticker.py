"""Our ticker client against the unmodified KiteTicker: CPU, latency, decoding.

A server in a process of its own sends full packets in containers at 10,000 and 30,000 ticks/s; each client
runs in a fresh process, in turns (ours, theirs, ours, ...), against the same server. CPU is the client
process's share of one core while it receives; latency is from the server's stamp, just before it sends a
container, to the client's callback with the container decoded (same machine, same clock). Ours ends in
192-byte records, theirs in a dict per tick with floats: what each hands to its user.

Usage: python benchmarks/ticker.py [--quick] [--seconds 6] [--rounds 2] [--container 100]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psutil
import uvloop

from broker_adapter.kite.ticker import Binary, Frame, Ticker
from broker_adapter.kite.wire import decode
from broker_adapter.sandbox.packets import FULL, uniform
from kitepilot.market.ticks import PACKET_DTYPE, RECORD_BYTES, records

RATES = (10_000, 30_000)
WARM_UP_S = 0.5
FIRST_TOKEN = 100_001 * 256 + 1
STAMP_AT = 2 + 2 + PACKET_DTYPE.fields["oi_high"][1]  # the two words where ordinary shares have zeros
DECODE_S = 0.5
CLIENTS = ("ours", "kite")


def containers(size: int) -> bytes:
    """One container of `size` plausible full packets."""
    rng = np.random.default_rng(1)
    packets = np.zeros(size, dtype=PACKET_DTYPE)
    packets["token"] = FIRST_TOKEN + 256 * np.arange(size)
    packets["exchange_time"] = packets["last_trade_time"] = 1_795_146_300
    for name in ("last_price", "average_price", "open", "high", "low", "close"):
        packets[name] = rng.integers(10_000, 500_000, size)
    for name in ("last_quantity", "volume", "total_buy_quantity", "total_sell_quantity"):
        packets[name] = rng.integers(1, 1_000_000, size)
    for side in ("bids", "asks"):
        for name, most in (("quantity", 5_000), ("price", 500_000), ("orders", 50)):
            packets[side][name] = rng.integers(1, most, (size, 5))
    [frame] = uniform(packets, FULL)
    return frame


# --- the server, a process of its own ---------------------------------------------------------------------


async def serve_ticks(size: int) -> None:
    """Sends to whoever connects, at the rate its path names, until it goes. Prints its port first."""
    from websockets.asyncio.server import ServerConnection, serve
    from websockets.exceptions import ConnectionClosed

    blank = containers(size)

    async def handler(socket: ServerConnection) -> None:
        rate = float(socket.request.path.split("rate=")[1].split("&")[0])  # type: ignore[union-attr]
        frame, pause, due = bytearray(blank), size / rate, time.perf_counter()
        with contextlib.suppress(ConnectionClosed):
            await socket.recv()  # the subscription
            while True:
                struct.pack_into(">Q", frame, STAMP_AT, time.time_ns())
                await socket.send(bytes(frame))
                due += pause
                await asyncio.sleep(max(due - time.perf_counter(), 0))

    async with serve(handler, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


# --- the clients, each a process of its own ---------------------------------------------------------------


class Meter:
    """Counts from the first container after the warm-up on, for `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began: tuple[float, float] | None = None
        self._first = 0.0
        self._ticks = 0
        self._delays: list[int] = []

    def take(self, ticks: int, sent_at: int) -> bool:
        """One decoded container; whether that is enough."""
        now = time.perf_counter()
        self._first = self._first or now
        if self._began is None:
            if now - self._first >= WARM_UP_S:
                self._began = now, time.process_time()
            return False
        self._delays.append(time.time_ns() - sent_at)
        self._ticks += ticks
        return now - self._began[0] >= self._seconds

    def tell(self) -> None:
        assert self._began
        wall, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        p50, p95, p99 = np.percentile(self._delays, (50, 95, 99)) / 1e6
        found = {
            "ticks_per_s": self._ticks / wall, "cpu_percent": 100 * cpu / wall,
            "cpu_us_per_tick": 1e6 * cpu / self._ticks, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99,
        }  # fmt: skip
        print(json.dumps({name: round(float(value), 3) for name, value in found.items()}), flush=True)
        os._exit(0)  # a Twisted reactor has no other quick end


def run_ours(url: str, seconds: float) -> None:
    meter = Meter(seconds)

    async def put(frame: Frame) -> None:
        if isinstance(frame, Binary):
            decoded = decode(frame.raw, frame.received_at)
            (sent_at,) = struct.unpack_from(">Q", decoded.records, STAMP_AT - 4 + 8)
            if meter.take(len(decoded.records) // RECORD_BYTES, sent_at):
                meter.tell()

    uvloop.run(Ticker(url, "key", lambda: "token", tokens=[FIRST_TOKEN]).run(put))


def run_kite(url: str, seconds: float) -> None:
    from kiteconnect import KiteTicker

    meter = Meter(seconds)
    client = KiteTicker("key", "token", root=url)

    def on_ticks(_: Any, ticks: list[dict[str, Any]]) -> None:
        sent_at = (ticks[0]["oi_day_high"] << 32) | ticks[0]["oi_day_low"]
        if meter.take(len(ticks), sent_at):
            meter.tell()

    client.on_ticks = on_ticks
    client.on_connect = lambda ws, _: (ws.subscribe([FIRST_TOKEN]), ws.set_mode(ws.MODE_FULL, [FIRST_TOKEN]))
    client.connect()


# --- the measurement ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def server(size: int) -> Iterator[int]:
    words = [sys.executable, __file__, "--serve", "--container", str(size)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def one_run(client: str, port: int, rate: int, seconds: float) -> dict[str, float]:
    url = f"ws://127.0.0.1:{port}/?rate={rate}&ignore="
    words = [sys.executable, __file__, "--client", client, "--url", url, "--seconds", str(seconds)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60 + seconds, check=False)
    if done.returncode or not done.stdout:
        raise SystemExit(f"the {client} client failed: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def decode_rates(size: int) -> dict[str, float]:
    """Ticks/s of decoding alone, in turns; the best of three of each."""
    from kiteconnect import KiteTicker

    frame, stock = containers(size), KiteTicker("key", "token")
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: decode(frame, 1),
        "ours_as_columns": lambda: _columns(decode(frame, 1).records),
        "kite": lambda: stock._parse_binary(frame),
    }
    best = dict.fromkeys(ways, 0.0)
    for _ in range(3):
        for name, way in ways.items():
            began, count = time.perf_counter(), 0
            while (elapsed := time.perf_counter() - began) < DECODE_S / 3:
                way()
                count += 1
            best[name] = max(best[name], count * size / elapsed)
    return best


def _columns(raw: bytes) -> list[Any]:
    """Every price and quantity of the packets as native arrays: nearer to what the stock client gives."""
    packets = records(raw)["packet"]
    return [packets[name].astype(np.int64) for name in PACKET_DTYPE.names if name not in ("bids", "asks")] + [
        packets[side][name].astype(np.int64) for side in ("bids", "asks") for name in ("quantity", "price")
    ]


def measure(rates: tuple[int, ...], rounds: int, seconds: float, size: int) -> list[dict[str, Any]]:
    rows = []
    with server(size) as port:
        for rate in rates:
            runs: dict[str, list[dict[str, float]]] = {client: [] for client in CLIENTS}
            for _ in range(rounds):
                for client in CLIENTS:
                    runs[client].append(one_run(client, port, rate, seconds))
            middle = {c: {k: statistics.median(r[k] for r in runs[c]) for k in runs[c][0]} for c in CLIENTS}
            ratio = middle["kite"]["cpu_us_per_tick"] / middle["ours"]["cpu_us_per_tick"]
            rows.append({"rate": rate, **middle, "runs": runs, "cpu_ratio": round(ratio, 2)})
            for client in CLIENTS:
                m = middle[client]
                print(
                    f"{rate:6,} ticks/s  {client:5} reached {m['ticks_per_s']:8,.0f}/s"
                    f"  CPU {m['cpu_percent']:5.1f} % of a core"
                    f"  p50 {m['p50_ms']:6.2f}  p95 {m['p95_ms']:6.2f}  p99 {m['p99_ms']:6.2f} ms"
                )
            print(f"{'':15}KiteTicker takes {ratio:.1f} times the CPU of ours for a tick")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="10,000 ticks/s, one round of 2 s")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each run, after the warm-up")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--container", type=int, default=100, help="ticks in one frame")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        uvloop.run(serve_ticks(asked.container))
    elif asked.client:
        {"ours": run_ours, "kite": run_kite}[asked.client](asked.url, asked.seconds)
    else:
        report(asked)


def report(asked: argparse.Namespace) -> None:
    load = "/".join(f"{value:.1f}" for value in psutil.getloadavg())
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {psutil.cpu_count()} cores, load {load}")
    rates, rounds, seconds = (RATES[:1], 1, 2.0) if asked.quick else (RATES, asked.rounds, asked.seconds)
    rows = measure(rates, rounds, seconds, asked.container)
    decoding = decode_rates(asked.container)
    for name, rate in decoding.items():
        print(f"decode only  {name:16} {rate:12,.0f} ticks/s  {rate / decoding['kite']:6.1f} x KiteTicker")
    figures = {name: round(rate) for name, rate in decoding.items()}
    print(json.dumps({"benchmark": "ticker", "container": asked.container, "rows": rows, "decode": figures}))


if __name__ == "__main__":
    main()
