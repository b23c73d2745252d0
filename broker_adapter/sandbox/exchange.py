"""The order system and the exchange in one: requests arrive with latency, are matched and journaled.

Everything happens in session time (ns UTC) and in one order: by arrival time, then by sequence. Packets and
arrivals are interleaved by time: an order sees exactly the depth that had left the exchange before it.
"""

from __future__ import annotations

import functools
import heapq
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox import admission
from broker_adapter.sandbox.book import Book
from broker_adapter.sandbox.errors import bad_input, bad_order
from broker_adapter.sandbox.market import Market, Packets
from broker_adapter.sandbox.matching import hit, protection_price, take, triggered
from broker_adapter.sandbox.orders import CANCELLED, OPEN, REJECTED, TRIGGER_PENDING, Handling, Order, Placed
from broker_adapter.sandbox.rms import RiskDesk, fresh_until
from kitepilot.market.calendar import Session

NS_PER_MS = 1_000_000
NS_PER_MIN = 60_000_000_000
#: (session ns, sequence, what happens then); requests count from 0, bells and expiries are negative.
_Happening = tuple[int, int, Callable[[int], None]]
MAX_LATENCY_NS = 2_000 * NS_PER_MS
LATENCY_SIGMA = 0.6
ON_TIME = Handling()


@dataclass(frozen=True)
class Latency:
    """Log-normal time on the way to the exchange, one draw per request number; mean 0 is none at all."""

    mean_ms: float
    seed: int

    def of(self, number: int) -> int:
        """ns, at most two seconds. Depends on nothing but seed and number."""
        if self.mean_ms <= 0:
            return 0
        draw = random.Random(f"{self.seed}:latency:{number}")
        mu = math.log(self.mean_ms) - LATENCY_SIGMA**2 / 2
        return min(int(draw.lognormvariate(mu, LATENCY_SIGMA) * NS_PER_MS), MAX_LATENCY_NS)


class Exchange:
    """One account on one trading day.

    `updates` receives each order state that Kite would tell its user about (final, partly filled, modified);
    `arrived` is called when something is waiting to happen, so that a held clock can let it.
    """

    def __init__(
        self,
        market: Market,
        session: Session,
        book: Book,
        latency: Latency,
        rms: RiskDesk,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        self.market = market
        self.session = session
        self.book = book
        self.rms = rms
        self.updates: list[Order] = []
        self._latency = latency
        self._arrived = arrived
        self._requests = 0
        self._timers = 2  # the two closing bells
        self._waiting: list[_Happening] = []
        self._resting: dict[int, dict[str, None]] = {}
        self._last_arrival: dict[str, int] = {}
        for number, auction in enumerate((True, False)):
            close_at = session.continuous_close(auction)
            bell: _Happening = (close_at, -1 - number, functools.partial(self._purge, auction))
            heapq.heappush(self._waiting, bell)

    # --- requests: what the REST side calls, at a session time -------------------------------------

    def place(self, variety: str, form: Mapping[str, str], at: int, handling: Handling = ON_TIME) -> Placed:
        """Take a placement. It reaches the exchange later.

        Raises:
            KiteError: 400, and no order exists.
        """
        if variety != "regular":
            raise bad_input("The sandbox takes variety `regular` only.")
        request = admission.placement(form, self.market.by_symbol)
        if not self.session.open_at <= at < self.session.continuous_close_at:
            raise bad_order(
                "MIS (intraday) are blocked as the markets are not open for trading today. "
                "Try placing an AMO order."
            )
        if at >= fresh_until(self.session.date) and self.rms.grows(request):
            raise bad_order("Fresh MIS (intraday) orders are not accepted after the square-off time.")
        order = self.book.open(request, at)
        late = at + handling.held_ns + handling.stuck_ns
        self._send(order.order_id, late, lambda when: self._arrive(order.order_id, when))
        return Placed(order.order_id)

    def modify(self, order_id: str, form: Mapping[str, str], at: int) -> str:
        """Ask to change a live order; the change reaches the exchange later and may find it gone.

        Raises:
            KiteError: 400 for an unknown or finished order, or terms that cannot be.
        """
        order = self._live_order(order_id)
        changes = admission.amendment(form, order, self.market.instruments[order.request.token])
        self._send(order_id, at, lambda when: self._change(order_id, changes, when))
        return order_id

    def cancel(self, order_id: str, at: int) -> str:
        """Ask to cancel; it may still fill before the request arrives. Raises KiteError as `modify`."""
        self._live_order(order_id)
        self._send(order_id, at, lambda when: self._cancel(order_id, when))
        return order_id

    def next_arrival(self) -> int | None:
        """When the next request reaches the exchange; the closing bell does not count."""
        return min((at for at, number, _ in self._waiting if number >= 0), default=None)

    # --- time --------------------------------------------------------------------------------------

    def advance(self, packets: Packets, sent_at: npt.NDArray[np.int64], until: int) -> list[Order]:
        """Play packets and arrivals before `until` in order of time; returns the updates to be told.

        Args:
            packets: PACKET_DTYPE[k] in send order, none of them played before.
            sent_at: int64[k], session ns, non-decreasing.
        """
        cursor = 0
        while self._waiting and self._waiting[0][0] < until:
            at, _, happen = heapq.heappop(self._waiting)
            upto = int(np.searchsorted(sent_at, at, side="right"))
            if upto > cursor:
                self._play(packets[cursor:upto], sent_at[cursor:upto])
                cursor = upto
            happen(at)
        self._play(packets[cursor:], sent_at[cursor:])
        told, self.updates = self.updates, []
        return told

    def _play(self, packets: Packets, sent_at: npt.NDArray[np.int64]) -> None:
        """Only packets of instruments with resting orders need to be looked at one by one."""
        if self._resting and len(packets):
            wanted = np.isin(packets["token"], np.fromiter(self._resting, dtype=np.int64))
            done = 0
            for index in np.flatnonzero(wanted).tolist():
                self.market.apply(packets[done : index + 1], sent_at[done : index + 1])
                done = index + 1
                self._wake(int(packets[index]["token"]), int(sent_at[index]))
            packets, sent_at = packets[done:], sent_at[done:]
        self.market.apply(packets, sent_at)

    # --- at the exchange ---------------------------------------------------------------------------

    def _send(self, order_id: str, at: int, happen: Callable[[int], None]) -> None:
        """Requests about one order never overtake each other; those about different orders may."""
        arrives_at = max(at + self._latency.of(self._requests), self._last_arrival.get(order_id, 0))
        self._last_arrival[order_id] = arrives_at
        heapq.heappush(self._waiting, (arrives_at, self._requests, happen))
        self._requests += 1
        self._arrived()

    def _arrive(self, order_id: str, at: int) -> None:
        order = self.book.orders[order_id]
        order = self.book.move(order, "VALIDATION PENDING", at)
        refusal = self.rms.margin_refusal(order)
        if refusal:
            self._tell(self.book.move(order, REJECTED, at, refusal))
            return
        order = self.book.move(order, "OPEN PENDING", at)
        token = order.request.token
        close_at = self.session.continuous_close(self.market.instruments[token].closing_auction)
        if not any(start <= at < end for start, end in self.session.windows) or at >= close_at:
            refusal = "Exchange: the security is not in continuous trading at this time."
            self._tell(self.book.move(order, REJECTED, at, refusal))
            return
        order = self.book.accept(order, at)
        if order.request.order_type in ("SL", "SL-M"):
            self._rest(self.book.move(order, TRIGGER_PENDING, at))
            self._wake(token, at)
        else:
            self._enter(order, at)

    def _enter(self, order: Order, at: int) -> None:
        """The order meets the book: it trades, then rests or is cancelled."""
        if order.order_type in ("MARKET", "SL-M"):
            order = self._protected(order)
            refusal = self.rms.circuit_refusal(order)
            if refusal:
                self._unrest(order)
                self._tell(self.book.move(order, REJECTED, at, refusal))
                return
        if order.validity != "IOC" and order.status != OPEN:
            order = self.book.move(order, OPEN, at)
        order = self._trade(order, at, resting=False)
        if order.terminal:
            self._unrest(order)
        elif order.validity == "IOC":
            self._unrest(order)
            self._tell(self.book.move(order, CANCELLED, at))
        else:
            self._rest(order)
            self._expire_later(order)

    def _trade(self, order: Order, at: int, *, resting: bool) -> Order:
        """Take what the opposite side shows, if the instrument is alive."""
        request = order.request
        if self.market.halted(request.token, at):
            return order
        levels = self.market.opposite(request.token, request.buy)
        match = hit if resting else take
        matched = match(levels, request.buy, order.price_paise, order.pending_quantity)
        if not matched.executions:
            return order
        self.market.leave(request.token, request.buy, matched.left)
        order = self.book.fill(order, matched.executions, at)
        self._tell(order)
        return order

    def _wake(self, token: int, at: int) -> None:
        """A packet came: stop orders may trigger, resting ones may trade; oldest first."""
        for order_id in tuple(self._resting.get(token, ())):
            order = self.book.orders[order_id]
            if order.status == TRIGGER_PENDING:
                if triggered(order.request.buy, order.trigger_paise, self.market.last_paise(token)):
                    self._enter(order, at)
                continue
            if self._trade(order, at, resting=True).terminal:
                self._unrest(order)

    def _change(self, order_id: str, changes: dict[str, object], at: int) -> None:
        order = self.book.orders[order_id]
        if order.terminal or cast(int, changes["quantity"]) <= order.filled_quantity:
            return  # it finished first: the exchange has nothing to change
        standing = order.status
        for step in ("MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED"):
            order = self.book.move(order, step, at)
        changed = replace(order, modifications=order.modifications + 1, **changes)  # type: ignore[arg-type]
        order = self.book.move(changed, standing, at)
        self._tell(order)
        if standing == TRIGGER_PENDING:
            self._wake(order.request.token, at)
        else:
            self._enter(order, at)

    def _cancel(self, order_id: str, at: int) -> None:
        order = self.book.orders[order_id]
        if not order.terminal:
            self._unrest(order)
            order = self.book.move(order, "CANCEL PENDING", at)
            self._tell(self.book.move(order, CANCELLED, at))

    def _purge(self, closing_auction: bool, at: int) -> None:
        """Continuous trading ends for one class of stocks: what rests there is cancelled."""
        for order in self.book.live():
            instrument = self.market.instruments[order.request.token]
            if order.accepted_at and instrument.closing_auction == closing_auction:
                self._cancel(order.order_id, at)

    def _expire_later(self, order: Order) -> None:
        minutes = order.request.validity_ttl_min
        if order.validity == "TTL" and order.modifications == 0:
            expires_at = order.accepted_at + minutes * NS_PER_MIN
            self._timers += 1
            cancel = functools.partial(self._cancel, order.order_id)
            expiry: _Happening = (expires_at, -self._timers, cancel)
            heapq.heappush(self._waiting, expiry)

    # --- small moves -------------------------------------------------------------------------------

    def _protected(self, order: Order) -> Order:
        request = order.request
        instrument = self.market.instruments[request.token]
        last = self.market.last_paise(request.token)
        price = protection_price(request.buy, last, request.protection_bps, instrument.tick_size_paise)
        return replace(order, order_type="LIMIT", price_paise=price)

    def _live_order(self, order_id: str) -> Order:
        order = self.book.orders.get(order_id)
        if order is None:
            raise admission.not_found(order_id)
        if order.terminal:
            raise bad_order(f"Order cannot be changed: it is {order.status.lower()} already.")
        return order

    def _tell(self, order: Order) -> None:
        self.updates.append(order)

    def _rest(self, order: Order) -> None:
        self._resting.setdefault(order.request.token, {})[order.order_id] = None

    def _unrest(self, order: Order) -> None:
        orders = self._resting.get(order.request.token)
        if orders is not None:
            orders.pop(order.order_id, None)
            if not orders:
                del self._resting[order.request.token]
