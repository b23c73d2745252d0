"""Every knob of the sandbox that is not part of a run's configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from broker_adapter.sandbox.feed.port import MarketFeed
from kitepilot.config import Config, ConfigError


@dataclass(frozen=True)
class Venue:
    """The sandbox's own settings.

    Attributes:
        api_secret: shared with whoever logs in.
        redirect_url: where a login goes.
        latency_mean_ms: mean time of a request to the exchange; 0 is none at all, for every status.
        latency_shares: how that time is shared between PUT ORDER REQ RECEIVED, VALIDATION PENDING and OPEN
            PENDING (for a change or a cancellation: before, during and after the risk desk).
        stale_after_s: without a packet for so long an instrument counts as halted.
        cash_rupees: money on the account.
        no_mis_percent: so many of a hundred stocks without derivatives cannot be traded intraday.
        square_off: whether the broker closes open positions itself at its cutoff.
        state: folder in which the book is kept over restarts; None keeps it in memory only.
        fsync: whether an order is on the disk, not just with the operating system, before it is answered.
        start_at_once: the session starts by itself.
        start_from: HH:MM IST: with `start_at_once`, rush to it and be ready only then.
        single_session: a second login ends the first.
        hard_sockets: refuse ticker connections above so many; 0 flags them only, as Kite does.
        sessions_back: so many earlier session dates have candles.
        postback_url: where order updates are posted; empty posts none.
    """

    api_secret: str = field(repr=False)
    redirect_url: str = "http://127.0.0.1:18209/kitepilot"
    latency_mean_ms: float = 30.0
    latency_shares: tuple[float, float, float] = (0.2, 0.2, 0.6)
    stale_after_s: int = 60
    cash_rupees: int = 10_00_000
    no_mis_percent: int = 2
    square_off: bool = True
    state: Path | None = None
    fsync: bool = True
    start_at_once: bool = False
    start_from: str = ""
    single_session: bool = False
    hard_sockets: int = 0
    sessions_back: int = 5
    postback_url: str = ""

    def __post_init__(self) -> None:
        if min(self.latency_mean_ms, *self.latency_shares) < 0:
            raise ConfigError("the sandbox's latency and its shares must be 0 or more")

    def terms(self, config: Config, feed: MarketFeed) -> dict[str, str]:
        """Everything that the outcome of the same requests depends on, by name."""
        return {
            "session date": config.session.date,
            "seed": str(config.market.seed),
            "feed": feed.description,
            "latency": f"{self.latency_mean_ms:g} ms as {self.latency_shares}",
            "stale limit": f"{self.stale_after_s} s",
            "cash": f"{self.cash_rupees} rupees",
            "share of stocks without MIS": f"{self.no_mis_percent} %",
            "square-off": "on" if self.square_off else "off",
        }
