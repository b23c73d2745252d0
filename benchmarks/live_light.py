"""The light form: a producer process, the market flow, the decision flow, and nothing else.

The producer writes the ticks of 300 instruments to the embedded log as the ingester would (one message per
frame of 10 ms, a clock record every 100 ms) at speed 1; this process answers each intent as an exchange that
fills nothing (IOC cancelled), so that instruments stay free. Strategies are tuned to speak often. What the
producer itself cannot write in time is not counted as the flow's failure: the climb ends there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import live_figures as figures
import msgspec
import numpy as np
import numpy.typing as npt

from infra.eventlog import open_log
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot.cli.seed import seed
from kitepilot.config import Config
from kitepilot.market import calendar
from kitepilot.market.ticks import KIND_CLOCK, RECORD_DTYPE, own_record
from kitepilot.ports import EventLog
from kitepilot.run import RUN_FOLDER_VARIABLE, Run
from kitepilot.topics import TICKS, TOPICS

INSTRUMENTS = 300
DAY = date(2026, 11, 20)
OPEN_AT = calendar.ist_ns(DAY, "09:15")
CLOSE_AT = calendar.ist_ns(DAY, "15:30")
S = 1_000_000_000
FRAME_S = 0.01
FRAMES_PER_CLOCK = 10
WARM_S = 320  # session seconds written at once, so that every feature has its look-back
ROOT = Path(__file__).resolve().parents[1]

CONFIG = configuration.build(
    {
        "session": {"date": DAY.isoformat()},
        "strategies": {
            "parameters": {
                "micro_momentum": {
                    "depth_imbalance": 0.05,
                    "trade_imbalance": 0.01,
                    "trade_imbalance_60s": 0.0,
                    "max_move_vols": 20,
                    "volume_ratio": 0.0,
                    "max_spread_bps": 100,
                    "from_minute": 1,
                    "cooldown_s": 20,
                },
                "score_follower": {"from_minute": 1},
            }
        },
        "risk": {
            "open_positions": INSTRUMENTS,
            "gross_exposure_rupees": 1_000_000_000,
            "instrument_exposure_rupees": 10_000_000,
            "orders_per_second": 1_000,
            "orders_per_minute": 60_000,
            "orders_per_day": 1_000_000,
        },
    }
)


# --- the producer ---------------------------------------------------------------------------------------


class Market:
    """A random walk of 300 instruments; packets are made a frame at a time, all columns at once."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(20_261_120)
        self._price = self._rng.integers(4_000, 60_000, INSTRUMENTS) * 5
        self._previous = self._price.copy()
        self._volume = np.zeros(INSTRUMENTS, dtype=np.int64)
        self._next = 0

    def frame(self, ticks: int, at: int, received_at: int) -> bytes:
        """`ticks` packets of the instruments whose turn it is, as of session time `at` (ns)."""
        rng, out = self._rng, []
        while ticks > 0:
            count = min(ticks, INSTRUMENTS)
            rows = (self._next + np.arange(count)) % INSTRUMENTS
            self._next = (self._next + count) % INSTRUMENTS
            ticks -= count
            self._price[rows] += 5 * rng.integers(-1, 2, count)
            self._volume[rows] += rng.integers(1, 200, count)
            out.append(self._packets(rows, at, received_at))
        return b"".join(out)

    def _packets(self, rows: npt.NDArray[np.int64], at: int, received_at: int) -> bytes:
        message = np.zeros(len(rows), dtype=RECORD_DTYPE)
        message["received_at"] = received_at
        packet = message["packet"]
        packet["token"], packet["last_price"] = (rows + 1) * 256 + 1, self._price[rows]
        packet["volume"], packet["close"] = self._volume[rows], self._previous[rows]
        packet["exchange_time"] = packet["last_trade_time"] = at // S
        lean = self._rng.integers(1, 3_000, (2, len(rows), 5))
        for number, (side, step) in enumerate((("bids", -5), ("asks", 5))):
            packet[side]["price"] = self._price[rows, None] + step * np.arange(1, 6)
            packet[side]["quantity"] = lean[number]
        return message.tobytes()


def produce(run: Run, steps: list[tuple[int, float]]) -> None:
    """Warm the flow up, then each (ticks/s, seconds) in real time. Prints one JSON line per step."""
    writer = open_log(run).writer()
    market = Market()
    writer.append(TICKS.name, own_record(KIND_CLOCK, OPEN_AT, time.time_ns()))
    for second in range(WARM_S):
        at = OPEN_AT + second * S
        writer.append(TICKS.name, market.frame(INSTRUMENTS // 2, at, time.time_ns()))
        writer.append(TICKS.name, own_record(KIND_CLOCK, at + S, time.time_ns()))
        writer.flush()
    at = OPEN_AT + WARM_S * S
    print(json.dumps({"warm_until": at}), flush=True)
    sys.stdin.readline()
    for rate, seconds in steps:
        begun, frames = time.perf_counter(), round(seconds / FRAME_S)
        for number in range(frames):
            wait = begun + number * FRAME_S - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            writer.append(TICKS.name, market.frame(round(rate * FRAME_S), at, time.time_ns()))
            at += round(FRAME_S * S)
            if number % FRAMES_PER_CLOCK == FRAMES_PER_CLOCK - 1:
                writer.append(TICKS.name, own_record(KIND_CLOCK, at, time.time_ns()))
            writer.push()
        writer.flush()
        took = time.perf_counter() - begun
        print(json.dumps({"rate": rate, "until": at, "wrote_per_s": rate * seconds / took}), flush=True)


# --- the desk -------------------------------------------------------------------------------------------


class Desk:
    """Follows session and intents; answers each intent with "cancelled, nothing filled"."""

    def __init__(self, log: EventLog, run: Run) -> None:
        self._log = log
        self._run = run
        self._reader = log.reader({("session", 0): 0, ("intents", 0): 0})
        self._seq = 0
        self.at = 0
        self.sample = figures.Sample()

    def follow_until(self, at: int, timeout_s: float) -> None:
        """Until session time reaches `at`. Raises TimeoutError with where it stands."""
        deadline = time.monotonic() + timeout_s
        while self.at < at:
            for record in self._reader.poll(500, timeout_s=0.01):
                self._take(e.decode(record.value))
            if time.monotonic() > deadline:
                raise TimeoutError(f"session time stands at {self.at}, {(at - self.at) / S:.1f} s short")

    def _take(self, event: e.AnyEvent) -> None:
        self.sample.take(event)
        if isinstance(event, e.Marked):
            self.at = event.event_at
        elif isinstance(event, e.ApprovedIntent):
            self._cancel(event)

    def _cancel(self, intent: e.ApprovedIntent) -> None:
        update = e.OrderUpdated(
            source="bench",
            seq=self._seq,
            event_at=intent.event_at,
            run_id=self._run.run_id,
            intent_id=intent.intent_id,
            order_id=f"B{self._seq}",
            token=intent.token,
            status=e.OrderStatus.CANCELLED,
            venue_status="CANCELLED",
            quantity=intent.quantity,
            filled_quantity=0,
        )
        self._seq += 1
        self._log.append("session", [e.encode(update, emitted_at=time.time_ns())])


def prepare(home: Path) -> tuple[Run, EventLog]:
    """A run's folder, a trained model, the log with `RunStarted`."""
    run = Run("live-bench-0001", home / "runs" / "live-bench-0001", CONFIG)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(configuration.dump(CONFIG))
    (run.folder / "start_offsets.json").write_text(json.dumps({topic.name: 0 for topic in TOPICS}))
    terms = tuple(
        e.InstrumentTerms(
            token=(row + 1) * 256 + 1,
            tradingsymbol=f"B{row:03d}",
            tick_size_paise=5,
            lot_size=1,
            closing_auction=False,
            entry_cutoff_at=CLOSE_AT,
            square_off_at=CLOSE_AT,
            force_flat_at=CLOSE_AT,
            continuous_close_at=CLOSE_AT,
        )
        for row in range(INSTRUMENTS)
    )
    parameters = e.DecisionParameters(
        session_date=DAY.isoformat(),
        open_at=OPEN_AT,
        close_at=CLOSE_AT,
        instruments=terms,
        profile=CONFIG.risk.profile(),
        strategies=tuple(CONFIG.strategies.enabled),
    )
    (run.folder / "parameters.json").write_bytes(msgspec.json.encode(parameters))
    seed(home, 2, CONFIG.market.seed, lambda what, _: print(f"  {what}", file=sys.stderr), config=Config())
    log = open_log(run)
    log.create_topics(TOPICS)
    started = e.RunStarted(
        source="bench",
        seq=0,
        event_at=OPEN_AT,
        run_id=run.run_id,
        mode="live",
        config_hash=run.config_hash,
        parameters=parameters,
    )
    log.append("session", [e.encode(started, emitted_at=time.time_ns())])
    return run, log


def start(run: Run, *arguments: str, piped: bool = False) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE if piped else None
    environment = os.environ | {RUN_FOLDER_VARIABLE: str(run.folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *arguments], env=environment, text=True, cwd=ROOT, stdin=pipe, stdout=pipe
    )


def await_ready(run: Run, process: subprocess.Popen[str], name: str) -> None:
    deadline = time.monotonic() + 120
    while not run.ready_file(name).exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{name} did not start")
        time.sleep(0.05)


def row_of(sample: figures.Sample, begin: int, end: int, step: dict[str, float]) -> dict[str, object]:
    """The figures of one step between two moments of the machine's clock."""
    growth = figures.growth_ms(sample.tick_to_mark, begin, end)
    return {
        "asked_per_s": step["rate"],
        "ticks_per_s": round(step["wrote_per_s"]),
        **figures.legs(sample, begin, end),
        "mark_growth_ms": round(growth, 1),
        "sustained": growth <= figures.MAX_GROWTH_MS,
    }


def measure(home: Path, rates: list[int], seconds: float, climb: tuple[int, ...]) -> dict[str, object]:
    run, log = prepare(home)
    processes = {name: start(run, "-m", "kitepilot", "run", name) for name in ("decisions", "market")}
    steps = [(rate, seconds) for rate in rates] + [(rate, min(seconds, 15.0)) for rate in climb]
    producer = None
    try:
        for name, process in processes.items():
            await_ready(run, process, name)
        producer = start(run, __file__, json.dumps(steps), piped=True)
        assert producer.stdout and producer.stdin
        desk = Desk(log, run)
        begin = int(json.loads(producer.stdout.readline())["warm_until"])
        desk.follow_until(begin - S, timeout_s=60)
        producer.stdin.write("go\n")
        producer.stdin.flush()
        rows = []
        for rate, length in steps:
            due, begun_at = begin + round(length * S), time.time_ns() + S
            desk.follow_until(due - S, timeout_s=length * 4 + 30)
            step = json.loads(producer.stdout.readline())
            rows.append(row_of(desk.sample, begun_at, time.time_ns(), step))
            figures.show(rows[-1])
            begin = due
            if rate in climb and (not rows[-1]["sustained"] or step["wrote_per_s"] < 0.95 * rate):
                break
        kept = [int(str(row["ticks_per_s"])) for row in rows if row["sustained"]]
        return {"steps": rows, "highest_sustained_per_s": max(kept, default=0)}
    finally:
        for process in (*processes.values(), *([producer] if producer else [])):
            process.send_signal(signal.SIGTERM)
        for process in (*processes.values(), *([producer] if producer else [])):
            process.wait(timeout=30)
        log.close()


def main() -> None:
    """The producer's own process: the steps are its one argument."""
    folder = Path(os.environ[RUN_FOLDER_VARIABLE])
    produce(Run(folder.name, folder, CONFIG), json.loads(sys.argv[1]))


if __name__ == "__main__":
    main()
