"""The exchange's side of one account: accepted orders rest, trigger, trade, change and end. Times in ns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from broker_adapter.sandbox.book import Book
from broker_adapter.sandbox.hours import Hours, Phase
from broker_adapter.sandbox.market import Market
from broker_adapter.sandbox.matching import Execution, hit, protection_price, take, triggered
from broker_adapter.sandbox.orders import (
    CANCELLED,
    MODIFIED,
    OPEN,
    REJECTED,
    TRIGGER_PENDING,
    Order,
)
from broker_adapter.sandbox.queueing import Place, clip, join, serve
from broker_adapter.sandbox.rms import RiskDesk

STOPS = ("SL", "SL-M")
#: How far a stop-limit's limit may lie from its trigger, in hundredths of a percent. The exchange checks the
#: gap (NSE/CM/57613); its width is not public, this one is ours.
MAX_STOP_GAP_BPS = 2_000


class Floor:
    """Orders at the exchange. `tell` hears every state that Kite would tell its user about.

    An order is in one of three places: queued for the open, armed (a stop that waits for its trigger), or in
    the queue at its price.
    """

    def __init__(
        self,
        market: Market,
        hours: Hours,
        book: Book,
        rms: RiskDesk,
        tell: Callable[[Order], None],
    ) -> None:
        self._market = market
        self._hours = hours
        self._book = book
        self._rms = rms
        self._tell = tell
        self._for_open: dict[int, dict[str, None]] = {}
        self._armed: dict[int, dict[str, None]] = {}
        self._places: dict[int, dict[str, Place]] = {}
        self._volume: dict[int, int] = {}

    @property
    def tokens(self) -> set[int]:
        """Instruments whose packets matter to an order here."""
        return {*self._for_open, *self._armed, *self._places}

    def place_of(self, order_id: str) -> Place | None:
        """Where an order stands in the queue; None when it is in none."""
        return self._places.get(self._book.orders[order_id].request.token, {}).get(order_id)

    # --- requests arrive ---------------------------------------------------------------------------

    def arrive(self, order: Order, at: int) -> None:
        """An order that the broker let pass."""
        phase = self._phase(order, at)
        refusal = self._refusal(order, phase, at)
        if refusal:
            self._tell(self._book.move(order, REJECTED, at, refusal))
            return
        order = self._book.accept(order, at)
        if phase == "continuous":
            self._start(order, at)
        elif order.order_type in STOPS:
            self._arm(self._book.move(order, TRIGGER_PENDING, at))
        elif phase == "pre_open":
            order = self._book.move(order, OPEN, at)
            self._for_open.setdefault(order.request.token, {})[order.order_id] = None
        else:
            self._rest(self._book.move(self._protected(order), OPEN, at))

    def change(self, order: Order, changes: dict[str, Any], at: int) -> None:
        """New terms for a live order; it may have traded beyond them meanwhile."""
        standing = self._standing(order)
        changed = replace(order, modifications=order.modifications + 1, **changes)
        if changed.order_type == "MARKET":
            changed = self._protected(changed)
        refusal = self._rms.margin_refusal(changed, order) or self._rms.circuit_refusal(changed)
        if changed.quantity <= order.filled_quantity:
            refusal = "Exchange: the order has traded more than its new quantity."
        if refusal:
            self._book.move(order, standing, at, refusal)
            return
        order = self._book.move(order, MODIFIED, at)
        changed = replace(changed, status=MODIFIED)
        token, order_id = order.request.token, order.order_id
        place = self.place_of(order_id)
        if place and keeps_place(order, changed):
            shown = min(place.shown, changed.pending_quantity)
            self._places[token][order_id] = replace(place, shown=shown)
            self._tell(self._book.move(changed, OPEN, at))
            return
        queued = order_id in self._for_open.get(token, {})
        self._leave(order)
        if changed.order_type in STOPS and (standing == TRIGGER_PENDING or order.order_type not in STOPS):
            changed = self._book.move(changed, TRIGGER_PENDING, at)
            self._tell(changed)
            self._arm(changed)
            self._wake_stops(token, at)
        elif queued:
            self._tell(self._book.move(changed, OPEN, at))
            self._for_open.setdefault(token, {})[order_id] = None
        else:
            self._tell(changed := self._book.move(changed, OPEN, at))
            self._enter(changed, at)

    def cancel(self, order: Order, at: int, reason: str = "") -> None:
        """The order ends, if it has not yet."""
        self._leave(order)
        self._tell(self._book.move(order, CANCELLED, at, reason))

    # --- the market moves --------------------------------------------------------------------------

    def packet(self, token: int, at: int) -> None:
        """The market has just taken a packet of an instrument with orders here."""
        volume = self._market.volume(token)
        traded = max(0, volume - self._volume.get(token, volume))
        self._volume[token] = volume
        auction = self._market.instruments[token].closing_auction
        if self._hours.phase(auction, at) != "continuous":
            return
        for buy in (True, False):
            self._serve(token, buy, traded, at)
        for order_id in tuple(self._for_open.pop(token, ())):
            self._enter(self._book.orders[order_id], at)
        self._wake_stops(token, at)

    def match_auction(self, token: int, reference_paise: int, at: int) -> None:
        """The closing auction: what crosses the reference price trades there, in full; the rest ends."""
        places = sorted(self._places.get(token, {}).values(), key=lambda place: place.rank)
        for place in places:
            order = self._book.orders[place.order_id]
            if place.price_paise >= reference_paise if place.buy else place.price_paise <= reference_paise:
                self._fill(order, [Execution(reference_paise, order.pending_quantity)], at)

    # --- matching ----------------------------------------------------------------------------------

    def _start(self, order: Order, at: int) -> None:
        if order.order_type in STOPS:
            self._arm(self._book.move(order, TRIGGER_PENDING, at))
            self._wake_stops(order.request.token, at)
        else:
            self._enter(order, at)

    def _enter(self, order: Order, at: int) -> None:
        """The order meets the book: it trades, then rests or is cancelled."""
        if order.order_type in ("MARKET", "SL-M"):
            order = self._protected(order)
            refusal = self._rms.circuit_refusal(order)
            if refusal:
                self._leave(order)
                self._tell(self._book.move(order, REJECTED, at, refusal))
                return
        if order.validity != "IOC" and order.status != OPEN:
            order = self._book.move(order, OPEN, at)
        order = self._take(order, at)
        if order.terminal:
            return
        if order.validity == "IOC":
            self.cancel(order, at)
        else:
            self._rest(order)

    def _take(self, order: Order, at: int) -> Order:
        """Take what the opposite side shows, if the instrument is alive."""
        request = order.request
        if self._phase(order, at) != "continuous" or self._market.halted(request.token, at):
            return order
        levels = self._market.opposite(request.token, request.buy)
        matched = take(levels, request.buy, order.price_paise, order.pending_quantity)
        if not matched.executions:
            return order
        self._market.leave(request.token, request.buy, matched.left)
        return self._fill(order, matched.executions, at)

    def _serve(self, token: int, buy: bool, traded: int, at: int) -> None:
        """One side's resting orders: traded volume first, then the opposite side where it reaches us."""
        places = sorted(
            (place for place in self._places.get(token, {}).values() if place.buy == buy),
            key=lambda place: place.rank,
        )
        if not places:
            return
        own, last = self._market.side(token, buy), self._market.last_paise(token)
        pending = [self._book.orders[place.order_id].pending_quantity for place in places]
        for given, moved in zip(*serve(places, pending, last, traded), strict=True):
            place = clip(moved, own)
            self._places[token][place.order_id] = place
            order = self._book.orders[place.order_id]
            levels = self._market.opposite(token, buy)
            crossing = hit(levels, buy, place.price_paise, order.pending_quantity - given)
            if crossing.quantity:
                self._market.leave(token, buy, crossing.left)
            if given + crossing.quantity:
                self._fill(order, [Execution(place.price_paise, given + crossing.quantity)], at)

    def _fill(self, order: Order, executions: Any, at: int) -> Order:
        place = self.place_of(order.order_id)
        before = order.filled_quantity
        order = self._book.fill(order, executions, at)
        if order.terminal:
            self._leave(order)
        elif place:
            shown = place.shown - (order.filled_quantity - before)
            if shown > 0:
                self._places[order.request.token][order.order_id] = replace(place, shown=shown)
            else:
                self._rest(order)
        self._tell(order)
        return order

    def _wake_stops(self, token: int, at: int) -> None:
        """Oldest first; a market that is silent or closed triggers nothing."""
        auction = self._market.instruments[token].closing_auction
        if self._hours.phase(auction, at) != "continuous" or self._market.row(token) is None:
            return
        for order_id in tuple(self._armed.get(token, ())):
            order = self._book.orders[order_id]
            if triggered(order.request.buy, order.trigger_paise, self._market.last_paise(token)):
                self._leave(order)
                self._enter(order, at)

    # --- small moves -------------------------------------------------------------------------------

    def _refusal(self, order: Order, phase: Phase, at: int) -> str:
        """Why the exchange does not take the order; empty when it does."""
        if phase == "closed":
            return "Exchange: the security is not in continuous trading at this time."
        if phase != "continuous" and order.validity == "IOC":
            return "Exchange: IOC orders are not taken in a call auction."
        if phase == "auction":
            if order.order_type in STOPS or order.disclosed_quantity or order.request.leg:
                return "Exchange: only plain limit and market orders are taken in the closing auction."
            if order.order_type == "MARKET" and not self._hours.takes_market_orders(at):
                return "Exchange: market orders are no longer taken in the closing auction."
        if order.order_type == "SL":
            gap = abs(order.price_paise - order.trigger_paise) * 10_000
            if gap > MAX_STOP_GAP_BPS * order.trigger_paise:
                return "Exchange: the limit price is too far from the trigger price."
        return ""

    def _phase(self, order: Order, at: int) -> Phase:
        return self._hours.phase(self._market.instruments[order.request.token].closing_auction, at)

    def _standing(self, order: Order) -> str:
        """The order's status without the request that is on its way."""
        armed = order.order_id in self._armed.get(order.request.token, {})
        return TRIGGER_PENDING if armed else OPEN

    def _protected(self, order: Order) -> Order:
        if order.order_type not in ("MARKET", "SL-M"):
            return order
        instrument = self._market.instruments[order.request.token]
        last, bps = self._market.last_paise(order.request.token), order.protection_bps
        price = protection_price(order.request.buy, last, bps, instrument.tick_size_paise)
        if order.by_broker:
            low, high = instrument.lower_circuit_paise, instrument.upper_circuit_paise
            price = min(max(price, low), high or price)
        return replace(order, order_type="LIMIT", price_paise=price)

    def _rest(self, order: Order) -> None:
        """At the back of the queue at its price."""
        token, buy = order.request.token, order.request.buy
        self._leave(order)
        shown = order.pending_quantity
        if order.disclosed_quantity:
            shown = min(shown, order.disclosed_quantity)
        here = self._places.setdefault(token, {})
        others = [place for place in here.values() if place.buy == buy]
        levels = self._market.side(token, buy)
        here[order.order_id] = join(order.order_id, levels, buy, order.price_paise, shown, others)
        self._volume.setdefault(token, self._market.volume(token))

    def _arm(self, order: Order) -> None:
        self._armed.setdefault(order.request.token, {})[order.order_id] = None

    def _leave(self, order: Order) -> None:
        token = order.request.token
        homes: tuple[dict[int, dict[str, Any]], ...] = (self._for_open, self._armed, self._places)
        for home in homes:
            here = home.get(token)
            if here is not None:
                here.pop(order.order_id, None)
                if not here:
                    del home[token]
        if token not in self._places:
            self._volume.pop(token, None)


def keeps_place(order: Order, changed: Order) -> bool:
    """Time priority survives only a smaller quantity; price, kind or more of anything goes to the back."""
    return (
        changed.price_paise == order.price_paise
        and changed.order_type == order.order_type
        and changed.validity == order.validity
        and changed.quantity <= order.quantity
        and changed.disclosed_quantity == order.disclosed_quantity
    )
