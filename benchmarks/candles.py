"""How soon the sandbox answers for minutes of five earlier days, against making the whole market's days.

Usage: `python benchmarks/candles.py [--quick]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from datetime import date, timedelta

import numpy as np

from broker_adapter.sandbox.candles import CandleDesk
from broker_adapter.sandbox.feed.synthetic import SyntheticMarket
from broker_adapter.sandbox.minute_bars import MinuteBars
from kitepilot.market import calendar

DAY = date(2026, 11, 20)


def feed(day: date) -> SyntheticMarket:
    """The default market: 50 instruments."""
    return SyntheticMarket(day, seed=1)


def asked(desk: CandleDesk, token: int, days: int) -> tuple[float, int]:
    """(seconds, bars) of one request for the `days` calendar days before DAY."""
    first = calendar.ist_ns(DAY - timedelta(days=days), "00:00")
    began = time.perf_counter()
    bars = asyncio.run(desk.candles(token, "minute", first, calendar.ist_ns(DAY, "00:00") - 1))
    return time.perf_counter() - began, len(bars)


def whole_market(days: set[date]) -> float:
    """Seconds to make the same days of everybody, the quickest way: in pieces of a minute."""
    began = time.perf_counter()
    for day in sorted(days):
        market = feed(day)
        bars = MinuteBars(np.array([one.token for one in market.instruments]), market.session)
        for _, packets, _ in market.chunks():
            bars.add(packets)
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one earlier day instead of five")
    days = 1 if parser.parse_args().quick else 7
    today = feed(DAY)
    next(iter(today.chunks()))  # compiled before
    played: set[date] = set()

    def earlier(day: date) -> SyntheticMarket:
        played.add(day)
        return feed(day)

    desk = CandleDesk(today, today.session, lambda: today.session.open_at, earlier, 5)
    token, another = (one.token for one in today.instruments[:2])
    (first_s, bars), (again_s, _), (another_s, _) = (asked(desk, t, days) for t in (token, token, another))
    whole_s = whole_market(played)
    print(
        f"{len(played)} days, {bars:,} minutes: first answer {first_s:.2f} s, again {again_s:.3f} s, another"
        f" instrument {another_s:.2f} s; the whole market's days {whole_s:.1f} s ({whole_s / first_s:.0f} x)"
    )
    line = {"benchmark": "candles", "first_s": round(first_s, 3), "times_faster": round(whole_s / first_s, 1)}
    print(json.dumps(line))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
