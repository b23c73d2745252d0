"""From the log to fifty readers' eyes: an order event's age when it is read, and what readers cost.

    python benchmarks/live_readers.py [--quick] [--readers 50]

The API runs as its own process over an embedded log, as in a day. This process says an order event, a mark
and an account 20 times a second, and reads the streams. Interleaved: nobody; one reader; fifty readers; then
fifty and one more that opens its stream and never reads. The age of an event is the machine's time at which a
reader has its line, less the time at which it was handed to the log. The aim is 250 ms p95.

What readers cost trading is the time one append takes the writer, beside a round without any reader. Prints a
line a round, then JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from infra.eventlog import open_log
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot.config import Config
from kitepilot.market import calendar
from kitepilot.ports import EventLog
from kitepilot.run import RUN_FOLDER_VARIABLE, Run
from kitepilot.topics import TOPICS

OPEN_AT = calendar.ist_ns(calendar.date.fromisoformat("2026-11-20"), "09:15")
TOKEN = 256
SAYS_PER_S = 20
AIM_MS = 250.0


def made(home: Path, port: int) -> tuple[Run, EventLog]:
    """A run that has begun, with one instrument."""
    config = configuration.override(Config(), **{"api.port": port})
    run = Run("bench-1", home / "runs" / "bench-1", config)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(configuration.dump(config))
    (run.folder / "start_offsets.json").write_text(json.dumps({t.name: 0 for t in TOPICS}))
    terms = e.InstrumentTerms(
        token=TOKEN,
        tradingsymbol="BENCH",
        tick_size_paise=5,
        lot_size=1,
        closing_auction=False,
        entry_cutoff_at=OPEN_AT + 20_000 * 10**9,
        square_off_at=OPEN_AT + 21_000 * 10**9,
        force_flat_at=OPEN_AT + 21_600 * 10**9,
        continuous_close_at=OPEN_AT + 22_500 * 10**9,
    )
    parameters = e.DecisionParameters(
        session_date="2026-11-20",
        open_at=OPEN_AT,
        close_at=OPEN_AT + 22_500 * 10**9,
        instruments=(terms,),
        profile=config.risk.profile(),
        strategies=(),
    )
    (run.folder / "parameters.json").write_bytes(msgspec.json.encode(parameters))
    log = open_log(run)
    log.create_topics(TOPICS)
    started = e.RunStarted(
        source="bench",
        seq=0,
        event_at=OPEN_AT,
        run_id=run.run_id,
        mode="paper",
        config_hash=run.config_hash,
        parameters=parameters,
    )
    log.append("session", [e.encode(started, emitted_at=time.time_ns())])
    return run, log


@contextmanager
def served(run: Run, port: int) -> Iterator[str]:
    """The API's process, until the block ends."""
    environment = {**os.environ, RUN_FOLDER_VARIABLE: str(run.folder), "KITEPILOT_HOME": str(run.home)}
    process = subprocess.Popen([sys.executable, "-m", "kitepilot", "run", "api"], env=environment)
    try:
        while not run.ready_file("api").exists():
            if process.poll() is not None:
                raise SystemExit("the API did not start")
            time.sleep(0.05)
        yield (run.home / "api.token").read_text()
    finally:
        process.terminate()
        process.wait(timeout=20)


class Speaker:
    """Says what a day says, at its pace."""

    def __init__(self, log: EventLog, run_id: str) -> None:
        self._log = log
        self._run_id = run_id
        self.said_ms: dict[int, float] = {}  # by the order's quantity, which is each event's own

    @property
    def count(self) -> int:
        return len(self.said_ms)

    def say(self) -> float:
        """One order event, a mark and an account; returns how long the appends took, ms."""
        number, began = self.count, time.perf_counter()
        now, at = time.time_ns(), OPEN_AT + number * 10**9
        known = {"event_at": at, "seq": number}
        line = e.OrderJournaled(
            source="gateway", run_id=self._run_id, intent_id="A" * 18, order_id=str(number), token=TOKEN,
            tradingsymbol="BENCH", side=e.Side.BUY, purpose=e.Purpose.ENTRY, strategy="bench", kind="update",
            status=e.OrderStatus.WORKING, quantity=number + 1, filled_quantity=0, price_paise=100_000,
            **known,
        )  # fmt: skip
        mark = e.Marked(
            source="market-0", received_at=now, tokens=[TOKEN], last_paise=[100_000 + number], bid_paise=[0],
            ask_paise=[0], quoted_at=[at], **known,
        )  # fmt: skip
        account = e.AccountMarked(
            source="decisions", run_id=self._run_id, state=e.TradingState.ACTIVE, realised_paise=number,
            unrealised_paise=0, charges_paise=0, open_positions=0, gross_exposure_paise=0, working_orders=0,
            oldest_working_at=0, orders=number, fills=0, **known,
        )  # fmt: skip
        emitted_at = time.time_ns()
        self.said_ms[number + 1] = emitted_at / 1e6
        self._log.append("orders", [e.encode(line, emitted_at=emitted_at)])
        self._log.append("session", [e.encode(mark, emitted_at=now)])
        self._log.append("decisions", [e.encode(account, emitted_at=now)])
        return (time.perf_counter() - began) * 1e3


async def listen(port: int, token: str, ages: list[float], *, deaf: bool = False) -> None:
    """One stream, read line by line; a deaf one is opened and never read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(
        f"GET /api/v1/live HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n".encode()
    )
    try:
        if deaf:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.Event().wait()
        order = False
        while line := await reader.readline():
            if line.startswith(b"event: "):
                order = line == b"event: order\n"
            elif order and line.startswith(b"data: "):
                ages.append(time.time() * 1e3 - json.loads(line[6:])["said_ms"])
    finally:
        writer.close()


async def round_of(
    speaker: Speaker, port: int, token: str, readers: int, *, deaf: bool, for_s: float
) -> dict[str, float]:
    """Ages and append times of one round."""
    ages: list[float] = []
    tasks = [asyncio.create_task(listen(port, token, ages)) for _ in range(readers)]
    if deaf:
        tasks.append(asyncio.create_task(listen(port, token, ages, deaf=True)))
    await asyncio.sleep(1.5)  # the streams open, and are sent their snapshots
    ages.clear()
    appends, ends = [], time.monotonic() + for_s
    while time.monotonic() < ends:
        next_at = time.monotonic() + 1 / SAYS_PER_S
        appends.append(await asyncio.to_thread(speaker.say))
        await asyncio.sleep(max(0.0, next_at - time.monotonic()))
    await asyncio.sleep(1.0)  # what was said last is read
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    found = {"appends": len(appends), "append_ms_p95": float(np.percentile(appends, 95))}
    if readers:
        found |= {"read": len(ages) / readers / len(appends)}
        found |= {f"age_ms_p{p}": float(np.percentile(ages, p)) for p in (50, 95, 99)}
    return {name: round(value, 2) for name, value in found.items()}


def main() -> int:
    """0 when fifty readers, with a deaf one among them, see events within the aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round of each kind")
    parser.add_argument("--readers", type=int, default=50)
    asked = parser.parse_args()
    for_s, rounds = (6.0, 1) if asked.quick else (15.0, 3)
    forms = [(0, False), (1, False), (asked.readers, False), (asked.readers, True)]
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
        probe.close()
        run, log = made(Path(folder), port)
        with served(run, port) as token:
            speaker = Speaker(log, run.run_id)
            for _ in range(rounds):
                for readers, deaf in forms:
                    name = f"{readers} readers{' and a deaf one' if deaf else ''}"
                    told = asyncio.run(round_of(speaker, port, token, readers, deaf=deaf, for_s=for_s))
                    found.setdefault(name, []).append(told)
                    print(f"{name:>32}: {told}", file=sys.stderr)
        log.close()
    last = {name: rows[-1] for name, rows in found.items()}
    worst = max(row["age_ms_p95"] for row in found[f"{asked.readers} readers and a deaf one"])
    alone = min(row["append_ms_p95"] for row in found["0 readers"])
    among = min(row["append_ms_p95"] for row in found[f"{asked.readers} readers and a deaf one"])
    ratio = round(among / alone, 2)
    print(json.dumps({"p95_ms": worst, "aim_ms": AIM_MS, "append_ratio": ratio, "last_round": last}))
    return 0 if worst <= AIM_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
