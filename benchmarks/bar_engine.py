"""Bars a second of the exact bar engine, against reading the same bars and asking the strategy alone.

Usage: `python benchmarks/bar_engine.py [--quick]`. Generated bars: 127 instruments, EMA 10/20, 10 shares.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from datetime import date

import msgspec

from kitepilot.config import RiskSection, SizingSection
from kitepilot.strategies.ma_cross import MaCross
from kitepilot.strategies.port import Strategy
from research.bar_engine.plan import BarPlan
from research.bar_engine.session import trade_session
from research.generated_bars import GeneratedBars, weekdays

INSTRUMENTS = 127
OUT_OF_THE_WAY = {
    field.name: 10**7
    for field in msgspec.structs.fields(RiskSection)
    if field.type is int and not field.name.endswith(("_bps", "_s", "_ms"))
}


def strategies() -> dict[str, Strategy]:
    return {"ma_cross": MaCross({})}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="two sessions instead of six")
    sessions = weekdays(date(2026, 4, 6), 2 if parser.parse_args().quick else 6)
    sizing = SizingSection(method="fixed_quantity", parameters={"shares": 10})
    changes = OUT_OF_THE_WAY | {"cash_reserve_rupees": 1, "loss_pause_s": 1, "spread_bps": 200}
    risk = RiskSection(**changes, sizing=sizing)  # type: ignore[arg-type]
    plan = BarPlan(make_strategies=strategies, profile=risk.profile(), capital_paise=10**13)
    nobody = replace(plan, profile=msgspec.structs.replace(plan.profile, allowed=("NOBODY",)))
    source = GeneratedBars(INSTRUMENTS, sessions, seed=1)
    trade_session(plan, source.read(sessions[0]))  # compiled
    bars = trades = 0
    traded_s = asked_s = 0.0
    for day in sessions:
        session = source.read(day)
        began = time.perf_counter()
        result = trade_session(plan, session)
        traded_s += time.perf_counter() - began
        began = time.perf_counter()
        trade_session(nobody, session)  # every entry is refused: marks, features, signals and checks alone
        asked_s += time.perf_counter() - began
        bars += session.bars
        trades += len(result.trades)
    print(
        f"{bars:,} bars, {trades:,} round trips: {bars / traded_s:,.0f} bars/s on one core; "
        f"{traded_s / asked_s:.2f} times the time of the same day with every entry refused"
    )
    line = {"benchmark": "bar_engine", "bars_per_s": round(bars / traded_s), "trades": trades}
    print(json.dumps(line | {"traded_to_refused": round(traded_s / asked_s, 2)}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
