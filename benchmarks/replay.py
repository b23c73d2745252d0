"""How fast a recorded day is verified: the decision fold and the market, against the session's own pace.

Records part of a session of the synthetic market (ticks through the market pipeline and the decision logic
onto a log of its own), then verifies it as `kitepilot replay --verify` does. Baselines of the same run: real
time, for which the ratio is 1, and a bare reading of the same records.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "replay"))
from recorded_day import RecordedDay, Recorder, make_home

from broker_adapter.sandbox.feed.synthetic import SyntheticMarket
from flows.replay import RecordedRun, market_of, verify_decisions, verify_market
from kitepilot.cli.seed import _batches
from kitepilot.config import RiskSection
from kitepilot.events import DecisionParameters, InstrumentTerms
from kitepilot.kernels.compile import compile_all
from kitepilot.market import calendar
from kitepilot.topics import BARS, DECISIONS, FEATURES, SESSION, TICKS

DAY = date(2026, 11, 20)
S = 1_000_000_000
SESSION_S = 6.25 * 3600


def terms_of(market: SyntheticMarket, minutes: int) -> DecisionParameters:
    session = calendar.session(DAY)
    close = session.open_at + minutes * 60 * S
    instruments = tuple(
        InstrumentTerms(
            token=one.token,
            tradingsymbol=one.tradingsymbol,
            tick_size_paise=one.tick_size_paise,
            lot_size=1,
            closing_auction=one.closing_auction,
            entry_cutoff_at=close,
            square_off_at=close,
            force_flat_at=close,
            continuous_close_at=session.continuous_close(one.closing_auction),
        )
        for one in market.instruments
    )
    return DecisionParameters(
        session_date=DAY.isoformat(),
        open_at=session.open_at,
        close_at=session.close_at,
        instruments=instruments,
        profile=RiskSection().profile(),
        strategies=("vwap_reversion", "micro_momentum"),
    )


def recorded(folder: Path, instruments: int, minutes: int) -> RecordedDay:
    """A stretch of a session from its pre-open on, on a log in `folder`."""
    market = SyntheticMarket(DAY, 20261120, instruments)
    terms = terms_of(market, minutes)
    until = terms.open_at + minutes * 60 * S
    slices = itertools.takewhile(lambda cut: cut.until <= until, market.slices())
    messages: Iterator[bytes] = (batch.tobytes() for batch in _batches(slices))
    day = make_home(folder)
    Recorder(day.log, day.run, day.run.start_offsets(), terms=terms).record(messages)
    return day


def timed(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def read(run: RecordedRun, topics: tuple[str, ...]) -> int:
    """The baseline: every record of those topics, looked at and no more."""
    return sum(len(record.value) for topic in topics for record in run.records(topic))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="50 instruments for 10 minutes, not 300 for 40")
    options = parser.parse_args()
    instruments, minutes = (50, 10) if options.quick else (300, 40)
    compile_all()
    with tempfile.TemporaryDirectory() as folder:
        day = recorded(Path(folder) / "home", instruments, minutes)
        run = replace(day.recorded(), ended_at=None)
        size = {topic: run.length(topic) for topic in (SESSION.name, DECISIONS.name, TICKS.name, BARS.name)}
        before = peak_mb()
        findings = []
        decisions_s = timed(lambda: findings.append(verify_decisions(run)))
        pipeline = market_of(run, day.run.config, [Path(folder)])
        market_s = timed(lambda: findings.append(verify_market(run, pipeline)))
        read_s = timed(lambda: read(run, (SESSION.name, DECISIONS.name)))
        read_market_s = timed(lambda: read(run, (TICKS.name, BARS.name, FEATURES.name, SESSION.name)))
        grown = peak_mb() - before
    equal = all(finding.equal for finding in findings)
    pace = minutes * 60
    figures = {
        "benchmark": "replay",
        "instruments": instruments,
        "session_minutes": minutes,
        "equal": equal,
        "session_records_per_s": round(size[SESSION.name] / decisions_s),
        "decisions_times_real_time": round(pace / decisions_s, 1),
        "decisions_times_reading": round(decisions_s / read_s, 1),
        "market_times_real_time": round(pace / market_s, 1),
        "market_times_reading": round(market_s / read_market_s, 1),
        "whole_day_s": round((decisions_s + market_s) * SESSION_S / pace, 1),
        "peak_mb_grown": round(grown, 1),
    }
    print(f"{instruments} instruments, {minutes} minutes, {size}: {'equal' if equal else 'NOT EQUAL'}")
    print(
        f"decisions   {decisions_s:6.1f} s  {figures['decisions_times_real_time']:>8} times real time, "
        f"{figures['session_records_per_s']:,} session records/s"
    )
    print(f"market      {market_s:6.1f} s  {figures['market_times_real_time']:>8} times real time")
    print(f"a whole day {figures['whole_day_s']:6.1f} s  at this pace; memory grew by {grown:.0f} MB")
    print(json.dumps(figures))
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
