"""An instant -> what a stock's market does then, and when the broker closes intraday positions itself."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

from kitepilot.market.calendar import Session, ist_ns

#: `auction`: the closing auction takes orders; `closed` also stands for its reference-price phase.
Phase = Literal["closed", "pre_open", "continuous", "auction"]

NS_PER_S = 1_000_000_000
NS_PER_MIN = 60 * NS_PER_S
#: Closing auction (NSE/CMTR/72394 and 74466, 2026): prices from the last fifteen minutes make the reference.
REFERENCE_FROM, AUCTION_ENTRY_FROM, MARKET_ENTRY_UNTIL = "15:00", "15:20", "15:25"
RANDOM_CLOSE_FROM = "15:28"
RANDOM_CLOSE_S = 120


class Cutoffs(NamedTuple):
    """From `since` on: no fresh intraday orders, then the broker's own square-off, in IST."""

    since: date
    closing_auction: tuple[str, str]
    plain: tuple[str, str]


#: Equity cash at 15:20 "or after; the queue takes minutes" (support article, seen 2026). For stocks with a
#: closing auction the later time was not published; other brokers announced 15:00 to 15:12, a developer's
#: notes say 15:10 to 15:20 of this one. The two minutes before their last continuous trade are ours.
CUTOFFS = (
    Cutoffs(date.min, ("15:20", "15:22"), ("15:20", "15:22")),
    Cutoffs(date(2026, 8, 3), ("15:12", "15:13"), ("15:20", "15:22")),
)


@dataclass(frozen=True)
class Hours:
    """One session's clock, for both classes of stocks. Instants are ns UTC; `seed` draws random closes."""

    session: Session
    seed: int = 0

    def fresh_until(self, closing_auction: bool) -> int:
        """When orders that open or enlarge an intraday position stop being taken."""
        return self._cutoffs(closing_auction)[0]

    def square_off_at(self, closing_auction: bool) -> int:
        """When the broker begins to close what is open."""
        return self._cutoffs(closing_auction)[1]

    @property
    def has_auction(self) -> bool:
        return self.session.auction_continuous_close_at < self.session.continuous_close_at

    @property
    def reference_from(self) -> int:
        """From here to the end of continuous trading, prices make the closing auction's reference."""
        return ist_ns(self.session.date, REFERENCE_FROM)

    @property
    def auction_match_at(self) -> int:
        return self.session.continuous_close_at

    def phase(self, closing_auction: bool, at: int) -> Phase:
        session = self.session
        if session.pre_open_at <= at < session.pre_open_end_at:
            return "pre_open"
        if any(start <= at < end for start, end in session.windows):
            if at < session.continuous_close(closing_auction):
                return "continuous"
            if self._auction_entry(at):
                return "auction"
        return "closed"

    def takes_market_orders(self, at: int) -> bool:
        """In the closing auction: market orders only in its first five minutes."""
        return at < ist_ns(self.session.date, MARKET_ENTRY_UNTIL)

    def _auction_entry(self, at: int) -> bool:
        day = self.session.date
        extra = random.Random(f"{self.seed}:{day}:auction").randrange(RANDOM_CLOSE_S) * NS_PER_S
        return ist_ns(day, AUCTION_ENTRY_FROM) <= at < ist_ns(day, RANDOM_CLOSE_FROM) + extra

    def _cutoffs(self, closing_auction: bool) -> tuple[int, int]:
        session = self.session
        if session.kind not in ("regular", "full"):  # short sessions: ours
            close_at = session.continuous_close_at
            return close_at - 15 * NS_PER_MIN, close_at - 10 * NS_PER_MIN
        row = max((row for row in CUTOFFS if row.since <= session.date), key=lambda row: row.since)
        fresh, square_off = row.closing_auction if closing_auction and self.has_auction else row.plain
        return ist_ns(session.date, fresh), ist_ns(session.date, square_off)
