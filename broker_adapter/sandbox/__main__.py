"""`python -m broker_adapter.sandbox`: the sandbox exchange on its own, for any Kite client."""

from __future__ import annotations

import argparse
import logging
import os
import sys

from broker_adapter.sandbox.feed import FeedError
from broker_adapter.sandbox.main import API_SECRET_VARIABLE, Venue, serve
from kitepilot.config import Config, ConfigError, override
from kitepilot.market.calendar import CalendarError

EPILOG = """\
The key is `kitepilot_paper`, the secret $KITEPILOT_API_SECRET or `sandbox`. The session waits for
POST /admin/start on the admin address unless --start is given. Ctrl-C stops it.
"""


def main() -> int:
    options = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    venue = Venue(
        api_secret=os.environ.get(API_SECRET_VARIABLE, "sandbox"),
        redirect_url=options.redirect_url,
        latency_mean_ms=options.latency_ms,
        start_at_once=options.start,
    )
    try:
        config = _config(options)
        broker = config.broker
        print(f"REST {broker.rest_url}  ticker {broker.ticker_url}  admin {broker.admin_url}", flush=True)
        return serve(config, venue, lambda: print("ready", flush=True))
    except (ConfigError, FeedError, CalendarError) as err:
        print(f"sandbox: {err}", file=sys.stderr)
        return 2


def _config(options: argparse.Namespace) -> Config:
    speed = options.speed if options.speed in (None, "max") else float(options.speed)
    port = options.port
    return override(
        Config(),
        **{
            "session.date": options.date,
            "session.speed": speed,
            "market.feed": options.feed,
            "market.seed": options.seed,
            "market.instruments": options.instruments,
            "broker.rest_url": port and f"http://127.0.0.1:{port}",
            "broker.ticker_url": port and f"ws://127.0.0.1:{port + 1}",
            "broker.admin_url": port and f"http://127.0.0.1:{port + 2}",
        },
    )


def _speed(text: str) -> str:
    if text != "max":
        float(text)
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m broker_adapter.sandbox",
        description="A local exchange that speaks Kite's REST and ticker protocols.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--date", help="session to play, like 2026-11-20")
    add("--speed", type=_speed, help='session seconds per second, or "max" (needs acks); default 120')
    add("--feed", help="Parquet file or folder of recorded ticks; default the synthetic market")
    add("--seed", type=int, help="seed of the market, latencies and ids")
    add("--instruments", type=int, help="size of the synthetic market; default 50")
    add("--latency-ms", type=float, default=30.0, help="mean time of an order to the exchange; default 30")
    add("--redirect-url", default="http://127.0.0.1/kitepilot", help="where a login goes")
    add("--port", type=int, help="REST port; ticker and admin take the two after it; default 18210")
    add("--start", action="store_true", help="start the session at once")
    return parser


if __name__ == "__main__":
    sys.exit(main())
