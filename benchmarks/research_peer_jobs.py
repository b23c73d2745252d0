"""One peer's run of the reference job, in the peers' own virtual environment; prints one JSON object.

    .venv-bench/bin/python benchmarks/research_peer_jobs.py vectorbt bars.npz [--sets 1]

The job, as each library says it natively: exponential averages of 10 and 20 minute closes, begun anew each
session; where they cross, 10 shares long or short at the next open; no entry after the cutoff, flat at the
square-off; the mean charge of a side as a fraction of value. Reading and preparing the data is not timed.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SHARES = 10
FAST, SLOW = 10, 20
SETS = [(fast, slow) for fast in (5, 8, 11, 14) for slow in (20, 30, 40, 50, 60)]


class Cross:
    """The rule for libraries that are called bar by bar: what to hold after each close, None: as before."""

    def __init__(self, minutes: int, cutoff: int, leave: int) -> None:
        self.minutes, self.cutoff, self.leave = minutes, cutoff, leave
        self.seen = 0
        self.fast = self.slow = 0.0
        self.side = 0

    def __call__(self, close: float) -> int | None:
        minute = self.seen % self.minutes
        self.seen += 1
        if minute == 0:
            self.fast = self.slow = close
            self.side = 0
            return None
        self.fast += 2.0 / (FAST + 1.0) * (close - self.fast)
        self.slow += 2.0 / (SLOW + 1.0) * (close - self.slow)
        before, self.side = self.side, (self.fast > self.slow) - (self.fast < self.slow) or self.side
        if minute + 1 >= self.leave:
            return 0
        if before and self.side != before and minute >= SLOW:
            return self.side if minute + 1 < self.cutoff else 0
        return None


def frames(bars: dict[str, Any]) -> dict[str, Any]:
    """Symbol -> DataFrame of all its sessions, in rupees."""
    import pandas as pd

    made = {}
    stamps = pd.to_datetime(bars["stamps"].reshape(-1))
    for place, symbol in enumerate(bars["symbols"].tolist()):
        columns = {
            name.capitalize(): bars[name][:, :, place].reshape(-1) / 100.0
            for name in ("open", "high", "low", "close")
        }
        columns["Volume"] = bars["volume"][:, :, place].reshape(-1).astype(float)
        made[symbol] = pd.DataFrame(columns, index=stamps)
    return made


def clock() -> tuple[float, float]:
    """Wall and processor seconds: on a busy machine only the second says how fast something is."""
    return time.perf_counter(), time.process_time()


def since(began: tuple[float, float]) -> tuple[float, float]:
    now = clock()
    return now[0] - began[0], now[1] - began[1]


def told(took: tuple[float, float], trades: int, gross: float, net: float) -> dict[str, Any]:
    wall, cpu = took
    return {"wall_s": wall, "cpu_s": cpu, "trades": int(trades), "gross_rupees": gross, "net_rupees": net}


def run_vectorbt(bars: dict[str, Any], fee: float, sets: int) -> dict[str, Any]:
    """Every session of every symbol is a column: averages begin anew and nothing is held overnight."""
    import pandas as pd
    import vectorbt as vbt

    sessions, minutes, symbols = bars["close"].shape
    shape = (minutes, sessions * symbols)

    def wide(name: str) -> Any:
        return pd.DataFrame(bars[name].transpose(1, 0, 2).reshape(shape) / 100.0)

    close, opened = wide("close"), wide("open")
    cutoff, leave = int(bars["cutoff"]), int(bars["leave"])

    def portfolio(close: Any, opened: Any, fast_span: int, slow_span: int) -> Any:
        fast = vbt.MA.run(close, window=fast_span, ewm=True).ma.to_numpy()
        slow = vbt.MA.run(close, window=slow_span, ewm=True).ma.to_numpy()
        above, below = fast > slow, fast < slow
        up, down = np.zeros_like(above), np.zeros_like(above)
        up[1:] = above[1:] & below[:-1]
        down[1:] = below[1:] & above[:-1]
        # decided at one close, filled at the next open
        up, down = np.roll(up, 1, axis=0), np.roll(down, 1, axis=0)
        up[0] = down[0] = False
        entering = np.arange(minutes)[:, None] < cutoff
        flat = np.zeros_like(up)
        flat[leave:] = True
        return vbt.Portfolio.from_signals(
            close,
            entries=up & entering,
            exits=(down & ~entering) | flat,
            short_entries=down & entering,
            short_exits=(up & ~entering) | flat,
            price=opened,
            size=SHARES,
            fees=fee,
            init_cash=1e9,
            upon_opposite_entry="Reverse",
            freq="1min",
        )

    portfolio(close, opened, FAST, SLOW).total_profit()  # compiles
    began = clock()
    for fast_span, slow_span in [(FAST, SLOW)] if sets == 1 else SETS[:sets]:
        made = portfolio(close, opened, fast_span, slow_span)
        net = float(made.total_profit().sum())
    took = since(began)
    paid = float(made.orders.records["fees"].sum())
    return told(took, made.trades.count().sum(), net + paid, net)


def run_backtesting(bars: dict[str, Any], fee: float, _sets: int) -> dict[str, Any]:
    from backtesting import Backtest, Strategy

    minutes = bars["close"].shape[1]

    class Job(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.cross = Cross(minutes, int(bars["cutoff"]), int(bars["leave"]))
            self.cross(float(self.data.Close[0]))  # `next` begins at the second bar

        def next(self) -> None:
            wanted = self.cross(float(self.data.Close[-1]))
            if wanted is None:
                return
            self.position.close()
            if wanted:
                (self.buy if wanted > 0 else self.sell)(size=SHARES)

    wall = cpu = trades = gross = net = 0.0
    for frame in frames(bars).values():
        test = Backtest(frame, Job, cash=1e9, commission=fee, finalize_trades=True)
        began = clock()
        stats = test.run()
        took = since(began)
        wall, cpu = wall + took[0], cpu + took[1]
        made = stats["_trades"]
        trades += len(made)
        gross += float(((made.ExitPrice - made.EntryPrice) * made.Size).sum())
        net += float(stats["Equity Final [$]"]) - 1e9
    return told((wall, cpu), int(trades), gross, net)


def run_backtrader(bars: dict[str, Any], fee: float, _sets: int) -> dict[str, Any]:
    import backtrader as bt

    minutes = bars["close"].shape[1]
    made = frames(bars)

    class Job(bt.Strategy):  # type: ignore[misc]
        def __init__(self) -> None:
            self.crosses = [Cross(minutes, int(bars["cutoff"]), int(bars["leave"])) for _ in self.datas]
            self.closed, self.gross, self.net = 0, 0.0, 0.0

        def next(self) -> None:
            for data, cross in zip(self.datas, self.crosses, strict=True):
                wanted = cross(data.close[0])
                if wanted is not None:
                    self.order_target_size(data, wanted * SHARES)

        def notify_trade(self, trade: Any) -> None:
            if trade.isclosed:
                self.closed += 1
                self.gross += trade.pnl
                self.net += trade.pnlcomm

    desk = bt.Cerebro(stdstats=False)
    desk.broker.setcash(1e9)
    desk.broker.setcommission(commission=fee)
    for symbol, frame in made.items():
        desk.adddata(bt.feeds.PandasData(dataname=frame), name=symbol)
    desk.addstrategy(Job)
    began = clock()
    ran = desk.run()[0]
    return told(since(began), ran.closed, ran.gross, ran.net)


def nautilus_job(bars: dict[str, Any]) -> tuple[Any, Any]:
    """Its strategy and the configuration of one."""
    from nautilus_trader.config import StrategyConfig
    from nautilus_trader.model.data import BarType
    from nautilus_trader.model.enums import OrderSide
    from nautilus_trader.model.identifiers import InstrumentId
    from nautilus_trader.model.objects import Quantity
    from nautilus_trader.trading.strategy import Strategy

    class JobConfig(StrategyConfig, frozen=True):
        instrument_id: InstrumentId
        bar_type: BarType

    class Job(Strategy):  # type: ignore[misc]
        def on_start(self) -> None:
            self.cross = Cross(bars["close"].shape[1], int(bars["cutoff"]), int(bars["leave"]))
            self.held = 0
            self.subscribe_bars(self.config.bar_type)

        def on_bar(self, bar: Any) -> None:
            wanted = self.cross(bar.close.as_double())
            if wanted is None or wanted == self.held:
                return
            change = (wanted - self.held) * SHARES
            self.held = wanted
            self.submit_order(
                self.order_factory.market(
                    instrument_id=self.config.instrument_id,
                    order_side=OrderSide.BUY if change > 0 else OrderSide.SELL,
                    quantity=Quantity.from_int(abs(change)),
                )
            )

    return Job, JobConfig


def run_nautilus(bars: dict[str, Any], fee: float, _sets: int) -> dict[str, Any]:
    from decimal import Decimal

    from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.model.currencies import INR
    from nautilus_trader.model.data import BarType
    from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
    from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
    from nautilus_trader.model.instruments import Equity
    from nautilus_trader.model.objects import Money, Price, Quantity
    from nautilus_trader.persistence.wranglers import BarDataWrangler

    venue = Venue("NSE")
    job, configured = nautilus_job(bars)
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=INR,
        starting_balances=[Money(1e9, INR)],
    )
    listed = list(frames(bars).items())
    for place, (symbol, frame) in enumerate(listed):
        instrument_id = InstrumentId(Symbol(symbol), venue)
        instrument = Equity(
            instrument_id=instrument_id,
            raw_symbol=Symbol(symbol),
            currency=INR,
            price_precision=2,
            price_increment=Price.from_str("0.05"),
            lot_size=Quantity.from_int(1),
            maker_fee=Decimal(str(round(fee, 8))),
            taker_fee=Decimal(str(round(fee, 8))),
            ts_event=0,
            ts_init=0,
        )
        engine.add_instrument(instrument)
        bar_type = BarType.from_str(f"{instrument_id}-1-MINUTE-LAST-EXTERNAL")
        lower = frame.rename(columns=str.lower)
        lower.index = lower.index.tz_localize("UTC")
        made = BarDataWrangler(bar_type, instrument).process(lower)
        engine.add_data(made, sort=place == len(listed) - 1)
        config = configured(instrument_id=instrument_id, bar_type=bar_type, order_id_tag=str(place))
        engine.add_strategy(job(config))
    began = clock()
    engine.run()
    took = since(began)
    filled = [order for order in engine.cache.orders() if order.filled_qty.as_double() > 0]
    shares = [order.filled_qty.as_double() * (1 if order.side == OrderSide.BUY else -1) for order in filled]
    gross = -sum(signed * order.avg_px for signed, order in zip(shares, filled, strict=True))
    paid = sum(each.as_double() for order in filled for each in order.commissions())
    return told(took, round(sum(map(abs, shares)) / SHARES / 2), gross, gross - paid)


PEERS: dict[str, Callable[[dict[str, Any], float, int], dict[str, Any]]] = {
    "vectorbt": run_vectorbt,
    "backtesting": run_backtesting,
    "backtrader": run_backtrader,
    "nautilus_trader": run_nautilus,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("bars")
    parser.add_argument("--symbols", type=int, default=0, help="only so many, evenly spread; 0 is all")
    parser.add_argument("--sets", type=int, default=1)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    with np.load(asked.bars) as kept:
        bars = {name: kept[name] for name in kept.files}
    if asked.symbols:
        chosen = np.linspace(0, len(bars["symbols"]) - 1, asked.symbols).round().astype(int)
        bars["symbols"] = bars["symbols"][chosen]
        for name in ("open", "high", "low", "close", "volume"):
            bars[name] = bars[name][:, :, chosen]
    found = PEERS[asked.peer](bars, float(bars["fee"]), asked.sets)
    found["bars"] = int(np.prod(bars["close"].shape)) * asked.sets
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
