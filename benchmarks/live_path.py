"""The live path on one machine: tick -> signal -> order enqueued, p95 against the owner's aims.

Latency is a subtraction of stamps: signal `emitted_at` - `received_at` of the record that completed the bar;
intent `emitted_at` - `emitted_at` of its signal. The default form runs everything: sandbox exchange, ingest,
market, decisions, gateway, archive, PostgreSQL, ClickHouse and the API under the supervisor, in a home and
on ports of its own. `--light` runs only a producer, the market flow and the decision flow.

A rate is sustained when it was reached, the marks of its last quarter leave as soon as those of its second
(within 50 ms), and the archive did not fall behind. Then the rate climbs until one is not sustained.

`--archive-apart` runs the last rate in turns, the archive at work and frozen: the ratio of p95 is its cost.
`--readers-apart` does so with fifty readers of the live stream and with none, `--traces-apart` with traces
told to a collector and with nobody telling them.

Usage: python benchmarks/live_path.py [--light | --archive-apart | --readers-apart | --traces-apart]
                                      [--quick] [--no-climb] [--seconds 60] [--rates 1000 5000 ...]
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import live_figures as figures
import psutil

CLIMB = (15_000, 20_000, 30_000)
LIGHT_CLIMB = (20_000, 40_000, 80_000)


def main() -> None:
    asked = _arguments()
    seconds = 8.0 if asked.quick else asked.seconds
    climb = () if asked.no_climb or asked.quick else LIGHT_CLIMB if asked.light else CLIMB
    cores = psutil.cpu_count()
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {cores} cores, load {_load()}")
    with tempfile.TemporaryDirectory(prefix="kitepilot-bench-") as home:
        if asked.archive_apart:
            import archive_apart

            found = archive_apart.measure(Path(home), asked.rates[-1], seconds)
        elif asked.readers_apart:
            import readers_apart

            found = readers_apart.measure(Path(home), asked.rates[-1], seconds)
        elif asked.traces_apart:
            import traces_apart

            found = traces_apart.measure(Path(home), asked.rates[-1], seconds)
        else:
            if asked.light:
                from live_light import measure
            else:
                from live_stack import measure
            found = measure(Path(home), asked.rates, seconds, climb)
    steps = found["steps"]
    assert isinstance(steps, list)
    print(
        json.dumps(
            {
                "benchmark": "live_path",
                "form": "light" if asked.light else "everything",
                "cores": cores,
                "seconds": seconds,
                "p95_over_aim": {row["asked_per_s"]: figures.against_aims(row) for row in steps},
                **found,
            }
        )
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--light", action="store_true", help="producer, market and decisions only")
    parser.add_argument("--everything", action="store_true", help="the whole stack (the default)")
    parser.add_argument("--archive-apart", action="store_true", help="with and without the archive, in turns")
    parser.add_argument("--readers-apart", action="store_true", help="with fifty readers and none, in turns")
    parser.add_argument("--traces-apart", action="store_true", help="with traces and with none, in turns")
    parser.add_argument("--quick", action="store_true", help="8 s per rate and no climb")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rates", type=int, nargs="+", default=[1_000, 5_000, 10_000])
    parser.add_argument("--no-climb", action="store_true")
    return parser.parse_args()


def _load() -> str:
    return "/".join(f"{value:.1f}" for value in psutil.getloadavg())


if __name__ == "__main__":
    main()
