"""Twenty minutes of a small synthetic market, traded in process and kept as a run would keep it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from msgspec.structs import replace

from broker_adapter.sandbox.feed.synthetic import SyntheticMarket
from kitepilot.config import Config
from kitepilot.events import (
    AnyEvent,
    ApprovedIntent,
    BarsClosed,
    DeadLetter,
    DecisionParameters,
    FeaturesComputed,
    Filled,
    InstrumentTerms,
    SessionEvent,
    encode,
)
from kitepilot.kernels.shard import FEATURE_NAMES, ShardSpec
from kitepilot.market import calendar
from kitepilot.market.pipeline import MarketPipeline
from kitepilot.market.ticks import RECORD_DTYPE
from kitepilot.models.panel import Panel
from kitepilot.strategies.plugins import make_strategies
from kitepilot.topics import BARS, DEAD_LETTER, DECISIONS, FEATURES, INTENTS, ORDERS, SESSION, TICKS
from research.backtest import Day, announced, pipeline_market, trade
from research.desk import Result
from research.recorded import RecordedDay
from research.ticks import Beat, Packets, beats_of_feed, beats_of_log, shown_by
from research.venue import ModelledVenue, Pace, Terms, Told

DAY = date(2026, 11, 20)
RUN = "paper-20261120-0001"
SESSION_DAY = calendar.session(DAY)
EAGER = {
    "micro_momentum": {
        "from_minute": 1,
        "depth_imbalance": 0.05,
        "trade_imbalance": 0.01,
        "trade_imbalance_60s": 0.0,
        "max_move_vols": 20,
        "volume_ratio": 0.0,
        "max_spread_bps": 100,
        "cooldown_s": 30,
        "horizon_s": 45,  # so near that prices far off are no reason to leave
        "stop_bps": 1_000,
        "take_profit_bps": 1_000,
    }
}
FEED = SyntheticMarket(DAY, 7, 4, 2.0)
UNTIL = calendar.ist_ns(DAY, "09:27")
CONFIG = Config()


def parameters() -> DecisionParameters:
    terms = tuple(
        InstrumentTerms(
            token=one.token,
            tradingsymbol=one.tradingsymbol,
            tick_size_paise=one.tick_size_paise,
            lot_size=1,
            closing_auction=one.closing_auction,
            entry_cutoff_at=calendar.ist_ns(DAY, "09:24:45"),
            square_off_at=calendar.ist_ns(DAY, "09:25"),
            force_flat_at=calendar.ist_ns(DAY, "09:26"),
            continuous_close_at=SESSION_DAY.continuous_close(one.closing_auction),
        )
        for one in FEED.instruments
    )
    return DecisionParameters(
        session_date=DAY.isoformat(),
        open_at=SESSION_DAY.open_at,
        close_at=SESSION_DAY.close_at,
        instruments=terms,
        profile=CONFIG.risk.profile(),
        strategies=tuple(EAGER),
    )


def pipeline() -> MarketPipeline:
    terms = parameters().instruments
    spec = ShardSpec(
        tokens=np.array([one.token for one in terms], dtype=np.int64),
        tick_size_paise=np.array([one.tick_size_paise for one in terms], dtype=np.int64),
        open_at=np.full(len(terms), SESSION_DAY.open_at, dtype=np.int64),
        close_at=np.array([one.continuous_close_at for one in terms], dtype=np.int64),
        grace_ns=1_500_000_000,
    )
    strategies = make_strategies(list(EAGER), EAGER, FEATURE_NAMES)
    return MarketPipeline(spec, [one.tradingsymbol for one in terms], strategies, Panel(), None)


def day() -> Day:
    terms = Terms(
        RUN, SESSION_DAY, FEED.instruments, CONFIG.broker, CONFIG.risk.limits(), 7, no_mis_percent=0
    )
    return Day(announced(RUN, "paper", "c0ffee", parameters()), terms)


_beats: list[Beat] = []


def beats() -> Iterator[Beat]:
    """The market as it was sent; made once."""
    if not _beats:
        for beat in beats_of_feed(FEED):
            if beat.until > UNTIL:
                break
            _beats.append(beat)
    return iter(_beats)


TOPIC_OF = {
    ApprovedIntent: INTENTS,
    BarsClosed: BARS,
    FeaturesComputed: FEATURES,
    DeadLetter: DEAD_LETTER,
    SessionEvent: SESSION,
}


@dataclass
class Kept:
    """What a run leaves behind, by topic."""

    topics: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    def hear(self, event: AnyEvent) -> None:
        topic = next((topic for kind, topic in TOPIC_OF.items() if isinstance(event, kind)), DECISIONS)
        self.topics[topic.name].append(encode(event))

    @property
    def recorded(self) -> RecordedDay:
        return RecordedDay(RUN, lambda topic: list(self.topics[topic]))


def without(messages: Iterable[bytes], lost: Iterable[tuple[int, int, int]]) -> list[bytes]:
    """The messages without the packets of (token, from second, to second) of the exchange's own stamp."""
    kept = []
    for message in messages:
        records = np.frombuffer(message, dtype=RECORD_DTYPE)
        stays = np.ones(len(records), dtype=bool)
        for token, first, last in lost:
            packet = records["packet"]
            at = packet["exchange_time"]
            stays &= ~((packet["token"] == token) & (at >= first) & (at < last))
        if stays.any():
            kept.append(records[stays].tobytes())
    return kept


class Worse:
    """A venue whose fills cost so many paise a share more than the model's."""

    def __init__(self, venue: ModelledVenue, paise: int) -> None:
        self._venue = venue
        self._paise = paise

    def send(self, intent: ApprovedIntent, at: int) -> list[Told]:
        return self._venue.send(intent, at)

    def advance(self, packets: Packets, sent_at: np.ndarray, until: int) -> list[Told]:
        return [self._worse(told) for told in self._venue.advance(packets, sent_at, until)]

    def _worse(self, told: Told) -> Told:
        if not isinstance(told, Filled):
            return told
        return replace(told, price_paise=told.price_paise + told.side.sign * self._paise)


def traded(
    pace: Pace,
    messages: list[bytes] | None = None,
    told: Day | None = None,
    worse_paise: int = 0,
) -> tuple[Kept, Result]:
    """The day lived through: what was kept of it and what it came to.

    `messages`: the ticks that were received, where that is not all that was sent. The exchange saw them all.
    """
    told, kept = told or day(), Kept()
    sent = [message for beat in beats() for message in beat.messages]
    kept.topics[TICKS.name] = sent if messages is None else messages
    venue = ModelledVenue(told.terms, pace)
    result = trade(
        told,
        shown_by(beats(), beats_of_log(kept.topics[TICKS.name])),
        pipeline_market(pipeline(), kept.hear),
        Worse(venue, worse_paise),
        kept.hear,
    )
    kept.topics[ORDERS.name] = [encode(line) for line in venue.journal]
    return kept, result
