"""The broker's order system in front of the exchange's floor: requests arrive with latency, time is played.

Everything happens in session time (ns UTC) and in one order: by arrival time, then by sequence. Packets and
arrivals are interleaved by time: an order sees exactly the depth that had left the exchange before it.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_adapter.sandbox import admission
from broker_adapter.sandbox.agenda import Agenda
from broker_adapter.sandbox.book import Book
from broker_adapter.sandbox.errors import bad_input, bad_order
from broker_adapter.sandbox.floor import Floor
from broker_adapter.sandbox.hours import NS_PER_MIN, Hours
from broker_adapter.sandbox.input_log import Asked, CancelAsked, ModifyAsked, PlaceAsked
from broker_adapter.sandbox.latency import Latency
from broker_adapter.sandbox.market import Market, Packets
from broker_adapter.sandbox.orders import (
    AMO_RECEIVED,
    CANCEL_PENDING,
    COMPLETE,
    MODIFY_AMO_RECEIVED,
    MODIFY_PENDING,
    MODIFY_VALIDATION_PENDING,
    ON_TIME,
    OPEN_PENDING,
    REJECTED,
    VALIDATION_PENDING,
    Child,
    Handling,
    Order,
    OrderRequest,
    Placed,
)
from broker_adapter.sandbox.rms import RiskDesk
from broker_adapter.sandbox.square_off import ClosingAuction, SquareOff
from kitepilot.market.calendar import Session

AFTER_MARKET = (AMO_RECEIVED, MODIFY_AMO_RECEIVED)


class Exchange:
    """One account on one trading day.

    `updates` receives each order state that Kite would tell its user about (final, partly filled, modified);
    `arrived` is called when something is waiting to happen, so that a held clock can let it; `record` gets
    every request that was taken, before its caller hears of it.
    """

    def __init__(
        self,
        market: Market,
        session: Session,
        book: Book,
        latency: Latency,
        rms: RiskDesk,
        arrived: Callable[[], None] = lambda: None,
        *,
        square_off: bool = True,
    ) -> None:
        self.market = market
        self.session = session
        self.book = book
        self.rms = rms
        self.hours = Hours(session, latency.seed)
        self.floor = Floor(market, self.hours, book, rms, self._tell)
        self.updates: list[Order] = []
        self.played = 0  # session time up to which everything has been played
        self.record: Callable[[Asked], None] = lambda _: None
        self._latency = latency
        self._arrived = arrived
        self._requests = 0
        self._modified: Counter[str] = Counter()
        self._agenda = Agenda()
        self._last_arrival: dict[str, int] = {}
        self._square_off = SquareOff(market, book, self.floor)
        self._auction = ClosingAuction(market, book, self.floor)
        self._ring_bells(square_off)

    # --- requests: what the REST side calls, at a session time -------------------------------------

    def place(self, variety: str, form: Mapping[str, str], at: int, handling: Handling = ON_TIME) -> Placed:
        """Take a placement. It reaches the exchange later.

        Raises:
            KiteError: 400, and no order exists.
        """
        request = admission.placement(variety, form, self.market.by_symbol)
        instrument = self.market.instruments[request.token]
        self._check_hours(request, at)
        if not self.rms.margin_bps(request.token):
            raise bad_input(f"MIS orders are not allowed for {instrument.tradingsymbol}: trade-to-trade.")
        if at >= self.hours.fresh_until(instrument.closing_auction) and self.rms.grows(request):
            raise bad_order("Fresh MIS (intraday) orders are not accepted after the square-off time.")
        parts = admission.slices(request, instrument)
        if len(parts) == 1:
            placed = Placed(self._submit(request, at, handling))
        else:
            placed = self._place_slices(parts, at, handling)
        self.record(PlaceAsked(self.played, at, variety, dict(form), handling, placed.order_id))
        return placed

    def modify(self, order_id: str, form: Mapping[str, str], at: int) -> str:
        """Ask to change a live order; the change reaches the exchange later and may find it gone.

        Raises:
            KiteError: 400 for an unknown or finished order, terms that cannot be, the 26th change.
        """
        order = self._live_order(order_id)
        if self._modified[order_id] >= admission.MAX_MODIFICATIONS:
            raise bad_order("Maximum allowed order modifications exceeded.")
        changes = admission.amendment(form, order, self.market.instruments[order.request.token])
        self._modified[order_id] += 1
        interim = (MODIFY_VALIDATION_PENDING, MODIFY_PENDING)
        self._send(order_id, at, interim, lambda when: self._change(order_id, changes, when))
        self.record(ModifyAsked(self.played, at, order_id, dict(form)))
        return order_id

    def cancel(self, order_id: str, at: int) -> str:
        """Ask to cancel; it may still fill before the request arrives. Raises KiteError as `modify`."""
        self._live_order(order_id)
        self._send(order_id, at, (CANCEL_PENDING,), lambda when: self._cancel(order_id, when))
        self.record(CancelAsked(self.played, at, order_id))
        return order_id

    def ask(self, asked: Asked) -> None:
        """Take a recorded request again. Raises KiteError where it does not come to the same."""
        match asked:
            case PlaceAsked(_, at, variety, form, handling, order_id):
                placed = self.place(variety, form, at, handling)
                if placed.order_id != order_id:
                    raise bad_order(f"The order became {placed.order_id} and was {order_id}.")
            case ModifyAsked(_, at, order_id, form):
                self.modify(order_id, form, at)
            case CancelAsked(_, at, order_id):
                self.cancel(order_id, at)

    def next_arrival(self) -> int | None:
        """When the next request gets a step further; bells do not count."""
        return self._agenda.next_arrival()

    # --- time --------------------------------------------------------------------------------------

    def advance(self, packets: Packets, sent_at: npt.NDArray[np.int64], until: int) -> list[Order]:
        """Play packets and arrivals before `until` in order of time; returns the updates to be told.

        Args:
            packets: PACKET_DTYPE[k] in send order, none of them played before.
            sent_at: int64[k], session ns, non-decreasing.
        """
        cursor = 0
        while due := self._agenda.due(until):
            at, happen = due
            upto = int(np.searchsorted(sent_at, at, side="right"))
            if upto > cursor:
                self._play(packets[cursor:upto], sent_at[cursor:upto])
                cursor = upto
            happen(at)
        self._play(packets[cursor:], sent_at[cursor:])
        self.played = until
        told, self.updates = self.updates, []
        return told

    def _play(self, packets: Packets, sent_at: npt.NDArray[np.int64]) -> None:
        """Only packets of instruments with orders need to be looked at one by one."""
        tokens = self.floor.tokens
        if tokens and len(packets):
            wanted = np.isin(packets["token"], np.fromiter(tokens, dtype=np.int64))
            done = 0
            for index in np.flatnonzero(wanted).tolist():
                self.market.apply(packets[done : index + 1], sent_at[done : index + 1])
                done = index + 1
                self.floor.packet(int(packets[index]["token"]), int(sent_at[index]))
            packets, sent_at = packets[done:], sent_at[done:]
        self.market.apply(packets, sent_at)

    # --- on the way to the exchange ----------------------------------------------------------------

    def _submit(self, request: OrderRequest, at: int, handling: Handling = ON_TIME) -> str:
        """Give an order id now; the order appears, and sets out, when its handling lets it."""
        order_id = self.book.issue_id()
        if handling.held_ns:
            self._agenda.expect(at + handling.held_ns, functools.partial(self._show, order_id, request))
        else:
            self.book.open(order_id, request, at)
        leaves_at = at + handling.held_ns + handling.stuck_ns
        if request.variety == "amo":
            self._send(order_id, leaves_at, (), lambda when: self._await_open(order_id, when))
        else:
            self._to_exchange(order_id, leaves_at, handling.refusal)
        return order_id

    def _show(self, order_id: str, request: OrderRequest, at: int) -> None:
        self.book.open(order_id, request, at)

    def _to_exchange(self, order_id: str, at: int, refusal: str = "") -> None:
        interim = (VALIDATION_PENDING, OPEN_PENDING)
        self._send(order_id, at, interim, lambda when: self._arrive(order_id, when), refusal)

    def _send(
        self,
        order_id: str,
        at: int,
        interim: tuple[str, ...],
        happen: Callable[[int], None],
        refusal: str = "",
    ) -> None:
        """Interim statuses, then the arrival. Requests about one order never overtake each other."""
        steps = self._latency.steps(self._requests)
        self._requests += 1
        earliest = self._last_arrival.get(order_id, 0)
        for status, delay in zip(interim, steps, strict=False):
            step = functools.partial(self._step, order_id, status, refusal)
            self._agenda.expect(max(at + delay, earliest), step)
        arrives_at = max(at + steps[-1], earliest)
        self._last_arrival[order_id] = arrives_at
        self._agenda.expect(arrives_at, happen)
        self._arrived()

    def _step(self, order_id: str, status: str, refusal: str, at: int) -> None:
        """A request got one step further; an order that has ended meanwhile stays as it is."""
        order = self.book.orders[order_id]
        if order.terminal or (order.status in AFTER_MARKET and status != VALIDATION_PENDING):
            return
        if status == OPEN_PENDING:
            refusal = refusal or self.rms.margin_refusal(order)
            if refusal:
                self._tell(self.book.move(order, REJECTED, at, refusal))
                return
        self.book.move(order, status, at)

    def _arrive(self, order_id: str, at: int) -> None:
        order = self.book.orders[order_id]
        if order.terminal:
            return
        self.floor.arrive(order, at)
        order = self.book.orders[order_id]
        if order.validity == "TTL" and not order.terminal:
            expires_at = order.accepted_at + order.request.validity_ttl_min * NS_PER_MIN
            self._agenda.ring(expires_at, lambda when: self._expire(order_id, when))

    def _change(self, order_id: str, changes: dict[str, Any], at: int) -> None:
        order = self.book.orders[order_id]
        if order.terminal:
            return  # it finished first: the exchange has nothing to change
        if order.status in AFTER_MARKET:
            changed = replace(order, modifications=order.modifications + 1, **changes)
            self._tell(self.book.move(changed, MODIFY_AMO_RECEIVED, at))
            return
        self.floor.change(order, changes, at)

    def _cancel(self, order_id: str, at: int) -> None:
        order = self.book.orders[order_id]
        if not order.terminal:
            self.floor.cancel(order, at)

    def _expire(self, order_id: str, at: int) -> None:
        if self.book.orders[order_id].validity == "TTL":
            self._cancel(order_id, at)

    def _await_open(self, order_id: str, at: int) -> None:
        """An after-market order is kept until the market opens."""
        order = self.book.orders[order_id]
        if not order.terminal:
            self.book.move(order, AMO_RECEIVED, at)
            if self.session.open_at <= at < self.session.continuous_close_at:
                self._to_exchange(order_id, at)

    def _place_slices(self, parts: list[OrderRequest], at: int, handling: Handling) -> Placed:
        """Each slice is an order of its own; one without margin for it is refused alone."""
        parent, blocked = self.book.issue_id(), 0
        children = []
        for part in parts:
            margin = self.rms.required_margin(part.token, part.buy, part.quantity, part.price_paise)
            available = self.rms.available_paise() - blocked
            if margin > available:
                text = f"Insufficient funds. Required margin is {margin / 100:.2f}"
                text += f" but available margin is {available / 100:.2f}."
                children.append(Child(code=400, error_type="MarginException", message=text))
                continue
            blocked += margin
            children.append(Child(self._submit(replace(part, slice_of=parent), at, handling)))
        return Placed(parent, tuple(children))

    # --- bells -------------------------------------------------------------------------------------

    def _ring_bells(self, square_off: bool) -> None:
        session, ring = self.session, self._agenda.ring
        ring(session.open_at, self._release_after_market)
        if self.hours.has_auction:
            ring(self.hours.reference_from, self._auction.note_begin)
            ring(session.auction_continuous_close_at, self._auction.purge)
            ring(self.hours.auction_match_at, self._auction.match)
        ring(session.continuous_close_at, self._close)
        for auction in (True, False) if square_off else ():
            ring(self.hours.square_off_at(auction), functools.partial(self._sweep, auction))

    def _sweep(self, closing_auction: bool, at: int) -> None:
        """The broker tries again every minute, as long as the stocks trade."""
        again = at + NS_PER_MIN
        if self._square_off.sweep(closing_auction, at) and again < self.session.continuous_close(
            closing_auction
        ):
            self._agenda.ring(again, functools.partial(self._sweep, closing_auction))

    def _release_after_market(self, at: int) -> None:
        for order in self.book.live():
            if order.status in AFTER_MARKET:
                self._to_exchange(order.order_id, at)

    def _close(self, at: int) -> None:
        """Whatever still rests ends with the day; after-market orders wait for the next."""
        for order in self.book.live():
            if order.accepted_at:
                self.floor.cancel(order, at)

    # --- small moves -------------------------------------------------------------------------------

    def _check_hours(self, request: OrderRequest, at: int) -> None:
        session = self.session
        if request.variety == "amo":
            if session.open_at <= at < session.continuous_close_at:
                raise bad_order("After market orders (AMO) can be placed only while the market is closed.")
        elif not session.pre_open_at <= at < session.continuous_close_at:
            raise bad_order(
                "MIS (intraday) are blocked as the markets are not open for trading today. "
                "Try placing an AMO order."
            )

    def _live_order(self, order_id: str) -> Order:
        order = self.book.orders.get(order_id)
        if order is None:
            raise admission.not_found(order_id)
        if order.terminal:
            raise admission.finished(order)
        return order

    def _tell(self, order: Order) -> None:
        """The broker's own square-off is told to nobody; a complete leg brings the next."""
        if not order.by_broker:
            self.updates.append(order)
        following = admission.next_leg(order.request) if order.status == COMPLETE else None
        if following:
            self._submit(following, order.updated_at)
