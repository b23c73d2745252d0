"""Some minutes of a recorded session, traded in process and kept as a run would keep them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
from small_day import EAGER, RUN, Kept

from broker_adapter.sandbox.feed.port import MarketFeed
from kitepilot.config import Config
from kitepilot.events import DecisionParameters, InstrumentTerms, RiskProfile, encode
from kitepilot.kernels.shard import FEATURE_NAMES, ShardSpec
from kitepilot.market import calendar
from kitepilot.market.pipeline import MarketPipeline
from kitepilot.models.panel import Panel
from kitepilot.strategies.ma_cross import MaCross
from kitepilot.strategies.plugins import make_strategies
from kitepilot.strategies.port import Strategy
from kitepilot.topics import ORDERS, TICKS
from research.attribution import Comparison, compare
from research.backtest import Day, announced, pipeline_market, trade
from research.desk import Result
from research.ticks import Beat, beats_of_feed
from research.venue import ModelledVenue, Pace, Terms

CONFIG = Config()
QUICK = {"fast": 1.0, "slow": 3.0, "stop_bps": 5_000.0, "take_profit_bps": 5_000.0}


@dataclass
class Window:
    """`feed` from the open to `until` (IST); everything is left five minutes before."""

    feed: MarketFeed
    session: date
    until: str
    profile: RiskProfile = field(default_factory=CONFIG.risk.profile)
    eager: bool = True
    grace_ns: int = 1_500_000_000

    def at(self, minutes_before: int) -> int:
        return calendar.ist_ns(self.session, self.until) - minutes_before * 60_000_000_000

    @property
    def parameters(self) -> DecisionParameters:
        day = calendar.session(self.session)
        terms = tuple(
            InstrumentTerms(
                token=one.token,
                tradingsymbol=one.tradingsymbol,
                tick_size_paise=one.tick_size_paise,
                lot_size=1,
                closing_auction=one.closing_auction,
                entry_cutoff_at=self.at(7),
                square_off_at=self.at(5),
                force_flat_at=self.at(4),
                continuous_close_at=day.continuous_close(one.closing_auction),
            )
            for one in self.feed.instruments
        )
        return DecisionParameters(
            session_date=self.session.isoformat(),
            open_at=day.open_at,
            close_at=day.close_at,
            instruments=terms,
            profile=self.profile,
            strategies=tuple(self.strategies()),
        )

    def strategies(self) -> Mapping[str, Strategy]:
        hasty = make_strategies(list(EAGER), EAGER, FEATURE_NAMES) if self.eager else {}
        return {**hasty, "ma_cross": MaCross(QUICK)}

    def pipeline(self) -> MarketPipeline:
        terms, day = self.parameters.instruments, calendar.session(self.session)
        spec = ShardSpec(
            tokens=np.array([one.token for one in terms], dtype=np.int64),
            tick_size_paise=np.array([one.tick_size_paise for one in terms], dtype=np.int64),
            open_at=np.full(len(terms), day.open_at, dtype=np.int64),
            close_at=np.array([one.continuous_close_at for one in terms], dtype=np.int64),
            grace_ns=self.grace_ns,
        )
        return MarketPipeline(spec, [one.tradingsymbol for one in terms], self.strategies(), Panel(), None)

    @property
    def day(self) -> Day:
        terms = Terms(
            RUN,
            calendar.session(self.session),
            self.feed.instruments,
            CONFIG.broker,
            self.profile.limits,
            7,
            no_mis_percent=0,
        )
        return Day(announced(RUN, "paper", "c0ffee", self.parameters), terms)

    @cached_property
    def _beats(self) -> list[Beat]:
        until = calendar.ist_ns(self.session, self.until)
        found = []
        for beat in beats_of_feed(self.feed):
            if beat.until > until:
                break
            found.append(beat)
        return found

    def beats(self) -> Iterator[Beat]:
        return iter(self._beats)

    def traded(self, pace: Pace) -> tuple[Kept, Result]:
        """Lived through: what was kept of it, and what it came to."""
        kept, day = Kept(), self.day
        kept.topics[TICKS.name] = [message for beat in self.beats() for message in beat.messages]
        venue = ModelledVenue(day.terms, pace)
        result = trade(day, self.beats(), pipeline_market(self.pipeline(), kept.hear), venue, kept.hear)
        kept.topics[ORDERS.name] = [encode(line) for line in venue.journal]
        return kept, result

    def compared(self, kept: Kept, pace: Pace) -> Comparison:
        return compare(self.day, kept.recorded, self.pipeline, pace, self.beats)
