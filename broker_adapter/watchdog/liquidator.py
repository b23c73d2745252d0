"""Behind the fence: what is ours at the broker is cancelled, closed, looked at again, until it is flat twice.

Each round reads the broker's books afresh and believes nothing else. A request is journaled before it leaves
and sent once; one whose outcome nobody knows counts as on its way until the book shows it, or has not shown
it for long enough.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from broker_adapter.gateway.slicing import children
from broker_adapter.kite.client import BrokerReadError
from broker_adapter.kite.clock import SessionClock
from broker_adapter.kite.limits import RateLimits
from broker_adapter.kite.parse import RowError
from broker_adapter.watchdog.journal import Child, Journal, Line
from kitepilot.config import BrokerSection
from kitepilot.events import ApprovedIntent
from kitepilot.orders.intents import is_ours, parse_watchdog_tag, watchdog_tag
from kitepilot.ports import Accepted, AuthLost, Broker, OrderReport, Outcome, Rejected, Throttled, Unknown
from kitepilot.risk import liquidation
from kitepilot.risk.ladder import ASK_BROKER_AFTER, wait_s
from kitepilot.risk.liquidation import Mandate, Stake

THREADS = 4
ABSENT_LOOKS = 3
ABSENT_AFTER_S = 15.0  # requests that "timed out" have been orders eight seconds later
CANCEL_AGAIN_S = 2.0
FLAT_LOOKS = 2
MAX_EXITS_A_ROUND = 100
Read = Callable[[], Any]


@dataclass(frozen=True)
class Account:
    """What the broker says is ours, at one look."""

    stakes: tuple[Stake, ...]
    live: tuple[OrderReport, ...]
    tags: frozenset[str]

    @property
    def held(self) -> list[Stake]:
        return [stake for stake in self.stakes if stake.quantity]

    @property
    def instruments(self) -> int:
        """With shares of ours, or an order that may bring some."""
        return len({stake.token for stake in self.held} | {row.token for row in self.live})


@dataclass
class Doubt:
    """A request that may become an order: since when (monotonic s), and how often it was not found."""

    token: int
    quantity: int
    since: float
    looks: int = 0


class Liquidator:
    """One account's way to flat. All methods run on the event loop."""

    def __init__(
        self,
        broker: Broker,
        limits: RateLimits,
        clock: SessionClock,
        journal: Journal,
        settings: BrokerSection,
    ) -> None:
        self._broker = broker
        self._limits = limits
        self._clock = clock
        self._journal = journal
        self._settings = settings
        self._pool = ThreadPoolExecutor(THREADS, "watchdog")
        self._doubts: dict[str, Doubt] = {}
        self._tries: Counter[int] = Counter()
        self._not_before: dict[int, float] = defaultdict(float)
        self._cancelled: dict[str, float] = {}
        self._flat_looks = 0
        self.seen: Account | None = None
        self._restore(journal.earlier)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _restore(self, earlier: Sequence[Line]) -> None:
        """What a watchdog before us sent: its tries go on counting, its open requests may still be orders."""
        for line in earlier:
            if line.kind == "sending":
                number = parse_watchdog_tag(line.tag)
                if number is not None and number[1] == 0:
                    self._tries[line.token] += 1
                self._doubts[line.tag] = Doubt(line.token, line.quantity, time.monotonic())
            elif line.kind in ("rejected", "throttled", "login_needed", "absent"):
                self._doubts.pop(line.tag, None)

    async def look(self) -> Account:
        """Read the broker's books: trades, then orders, then positions.

        Raises:
            BrokerReadError, RowError: they could not be read.
        """
        trades = await self._read(self._broker.trades)
        orders = await self._read(self._broker.orders)
        positions = await self._read(self._broker.positions)
        self._limits.counted(len(orders))
        return Account(
            tuple(liquidation.stakes(orders, trades, positions)),
            tuple(liquidation.live_of_ours(orders)),
            frozenset(row.tag for row in orders if is_ours(row.tag)),
        )

    async def round(self, mandate: Mandate, why: str) -> bool:
        """One look and what follows from it; True once the account was seen flat twice in a row.

        Raises:
            BrokerReadError, RowError: as `look`. OSError: the journal cannot be written; nothing was sent.
        """
        account = await self.look()
        self._settle(account)
        if not account.instruments and not self._doubts:
            self._flat_looks += 1
            return self._flat_looks >= FLAT_LOOKS
        self._flat_looks = 0
        await self._cancel(account)
        before, self.seen = self.seen, account
        still = [stake for stake in account.held if before is not None and stake in before.stakes]
        await self._leave(still, mandate, why)
        return False

    def troubles(self) -> str:
        """What a person should know of the account as it was seen last; "" when it leaves as it should."""
        stakes = self.seen.stakes if self.seen else ()
        told = [
            f"{stake.tradingsymbol}: {stake.quantity} shares held after {self._tries[stake.token]} exits"
            for stake in stakes
            if stake.quantity and self._tries[stake.token] >= ASK_BROKER_AFTER
        ]
        told += [
            f"{stake.tradingsymbol}: no fill explains {stake.unexplained} shares of the account's position"
            for stake in stakes
            if stake.unexplained
        ]
        return "; ".join(told) and f"look at the broker's terminal: {'; '.join(told)}"

    async def _leave(self, still: Sequence[Stake], mandate: Mandate, why: str) -> None:
        """Send the exits that are due, of what two looks showed alike: what moves is still being traded."""
        now, session_at = time.monotonic(), self._clock.now()
        wanted = liquidation.exits(mandate, still, self._doubtful(), self._tries, session_at)
        due = [intent for intent in wanted if self._not_before[intent.token] <= now][:MAX_EXITS_A_ROUND]
        for intent in due:
            self._tries[intent.token] += 1
            patience_s = wait_s(self._tries[intent.token])
            self._not_before[intent.token] = now + (patience_s if patience_s > 1 else 0.0)
        await asyncio.gather(
            *(
                self._send(intent, Child(watchdog_tag(intent.intent_id, number), quantity), why)
                for intent in due
                for number, quantity in enumerate(children(intent, self._settings))
            )
        )

    def _settle(self, account: Account) -> None:
        """Doubts end when the book shows the order, or has not shown it for long enough."""
        now = time.monotonic()
        for tag, doubt in list(self._doubts.items()):
            doubt.looks += 1
            if tag in account.tags:
                del self._doubts[tag]
            elif doubt.looks >= ABSENT_LOOKS and now - doubt.since >= ABSENT_AFTER_S:
                self._note("absent", tag=tag)
                del self._doubts[tag]

    def _doubtful(self) -> Mapping[int, int]:
        shares: Counter[int] = Counter()
        for doubt in self._doubts.values():
            shares[doubt.token] += doubt.quantity
        return shares

    async def _cancel(self, account: Account) -> None:
        """Live orders of ours are ended: entries would add, and exits that rest stand in the way of ours."""
        now = time.monotonic()
        before = {row.order_id for row in self.seen.live} if self.seen else set()
        rows = [
            row
            for row in account.live
            # the watchdog's own end by themselves, unless a second look finds them still there
            if (row.order_id in before or not parse_watchdog_tag(row.tag))
            and now - self._cancelled.get(row.order_id, -CANCEL_AGAIN_S) >= CANCEL_AGAIN_S
        ]
        for row in rows:
            self._cancelled[row.order_id] = now
            self._note("cancel", row.venue_status, order_id=row.order_id, tag=row.tag)
        await asyncio.gather(*(self._cancel_one(row.order_id) for row in rows))

    async def _cancel_one(self, order_id: str) -> None:
        """Its outcome says nothing that the next look does not say better."""
        async with self._limits.sending("change", True):
            await self._on_thread(lambda: self._broker.cancel(order_id))

    async def _send(self, intent: ApprovedIntent, child: Child, why: str) -> None:
        tag, quantity = child
        async with self._limits.sending("order", True):
            self._journal.order("sending", intent, child, time.time_ns(), why)
            self._doubts[tag] = Doubt(intent.token, quantity, time.monotonic())
            outcome = await self._on_thread(lambda: self._broker.submit(intent, tag, quantity))
        kind, order_id, detail = _told(outcome)
        if kind in ("accepted", "unknown"):
            self._doubts[tag].since = time.monotonic()  # the time in which it must appear begins now
        else:
            del self._doubts[tag]
        if kind == "throttled":
            self._limits.refused("order")
        self._journal.order(kind, intent, child, time.time_ns(), why, order_id=order_id, detail=detail)

    def _note(self, kind: str, detail: str = "", **about: str) -> None:
        self._journal.write(kind, time.time_ns(), self._clock.now(), detail, **about)

    async def _read(self, request: Read) -> Any:
        async with self._limits.sending("other"):
            return await self._on_thread(request)

    async def _on_thread(self, request: Read) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, request)


def _told(outcome: Outcome) -> tuple[str, str, str]:
    """(kind of the line, order id, what was said)."""
    match outcome:
        case Accepted(order_id):
            return "accepted", order_id, ""
        case Rejected(code, message):
            return "rejected", "", f"{code}: {message}"
        case Throttled(message):
            return "throttled", "", message
        case AuthLost(message):
            return "login_needed", "", message
        case Unknown(reason):
            return "unknown", "", reason


UNREADABLE = (BrokerReadError, RowError)
