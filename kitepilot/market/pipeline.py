"""Ticks messages -> bars, features, scores, marks and signals: the market flow without its framework.

    MarketPipeline.on_message(bytes) -> [(topic, event), ...]

Pure: time is what the clock records inside the messages say. The same records give the same events however
they are cut into messages, and a restored snapshot goes on as if nothing had happened. Each topic has its
own source name, so the sequence numbers of each topic are gap-free.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from kitepilot.events import (
    AnyEvent,
    BarsClosed,
    DeadLetter,
    DriftFound,
    FeaturesComputed,
    FeedChanged,
    Marked,
    ModelActivated,
    ModelJudged,
    SignalRaised,
    StrategySwitched,
)
from kitepilot.kernels.shard import (
    FEATURE_NAMES,
    BarClose,
    FeedRecord,
    ModelRecord,
    Rejected,
    Shard,
    ShardSpec,
    StrategyRecord,
)
from kitepilot.market.ticks import SEGMENT_INDICES, records
from kitepilot.models.panel import Panel
from kitepilot.models.port import Floats, OnlineModel
from kitepilot.models.score_stream import Scored, ScoreStream, Settings
from kitepilot.orders.intents import signal_id
from kitepilot.strategies.port import MarketView, Strategy, Wish
from kitepilot.strategies.roster import Remake, Roster
from kitepilot.topics import BARS, DEAD_LETTER, FEATURES, SESSION, TICKS

Out = tuple[str, AnyEvent]

MINUTE_S = 60
SEGMENT_MASK = 0xFF
VERSION = 7
LESSON_ROWS = 8  # labelled rows learned at a 1 s close: 19 us each, 300 of them within the minute
MAX_DETAIL = 500
_SUFFIX = {SESSION.name: "", BARS.name: ".bars", FEATURES.name: ".features", DEAD_LETTER.name: ".dead"}


class SnapshotError(ValueError):
    """A snapshot of another version, other instruments, strategies or models: start the day's flow anew."""


class MarketPipeline:
    """One shard's instruments, from packets to wishes.

    Per 1 s close: bars of that second, `Marked`, signals of 1 s strategies. Per 1 m close: bars, labels that
    matured, scores in one batch, `FeaturesComputed`, signals. The online model learns matured labels at the
    1 s closes that follow, a few rows at each, so that no signal waits for it. A strategy that raises is
    switched off for the rest of the day and leaves a dead letter, as does a shadow or canary model; the day
    goes on. Shadows are scored with the others and kept from strategies and signals.
    """

    def __init__(
        self,
        spec: ShardSpec,
        tradingsymbols: Sequence[str],
        strategies: Mapping[str, Strategy],
        panel: Panel,
        online: OnlineModel | None,
        *,
        source: str = "market-0",
        scoring: Settings | None = None,
        remake: Remake | None = None,
    ) -> None:
        self._spec = spec
        self._tradingsymbols = tuple(tradingsymbols)
        self._token_list: list[int] = spec.tokens.tolist()
        self._tradable = (spec.tokens & SEGMENT_MASK) != SEGMENT_INDICES
        self._roster = Roster(strategies, remake)
        self._source = source
        self._shard = Shard(spec)
        panel.watch(spec.tokens)
        self._scoring = ScoreStream(panel, online, scoring or Settings())
        self._seq: Counter[str] = Counter()
        self._tally: Counter[str] = Counter()
        self._at = int(spec.open_at.min())

    def on_message(self, value: bytes, offset: int = -1) -> list[Out]:
        """One `ticks` message -> events in order. `offset` is only noted on dead letters."""
        out: list[Out] = []
        self._tally["messages"] += 1
        try:
            batch = records(value)
        except ValueError as err:
            self._dead(out, Rejected("undecodable", value, 1, str(err)), offset)
            return out
        self._tally["records"] += len(batch)
        for found in self._shard.on_records(batch):
            if isinstance(found, BarClose):
                self._on_close(out, found, offset)
            elif isinstance(found, Rejected):
                self._dead(out, found, offset)
            elif isinstance(found, ModelRecord):
                self._activate(out, found, offset)
            elif isinstance(found, StrategyRecord):
                self._on_word(out, found, offset)
            else:
                self._on_feed(out, found)
        return out

    @property
    def counts(self) -> dict[str, int]:
        """What became of every record (by the kernel's reason), and what was emitted. Plain numbers."""
        learned = {"labels": self._scoring.labels, "labels_true": self._scoring.labels_true}
        return {**self._shard.counts, **self._tally, **learned}

    @property
    def at(self) -> int:
        """Session time (ns UTC) as of the newest close: its end plus the grace. The open before the first."""
        return self._at

    @property
    def online_state(self) -> bytes:
        """What the online model has learned; empty without one."""
        return self._scoring.online_state

    def snapshot(self) -> bytes:
        """Everything the next message depends on, as one versioned msgpack blob."""
        return msgspec.msgpack.encode(
            {
                "version": VERSION,
                "identity": self._identity(),
                "shard": self._shard.snapshot(),
                "scoring": self._scoring.snapshot(),
                "strategies": self._roster.snapshot(),
                "seq": dict(self._seq),
                "tally": dict(self._tally),
                "at": self._at,
            }
        )

    def restore(self, blob: bytes) -> None:
        """Go on from `snapshot`.

        Raises:
            SnapshotError: it was taken by another version or another set of instruments or plug-ins.
        """
        state: dict[str, Any] = msgspec.msgpack.decode(blob)
        if state["version"] != VERSION or state["identity"] != self._identity():
            raise SnapshotError(
                f"this snapshot is of {state['identity']}, the flow is {self._identity()}; "
                "start a new run, or go back to the configuration the run began with"
            )
        self._shard = Shard.restore(self._spec, state["shard"])
        self._scoring.restore(state["scoring"])
        self._roster.restore(state["strategies"])
        self._seq = Counter(state["seq"])
        self._tally = Counter(state["tally"])
        self._at = state["at"]

    def _identity(self) -> list[Any]:
        tokens = self._token_list
        return [len(tokens), sum(tokens), self._roster.names, self._scoring.model_ids]

    # --- from the kernel's findings to events -------------------------------------------------------

    def _on_feed(self, out: list[Out], found: FeedRecord) -> None:
        head = self._head(SESSION.name, found.event_at)
        out.append((SESSION.name, FeedChanged(**head, state=found.state, detail=found.text)))

    def _activate(self, out: list[Out], found: ModelRecord, offset: int) -> None:
        """Follow another model from the next 1 m close on; a word that cannot be followed leaves a letter."""
        previous = self._scoring.live
        if why_not := self._scoring.activate(found.model_id):
            self._dead(out, Rejected("model_not_activated", b"", 1, why_not), offset)
            return
        head = self._head(SESSION.name, self._at)
        said = ModelActivated(**head, model=found.model_id, previous=previous, reason=found.reason)
        out.append((SESSION.name, said))

    def _on_word(self, out: list[Out], found: StrategyRecord, offset: int) -> None:
        """The owner's word about a strategy; one that cannot be done leaves a letter, and nothing changes."""
        try:
            change = self._roster.hear(found.text)
        except Exception as err:  # making a user's strategy may raise anything
            self._dead(out, Rejected("strategy_not_switched", b"", 1, f"{type(err).__name__}: {err}"), offset)
            return
        if change is not None:
            said = StrategySwitched(
                **self._head(SESSION.name, self._at),
                strategy=change.strategy,
                state=change.state,
                digest=change.digest,
                kept=change.kept,
            )
            out.append((SESSION.name, said))

    def _on_close(self, out: list[Out], close: BarClose, offset: int) -> None:
        self._at = close.close_at + self._spec.grace_ns
        if close.rows.size:
            out.append((BARS.name, self._bars(close)))
        scores: dict[str, Floats] = {}
        if close.interval_s == MINUTE_S:
            found = self._scoring.on_minute(close.close_at, close.features, close.last_paise)
            scores = found.scores
            out.append((FEATURES.name, self._features(close, found)))
            self._judge(out, found)
            for model_id, trouble in found.failed:
                detail = f"model {model_id} is off for the day: {trouble}"
                self._dead(out, Rejected("model_failed", b"", 1, detail), offset)
        else:
            out.append((SESSION.name, self._marked(close)))
            self._scoring.learn(LESSON_ROWS)
        self._ask(out, self._view(close, scores), close.received_at, offset)

    def _bars(self, close: BarClose) -> BarsClosed:
        self._tally[f"bars_{close.interval_s}s"] += int(close.rows.size)
        return BarsClosed(
            **self._head(BARS.name, self._at),
            interval_s=close.interval_s,
            close_at=close.close_at,
            tokens=self._spec.tokens[close.rows].tolist(),
            open_paise=close.open.tolist(),
            high_paise=close.high.tolist(),
            low_paise=close.low.tolist(),
            close_paise=close.close.tolist(),
            volume=close.volume.tolist(),
            tick_count=close.tick_count.tolist(),
        )

    def _marked(self, close: BarClose) -> Marked:
        rows = np.flatnonzero(close.changed)
        return Marked(
            **self._head(SESSION.name, self._at),
            received_at=close.received_at,
            tokens=self._spec.tokens[rows].tolist(),
            last_paise=close.last_paise[rows].tolist(),
            bid_paise=close.bid_paise[rows].tolist(),
            ask_paise=close.ask_paise[rows].tolist(),
            quoted_at=close.quoted_at[rows].tolist(),
        )

    def _judge(self, out: list[Out], found: Scored) -> None:
        """Say so when a score stops or starts to be worth following, and what has drifted."""
        for model, state, why in found.told:
            head = self._head(SESSION.name, self._at)
            out.append((SESSION.name, ModelJudged(**head, model=model, state=state, detail=why)))
        for drift in found.drifts:
            head = self._head(SESSION.name, self._at)
            out.append((SESSION.name, DriftFound(**head, **drift._asdict())))

    def _features(self, close: BarClose, found: Scored) -> FeaturesComputed:
        return FeaturesComputed(
            **self._head(FEATURES.name, self._at),
            interval_s=close.interval_s,
            close_at=close.close_at,
            names=list(FEATURE_NAMES),
            tokens=self._token_list,
            values=close.features.astype("<f8", copy=False).tobytes(),
            scores={model: values.tolist() for model, values in (found.scores | found.beside).items()},
            weights=found.weights,
        )

    def _view(self, close: BarClose, scores: dict[str, Floats]) -> MarketView:
        return MarketView(
            interval_s=close.interval_s,
            close_at=close.close_at,
            tokens=self._spec.tokens,
            tradingsymbols=self._tradingsymbols,
            names=FEATURE_NAMES,
            features=close.features,
            scores=scores,
            last_paise=close.last_paise,
            bid_paise=close.bid_paise,
            ask_paise=close.ask_paise,
        )

    def _ask(self, out: list[Out], view: MarketView, received_at: int, offset: int) -> None:
        for name, strategy in self._roster.asked_at(view.interval_s):
            try:
                wishes = strategy.on_close(view)
            except Exception as err:  # a user's code: whatever it raises must not stop the day
                self._roster.switch_off(name)
                detail = f"strategy {name} is off: {type(err).__name__}: {err}"
                self._dead(out, Rejected("strategy_failed", b"", 1, detail), offset)
                continue
            for wish in wishes:
                if self._tradable[wish.row]:
                    self._tally[f"signals_{name}"] += 1
                    out.append((SESSION.name, self._signal(name, wish, view, received_at)))

    def _signal(self, name: str, wish: Wish, view: MarketView, received_at: int) -> SignalRaised:
        row, token = wish.row, self._token_list[wish.row]
        return SignalRaised(
            **self._head(SESSION.name, self._at),
            signal_id=signal_id(name, token, view.interval_s, view.close_at),
            strategy=name,
            token=token,
            tradingsymbol=view.tradingsymbols[row],
            side=wish.side,
            strength=wish.strength,
            interval_s=view.interval_s,
            bar_close_at=view.close_at,
            horizon_s=wish.horizon_s,
            stop_bps=wish.stop_bps,
            take_profit_bps=wish.take_profit_bps,
            last_paise=int(view.last_paise[row]),
            bid_paise=int(view.bid_paise[row]),
            ask_paise=int(view.ask_paise[row]),
            features=dict(zip(view.names, view.features[row].tolist(), strict=True)),
            scores={model: float(values[row]) for model, values in view.scores.items()},
            received_at=received_at,
            rests_on=(rests_on := getattr(self._roster[name], "rests_on", ())),
            models=self._models_behind(rests_on, view, row),
        )

    def _models_behind(self, rests_on: Sequence[str], view: MarketView, row: int) -> tuple[str, ...]:
        """Ids of the models behind the scores that `rests_on` names, of those that had one on this row."""
        named = dict.fromkeys(model for name in rests_on for model in self._scoring.behind(name, row))
        return tuple(each for each in named if each in view.scores and np.isfinite(view.scores[each][row]))

    def _dead(self, out: list[Out], found: Rejected, offset: int) -> None:
        self._tally["dead_letters"] += found.count
        letter = DeadLetter(
            **self._head(DEAD_LETTER.name, self._at),
            reason=found.reason,
            topic=TICKS.name,
            partition=0,
            offset=offset,
            count=found.count,
            detail=found.detail[:MAX_DETAIL],
            payload=found.payload,
        )
        out.append((DEAD_LETTER.name, letter))

    def _head(self, topic: str, event_at: int) -> dict[str, Any]:
        """Source, next sequence number of that source, and session time."""
        source = self._source + _SUFFIX[topic]
        seq = self._seq[source]
        self._seq[source] = seq + 1
        return {"source": source, "seq": seq, "event_at": event_at}
