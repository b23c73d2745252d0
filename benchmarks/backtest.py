"""How much faster than the market a backtest runs, against making the same ticks and doing nothing with them.

Usage: `python benchmarks/backtest.py [--quick]`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from flows.market import build_pipeline
from kitepilot import config as configuration
from kitepilot.cli.backtest import prepared
from kitepilot.kernels.compile import compile_all
from research.backtest import pipeline_market, trade
from research.ticks import Beat, beats_of_feed
from research.venue import ModelledVenue, Pace

SECOND_NS = 1_000_000_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one hour of the session instead of all of it")
    quick = parser.parse_args().quick
    config = configuration.override(configuration.Config(), **{"models.offline": ""})
    with tempfile.TemporaryDirectory() as folder:
        run, day, feed = prepared(config, Path(folder))
        pipeline = build_pipeline(run)
        until = day.terms.session.open_at + 3_600 * SECOND_NS if quick else day.terms.session.close_at
        compile_all()
        next(iter(beats_of_feed(feed)))  # compiled too
        began = time.perf_counter()
        beats: list[Beat] = []
        for beat in beats_of_feed(feed):
            if beat.until > until:
                break
            beats.append(beat)
        made_s = time.perf_counter() - began
        began = time.perf_counter()
        result = trade(day, beats, pipeline_market(pipeline), ModelledVenue(day.terms, Pace()))
        traded_s = time.perf_counter() - began
    session_s = (until - day.terms.session.open_at) / SECOND_NS
    ticks = sum(len(beat.packets) for beat in beats)
    print(
        f"{session_s / 3600:.1f} h of {len(feed.instruments)} instruments, {ticks:,} ticks,"
        f" {result.fills} fills: traded in {traded_s:.1f} s, {session_s / traded_s:,.0f} x real time;"
        f" making the ticks alone took {made_s:.1f} s"
    )
    line = {"benchmark": "backtest", "times_real_time": round(session_s / traded_s), "ticks": ticks}
    print(json.dumps(line | {"traded_to_made": round(traded_s / made_s, 2)}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
