"""A small market as the archive gets it: ticks, marks, bars, features, scores and signals of a short session.

SignalsMarket(session, seed).records() -> log records in order; its arrays are what Python judges by
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from kitepilot import events as e
from kitepilot.config import RiskSection
from kitepilot.market.calendar import ist_ns
from kitepilot.market.ticks import RECORD_DTYPE
from kitepilot.ports import LogRecord
from kitepilot.topics import BARS, DEAD_LETTER, FEATURES, SESSION, TICKS, Topic

NS = 1_000_000_000
GRACE_NS = 1_500_000_000
MINUTES = 75
SECONDS = MINUTES * 60
TOKENS = (408065, 738561, 341249, 2953217, 1270529)
SYMBOLS = ("INFY", "RELIANCE", "HDFCBANK", "TCS", "ICICIBANK")
LIVE, CANARY, SHADOW, ONLINE, BLEND = (
    "lightgbm-0a1b2c3d",
    "lightgbm-4e5f6a7b",
    "xgboost-8c9d0e1f",
    "river_logistic",
    "blend",
)
FEATURE_NAMES = ("ret_60s", "spread", "stuck", "wanders")
#: Seconds in which the feed was down, and one instrument that is heard no more from a moment on.
SILENT = range(1_500, 1_590)
MUTE_FROM = 3_000
#: One that leaves continuous trading before the others, as stocks with a closing auction do.
EARLY, EARLY_CLOSE = 1, SECONDS - 600

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass
class SignalsMarket:
    """One session of `MINUTES` from 09:15. `last` int64[seconds, n] paise, quotes 5 or 10 paise around it.

    `heard` bool[seconds, n]: a tick came, the mark of that second has the instrument. Rows of `scores` and
    `features` are minutes.
    """

    session: date
    seed: int
    shift: float = 0.0  # of the feature that wanders
    run_id: str = ""
    last: Ints = field(init=False)
    heard: npt.NDArray[np.bool_] = field(init=False)
    bid: Ints = field(init=False)
    ask: Ints = field(init=False)
    features: Floats = field(init=False)
    scores: dict[str, Floats] = field(init=False)
    signals: list[e.SignalRaised] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        n = len(TOKENS)
        self.run_id = self.run_id or f"paper-{self.session:%Y%m%d}-{self.seed:04d}"
        steps = rng.normal(0, 40, (SECONDS, n)).round().astype(np.int64) // 5 * 5
        self.last = np.array([150_000, 250_000, 160_000, 350_000, 90_000]) + steps.cumsum(axis=0)
        self.heard = rng.random((SECONDS, n)) < 0.6
        self.heard[0] = True
        self.heard[list(SILENT)] = False
        self.heard[MUTE_FROM:, -1] = False
        self.heard[EARLY_CLOSE:, EARLY] = False
        half = 5 * rng.integers(1, 3, (SECONDS, n))
        self.bid, self.ask = self.last - half, self.last + half
        self.features = self._features(rng)
        self.scores = self._scores(rng)
        self.signals = list(self._signals(rng))

    @property
    def open_at(self) -> int:
        return ist_ns(self.session, "09:15")

    @property
    def close_at(self) -> int:
        return self.open_at + SECONDS * NS

    def closes_s(self, column: int) -> int:
        """Seconds from the open to the end of the instrument's continuous trading."""
        return EARLY_CLOSE if column == EARLY else SECONDS

    def minute_close(self, minute: int) -> int:
        """End of minute `minute`, counted from 0 (ns)."""
        return self.open_at + (minute + 1) * 60 * NS

    def known(self, second: int) -> Ints:
        """int64[n]: the last price told by the end of `second`."""
        rows = [np.flatnonzero(self.heard[: second + 1, column])[-1] for column in range(len(TOKENS))]
        return self.last[rows, np.arange(len(TOKENS))]

    def minute_prices(self) -> Ints:
        """int64[minutes, n]: the newest closes known at each minute's end."""
        return np.stack([self.known(60 * minute + 59) for minute in range(MINUTES)])

    def _features(self, rng: np.random.Generator) -> Floats:
        found = rng.normal(0, 1, (MINUTES, len(TOKENS), len(FEATURE_NAMES)))
        found[:, :, 1] = rng.integers(1, 4, (MINUTES, len(TOKENS)))
        found[:, :, 2] = 7.0
        found[:, :, 3] += self.shift
        found[:10, :, 0] = np.nan
        return found

    def _scores(self, rng: np.random.Generator) -> dict[str, Floats]:
        shape = (MINUTES, len(TOKENS))
        prices = self.minute_prices()
        ahead = np.zeros(shape)
        ahead[:-5] = (prices[5:] - prices[:-5]) / prices[:-5] * 1e4
        said = {name: rng.uniform(0, 1, shape) for name in (LIVE, CANARY, SHADOW, ONLINE)}
        said[LIVE] = (1 / (1 + np.exp(-ahead / 30 - rng.normal(0, 1, shape)))).round(2)  # with ties
        said[ONLINE][:12] = np.nan
        said[BLEND] = np.where(np.isnan(said[ONLINE]), said[LIVE], 0.7 * said[LIVE] + 0.3 * said[ONLINE])
        return said

    def _signals(self, rng: np.random.Generator) -> Any:
        for minute in range(1, MINUTES):
            for column, token in enumerate(TOKENS):
                if rng.random() < 0.35:
                    side = (e.Side.BUY, e.Side.SELL, None)[int(rng.integers(0, 3))]
                    yield self._signal(minute, column, token, side, float(rng.uniform(0.1, 1)))

    def _signal(self, minute: int, column: int, token: int, side: e.Side | None, strength: float) -> Any:
        at = self.minute_close(minute)
        second = 60 * minute + 59
        shown = {name: float(said[minute, column]) for name, said in self.scores.items() if name != SHADOW}
        return e.SignalRaised(
            source="market-0",
            seq=0,
            event_at=at + GRACE_NS,
            signal_id=f"{self.session:%m%d}{minute:03d}{column:02d}",
            strategy=("vwap_reversion", "momentum")[column % 2],
            token=token,
            tradingsymbol=SYMBOLS[column],
            side=side,
            strength=strength,
            interval_s=60,
            bar_close_at=at,
            horizon_s=(300, 420)[column % 2],
            stop_bps=30,
            take_profit_bps=40,
            last_paise=int(self.last[second, column]),
            bid_paise=int(self.bid[second, column]),
            ask_paise=int(self.ask[second, column]),
            features={},
            scores=shown,
            received_at=at,
        )

    def records(self) -> list[LogRecord]:
        """Everything as the log has it, topic by topic, each source numbered from 0."""
        said: list[tuple[Topic, bytes]] = [(TICKS, self._ticks(second)) for second in range(SECONDS)]
        numbers: dict[tuple[str, str], int] = {}
        for topic, event in self._events():
            number = numbers.get((topic.name, event.source), 0)
            numbers[(topic.name, event.source)] = number + 1
            said.append((topic, e.encode(_numbered(event, number), emitted_at=event.event_at)))
        offsets: dict[str, int] = {}
        found = []
        for topic, value in said:
            offset = offsets.get(topic.name, 0)
            offsets[topic.name] = offset + 1
            found.append(LogRecord(topic.name, 0, offset, self.open_at, b"", value))
        return found

    def _ticks(self, second: int) -> bytes:
        columns = np.flatnonzero(self.heard[second])
        batch = np.zeros(len(columns), dtype=RECORD_DTYPE)
        at_s = self.open_at // NS + second
        batch["received_at"] = at_s * NS + 250_000_000
        packet = batch["packet"]
        packet["token"] = np.array(TOKENS)[columns]
        packet["last_price"] = self.last[second, columns]
        packet["volume"] = 100 * (second + 1)
        packet["exchange_time"] = packet["last_trade_time"] = at_s
        return batch.tobytes()

    def _events(self) -> list[tuple[Topic, e.AnyEvent]]:
        said: list[tuple[Topic, e.AnyEvent]] = [(SESSION, self._start())]
        by_second: dict[int, list[e.SignalRaised]] = {}
        for signal in self.signals:
            by_second.setdefault((signal.bar_close_at - self.open_at) // NS, []).append(signal)
        for second in range(SECONDS):
            at = self.open_at + (second + 1) * NS
            said.append((SESSION, self._marked(second, at)))
            if (second + 1) % 60 == 0:
                minute = second // 60
                said.append((BARS, self._bars(minute, at)))
                said.append((FEATURES, self._computed(minute, at)))
                said.extend((SESSION, signal) for signal in by_second.get(second + 1, []))
        return [*said, *self._rare()]

    def _rare(self) -> list[tuple[Topic, e.AnyEvent]]:
        down, up = (self.open_at + second * NS for second in (SILENT.start, SILENT.stop))
        head = {"source": "market-0", "seq": 0}
        return [
            (SESSION, e.FeedChanged(**head, event_at=down, state="down", detail="silence")),
            (SESSION, e.FeedChanged(**head, event_at=up, state="up")),
            (SESSION, e.ModelJudged(**head, event_at=up, model=BLEND, state="drifted", detail="Brier 0.3")),
            (SESSION, e.ModelJudged(**head, event_at=up + NS, model=BLEND, state="fresh")),
            (
                SESSION,
                e.DriftFound(
                    **head,
                    event_at=up,
                    model=LIVE,
                    detector="psi",
                    observed=0.4,
                    limit=0.25,
                    act="tell",
                    feature="spread",
                ),
            ),
            *(
                (DEAD_LETTER, self._letter(reason, up, count))
                for reason, count in (("off_grid", 3), ("bad_frame", 1))
            ),
            (DEAD_LETTER, self._letter("undecodable", self.close_at + 3600 * NS, 2)),
        ]

    def _letter(self, reason: str, at: int, count: int) -> e.DeadLetter:
        return e.DeadLetter(
            source="market-0",
            seq=0,
            event_at=at,
            reason=reason,
            topic=TICKS.name,
            partition=0,
            offset=1,
            count=count,
            detail="",
            payload=b"",
        )

    def _start(self) -> e.RunStarted:
        instruments = tuple(
            e.InstrumentTerms(
                token=token,
                tradingsymbol=symbol,
                tick_size_paise=5,
                lot_size=1,
                closing_auction=False,
                entry_cutoff_at=self.close_at,
                square_off_at=self.close_at,
                force_flat_at=self.close_at,
                continuous_close_at=self.open_at + self.closes_s(column) * NS,
            )
            for column, (token, symbol) in enumerate(zip(TOKENS, SYMBOLS, strict=True))
        )
        parameters = e.DecisionParameters(
            session_date=self.session.isoformat(),
            open_at=self.open_at,
            close_at=self.close_at,
            instruments=instruments,
            profile=RiskSection().profile(),
            strategies=("vwap_reversion", "momentum"),
        )
        return e.RunStarted(
            source="cli",
            seq=0,
            event_at=self.open_at,
            run_id=self.run_id,
            mode="paper",
            config_hash="c",
            parameters=parameters,
        )

    def _marked(self, second: int, at: int) -> e.Marked:
        columns = np.flatnonzero(self.heard[second])
        return e.Marked(
            source="market-0",
            seq=0,
            event_at=at + GRACE_NS,
            received_at=at,
            tokens=np.array(TOKENS)[columns].tolist(),
            last_paise=self.last[second, columns].tolist(),
            bid_paise=self.bid[second, columns].tolist(),
            ask_paise=self.ask[second, columns].tolist(),
            quoted_at=[at - NS] * len(columns),
        )

    def _bars(self, minute: int, at: int) -> e.BarsClosed:
        rows = slice(60 * minute, 60 * minute + 60)
        columns = np.flatnonzero(self.heard[rows].any(axis=0))
        closes = self.known(60 * minute + 59)[columns].tolist()
        return e.BarsClosed(
            source="market-0",
            seq=0,
            event_at=at + GRACE_NS,
            interval_s=60,
            close_at=at,
            tokens=np.array(TOKENS)[columns].tolist(),
            open_paise=closes,
            high_paise=closes,
            low_paise=closes,
            close_paise=closes,
            volume=[100] * len(columns),
            tick_count=self.heard[rows].sum(axis=0)[columns].tolist(),
        )

    def _computed(self, minute: int, at: int) -> e.FeaturesComputed:
        return e.FeaturesComputed(
            source="market-0",
            seq=0,
            event_at=at + GRACE_NS,
            interval_s=60,
            close_at=at,
            names=list(FEATURE_NAMES),
            tokens=list(TOKENS),
            values=self.features[minute].astype("<f8").tobytes(),
            scores={name: said[minute].tolist() for name, said in self.scores.items()},
            weights={LIVE: 0.7, ONLINE: 0.3},
        )


def _numbered(event: e.AnyEvent, seq: int) -> e.AnyEvent:
    return msgspec.structs.replace(event, seq=seq)
