"""The reference job of research, here and in four other libraries, in one run: bars a second, trades, profit.

    python benchmarks/research_peers.py [--quick] [--rounds 2]

Moving-average cross of 10 and 20 minutes, long and short, 10 shares, with charges, on one-minute bars of 127
stocks over 18 sessions (`nse_1m/2016-*` of the shared data; generated bars of the same size without it).
Everybody begins anew each session, enters until 14:45 and is flat at 15:10. The slow ones trade a sample of
the symbols, our exact engine three of the sessions; each library runs in a process of its own, in turns.

What differs, and why profits do: KitePilot turns a position in two closes, pays 1.5 bps of spread and an
impact, takes a tenth of a bar's volume at most, may miss a limit, and counts charges order by order; the
others fill at the next open, whatever was traded, and pay the mean charge of a side. `processor` is the
figure to compare on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kitepilot.config import RiskSection, SizingSection
from kitepilot.market.calendar import session as session_of
from kitepilot.orders.charges import RATES
from kitepilot.strategies.ma_cross import MaCross
from research.bar_engine.plan import BarPlan
from research.bar_engine.session import trade_session
from research.bars import MINUTE_NS, SessionBars
from research.generated_bars import GeneratedBars, weekdays
from research.sweep.compiled_desk import CompiledDesk

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-bench" / "bin" / "python"
SAMPLES = {"nautilus_trader": 8, "backtesting": 12, "backtrader": 2, "vectorbt": 0}
SETS = [{"fast": fast, "slow": slow} for fast in (5, 8, 11, 14) for slow in (20, 30, 40, 50, 60)]
ENDS = {"stop_bps": 10_000, "take_profit_bps": 10_000}  # neither is ever reached
ROOMY = RiskSection(
    sizing=SizingSection(method="fixed_quantity", parameters={"shares": 10}),
    open_positions=1_000,
    orders_per_second=10_000,
    orders_per_minute=10_000,
    orders_per_day=1_000_000,
    trades_per_day=1_000_000,
    trades_per_instrument=10_000,
    loss_streak=1_000_000,
    daily_loss_rupees=10**8,
    drawdown_rupees=10**8,
    gross_exposure_rupees=10**9,
    net_exposure_rupees=10**9,
    sector_exposure_rupees=10**9,
    instrument_exposure_rupees=10**8,
    order_value_rupees=10**7,
    trade_risk_rupees=10**7,
    spread_bps=500,
)
PLAN = BarPlan(
    make_strategies=lambda: {"ma_cross": MaCross(ENDS)}, profile=ROOMY.profile(), capital_paise=10**13
)


@dataclass
class Ran:
    """One engine's best round. Seconds are for `bars`, sets included."""

    name: str
    bars: int
    wall_s: float
    cpu_s: float
    trades: int
    gross_rupees: float
    net_rupees: float


def shared_sessions(folder: Path) -> list[SessionBars]:
    """The bars of the shared data. Ticks are 5 paise, as these stocks had in 2016."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("2016-*.parquet"))])
    table = table.sort_by([("ts_ist_minute", "ascending"), ("symbol", "ascending")])
    symbols = tuple(sorted(set(table["symbol"].to_pylist())))
    stamps = (
        table["ts_ist_minute"].to_numpy().astype("datetime64[ns]").reshape(-1, 375, len(symbols))[:, :, 0]
    )
    shape = (*stamps.shape, len(symbols))
    columns = {
        name: np.round(table[name].to_numpy() * (1 if name == "volume" else 100))
        .astype(np.int64)
        .reshape(shape)
        for name in ("open", "high", "low", "close", "volume")
    }
    return [
        _session(stamps[place], symbols, {k: v[place] for k, v in columns.items()})
        for place in range(shape[0])
    ]


def _session(stamps: Any, symbols: tuple[str, ...], columns: dict[str, Any]) -> SessionBars:
    day: date = stamps[0].astype("datetime64[D]").astype(object)
    opens = session_of(day, allow_special=True).open_at
    minutes, n = columns["close"].shape
    return SessionBars(
        session=day,
        symbols=symbols,
        tokens=(np.arange(n, dtype=np.int64) + 1) * 256 + 1,
        close_at=opens + np.arange(1, minutes + 1, dtype=np.int64) * MINUTE_NS,
        present=np.ones((minutes, n), dtype=bool),
        tick_size_paise=np.full(n, 5, dtype=np.int64),
        previous_close_paise=columns["open"][0].copy(),
        **columns,
    )


def generated_sessions(instruments: int, count: int) -> list[SessionBars]:
    days = [day for day in weekdays(date(2016, 8, 16), count + 5) if day.month < 9 or day.day not in {5, 13}]
    source = GeneratedBars(instruments, tuple(days[:count]), seed=1)
    return [source.read(day) for day in source.sessions]


def peers_file(sessions: Sequence[SessionBars], path: Path) -> None:
    """The same bars for the others, the cutoffs as minutes of the session and the mean charge of a side."""
    calendar, rates = session_of(sessions[0].session), RATES[-1]
    opens = calendar.open_at
    both = (rates.brokerage + rates.transaction + rates.sebi) * (1 + rates.gst)
    np.savez(
        path,
        symbols=np.array(sessions[0].symbols),
        stamps=np.array([(each.close_at - MINUTE_NS).astype("datetime64[ns]") for each in sessions]),
        cutoff=(calendar.entry_cutoff_at - opens) // MINUTE_NS,
        leave=(calendar.square_off_at - opens) // MINUTE_NS,
        fee=float(both + (rates.stt_sell + rates.stamp_buy) / 2),
        **{
            name: np.array([getattr(each, name) for each in sessions])
            for name in ("open", "high", "low", "close", "volume")
        },
    )


def timed(name: str, bars: int, work: Callable[[], tuple[int, int, int]]) -> Ran:
    wall, cpu = time.perf_counter(), time.process_time()
    trades, gross, net = work()
    return Ran(
        name,
        bars,
        time.perf_counter() - wall,
        time.process_time() - cpu,
        trades,
        gross / 100,
        net / 100,
    )


def exact(sessions: Sequence[SessionBars]) -> tuple[int, int, int]:
    trades = [trade for each in sessions for trade in trade_session(PLAN, each).trades]
    return len(trades), sum(t.gross_paise for t in trades), sum(t.net_paise for t in trades)


def compiled(sessions: Sequence[SessionBars], sets: Sequence[dict[str, float]]) -> tuple[int, int, int]:
    """Trades and profit of the last set; every set is traded."""
    desk = CompiledDesk(PLAN)
    made = [MaCross({**ENDS, **each}) for each in sets]
    trades = gross = net = 0
    for each in sessions:
        prepared = desk.prepare(each)
        for strategy in made:
            tally = desk.trade(prepared, strategy.over_session(prepared.view))
        trades, gross, net = trades + tally.trades, gross + tally.gross_paise, net + tally.net_paise
    return trades, gross, net


def peer(name: str, path: Path, symbols: int, sets: int = 1) -> Ran:
    command = [PEERS, ROOT / "benchmarks" / "research_peer_jobs.py", name, path]
    asked = [*map(str, command), "--symbols", str(symbols), "--sets", str(sets)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout[done.stdout.rindex("{") :])
    return Ran(name=f"{name}, {sets} sets" if sets > 1 else name, **found)


def jobs(sessions: Sequence[SessionBars], path: Path, quick: bool) -> list[Callable[[], Ran]]:
    bars = sum(each.bars for each in sessions)
    few = sessions[: 1 if quick else 3]
    ours: list[Callable[[], Ran]] = [
        partial(timed, "KitePilot exact", sum(each.bars for each in few), partial(exact, few)),
        partial(timed, "KitePilot sweep", bars, partial(compiled, sessions, [{}])),
        partial(
            timed, f"KitePilot sweep, {len(SETS)} sets", bars * len(SETS), partial(compiled, sessions, SETS)
        ),
    ]
    if not PEERS.exists():
        print("no .venv-bench: `make bench-research` makes it; KitePilot alone\n")
        return ours
    others = [partial(peer, name, path, 2 if quick else count) for name, count in SAMPLES.items()]
    return [*ours, *others, partial(peer, "vectorbt", path, 0, 2 if quick else len(SETS))]


def best_of(rounds: int, work: Sequence[Callable[[], Ran]]) -> list[Ran]:
    """Each job's fastest round; the rounds take turns, so that a busy minute hits all of them."""
    found: dict[str, Ran] = {}
    for _ in range(rounds):
        for job in work:
            ran = job()
            if ran.name not in found or ran.cpu_s < found[ran.name].cpu_s:
                found[ran.name] = ran
    return list(found.values())


def show(found: Sequence[Ran], symbols: int, sessions: int) -> None:
    base = next((ran for ran in found if ran.name == "nautilus_trader"), found[0])
    wide = (12, 13, 13, 8, 9, 13, 13)
    heads = ("bars", "wall/s", "processor/s", "ratio", "trades", "gross ₹", "net ₹")
    print(f"{'engine':<26}" + "".join(f"{head:>{width}}" for head, width in zip(heads, wide, strict=True)))
    for ran in found:
        ratio = ran.bars / ran.cpu_s / (base.bars / base.cpu_s)
        print(
            f"{ran.name:<26}{ran.bars:>12,}{ran.bars / ran.wall_s:>13,.0f}{ran.bars / ran.cpu_s:>13,.0f}"
            f"{ratio:>8.1f}{ran.trades:>9,}{ran.gross_rupees:>13,.0f}{ran.net_rupees:>13,.0f}"
        )
    print(f"\nratio: bars per processor second against {base.name}; {symbols} symbols, {sessions} sessions")
    print(f"load when done: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few bars, one round")
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    folder = Path(os.environ.get("KITEPILOT_SHARED", ROOT.parent / "shared")) / "data" / "nse_1m"
    if asked.quick or not list(folder.glob("2016-*.parquet")):
        sessions = generated_sessions(*((12, 2) if asked.quick else (127, 18)))
        print("generated bars: trades and profits say nothing about a market\n")
    else:
        sessions = shared_sessions(folder)
    compiled(sessions[:1], [{}])  # compiles
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "bars.npz"
        peers_file(sessions, path)
        found = best_of(1 if asked.quick else asked.rounds, jobs(sessions, path, asked.quick))
    show(found, len(sessions[0].symbols), len(sessions))


if __name__ == "__main__":
    sys.exit(main())
