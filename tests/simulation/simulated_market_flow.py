"""Marks, wishes, the feed's state and the owner's words onto the session topic."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from simulated_faults import Wish
from simulated_market import S

from kitepilot.events import Commanded, FeedChanged, Marked, SessionEvent, Side, SignalRaised, encode
from kitepilot.orders.intents import signal_id
from kitepilot.topics import SESSION

if TYPE_CHECKING:
    from simulated_day import Day


class MarketFlow:
    """Marks and signals onto the session topic, in order, each thing once or, after a crash, again."""

    def __init__(self, day: Day) -> None:
        self._day = day
        self._seqs: Counter[str] = Counter()
        self._last_at = 0.0
        self._waiting: deque[bytes] = deque()
        self._sent: deque[bytes] = deque(maxlen=6)
        self._quotes: dict[int, tuple[int, int, int, int]] = {}
        self._down = False
        self._asked: set[str] = set()

    def head(self, source: str, at: int) -> dict[str, Any]:
        seq = self._seqs[source]
        self._seqs[source] += 1
        return {"source": source, "seq": seq, "event_at": at}

    def say(self, event: SessionEvent) -> None:
        """On the log after a moment, behind what was said before."""
        raw = encode(event, emitted_at=self._day.loop.time_ns())
        loop = self._day.loop
        self._last_at = max(self._last_at + 1e-6, loop.now + self._day.draws.uniform(0.001, 0.01))
        self._waiting.append(raw)
        loop.at(self._last_at - loop.now, self._arrive)

    def _arrive(self) -> None:
        """The oldest that waits: each message brings one arrival, perhaps another's."""
        if self._day.log.down:  # it waits for the log, as a flow that is started again does
            self._day.loop.at(0.05, self._arrive)
            return
        raw = self._waiting.popleft()
        self._day.log.append(SESSION.name, [raw])
        self._sent.append(raw)

    def repeat(self) -> None:
        """The flow died and says its last messages again, under the same numbers."""
        if self._sent and not self._day.log.down:
            many = self._day.draws.randint(1, len(self._sent))
            self._day.log.append(SESSION.name, list(self._sent)[-many:])

    def feed_down(self, at: int) -> None:
        if not self._down:
            self._down = True
            self.say(FeedChanged(**self.head("market-0.feed", at), state="down", detail="simulated"))

    def feed_up(self) -> None:
        if self._down:
            self._down = False
            at = self._day.venue.exchange.played
            self.say(FeedChanged(**self.head("market-0.feed", at), state="up"))

    def played(self, piece: Any) -> None:
        """One step of the market: a mark, and perhaps wishes."""
        packets = piece.packets
        fresh: dict[int, tuple[int, int, int, int]] = {}
        if len(packets) and not self._down:
            columns = (
                packets["token"].tolist(), packets["last_price"].tolist(),
                packets["bids"]["price"][:, 0].tolist(), packets["asks"]["price"][:, 0].tolist(),
                packets["exchange_time"].tolist(),
            )  # fmt: skip
            for token, last, bid, ask, at in zip(*columns, strict=True):
                fresh[token] = (last, bid, ask, at * S)
        self._quotes |= fresh
        at = piece.until
        if at < self._day.session.open_at:
            return
        rows = list(fresh.values())
        self.say(
            Marked(
                **self.head("market-0", at),
                received_at=0,
                tokens=list(fresh),
                last_paise=[row[0] for row in rows],
                bid_paise=[row[1] for row in rows],
                ask_paise=[row[2] for row in rows],
                quoted_at=[row[3] for row in rows],
            )
        )
        for wish in self._day.plan.wishes_at(at):
            self._wish(wish, at)

    def _wish(self, wish: Wish, at: int) -> None:
        instruments = self._day.feed.instruments
        instrument = instruments[wish.instrument % len(instruments)]
        quote = self._quotes.get(instrument.token)
        name = signal_id(wish.strategy, instrument.token, 1, at)
        if quote is None or name in self._asked:
            return
        self._asked.add(name)
        self.say(
            SignalRaised(
                **self.head("market-0.signals", at),
                signal_id=name,
                strategy=wish.strategy,
                token=instrument.token,
                tradingsymbol=instrument.tradingsymbol,
                side=None if wish.side is None else Side(wish.side),
                strength=1.0,
                interval_s=1,
                bar_close_at=at,
                horizon_s=wish.horizon_s,
                stop_bps=wish.stop_bps,
                take_profit_bps=wish.take_profit_bps,
                last_paise=quote[0],
                bid_paise=quote[1],
                ask_paise=quote[2],
                features={},
                scores={},
                received_at=0,
            )
        )

    def command(self, word: str) -> None:
        """The owner says something."""
        at = self._day.venue.exchange.played
        head = self.head("owner", at)
        self._day.say(f"the owner: {word}", count=f"owner {word}")
        self.say(Commanded(**head, command_id=f"c{head['seq']}", command=word, by="owner"))
