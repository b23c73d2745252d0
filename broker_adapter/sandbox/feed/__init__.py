"""The market the sandbox plays: the project's synthetic one, or a recording."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from broker_adapter.sandbox.feed.port import FeedError, FeedInstrument, MarketFeed, Slice

if TYPE_CHECKING:
    from kitepilot.config import Config

__all__ = ["FeedError", "FeedInstrument", "MarketFeed", "Slice", "open_feed"]


def open_feed(config: Config) -> MarketFeed:
    """The feed that `market.feed` names: a Parquet file or folder; the synthetic market when empty.

    Raises:
        FeedError: a recording that cannot be played (see `recorded.open_recording`), or a synthetic
            market outside its bounds.
        kitepilot.market.calendar errors: the session date is closed or unknown.
    """
    session = date.fromisoformat(config.session.date)
    market = config.market
    if market.feed:
        from broker_adapter.sandbox.feed.recorded import open_recording

        return open_recording(Path(market.feed).expanduser(), session)
    from broker_adapter.sandbox.feed.synthetic import SyntheticMarket

    return SyntheticMarket(session, market.seed, market.instruments, market.updates_per_s)
