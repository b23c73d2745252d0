"""The exchange's order updates -> what the user is told of them, when faults are armed."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace

from broker_adapter.sandbox.fault_board import NS_PER_S, Armed, FaultBoard
from broker_adapter.sandbox.orders import COMPLETE, OPEN, Order

MAX_HELD = 10_000  # held updates beyond this are told at once
AT_ANY_UPDATE = ("lost_update", "duplicate_update", "reordered_update", "late_update")


class FaultyUpdates:
    """Between the exchange's updates and those who are told: loses, repeats, delays and disorders them."""

    def __init__(self, board: FaultBoard) -> None:
        self._board = board
        self._held: list[tuple[int, int, Order]] = []  # session ns when told, sequence, update
        self._overtaken: list[tuple[int, Order]] = []  # session ns at the latest, update
        self._sequence = 0

    def through(self, updates: Sequence[Order], now: int) -> list[Order]:
        """What is told at session time `now`: the new updates as the faults leave them, older ones due."""
        told: list[Order] = []
        for order in updates:
            told += self._one(order, now)
        while self._held and self._held[0][0] <= now:
            told.append(heapq.heappop(self._held)[2])
        told += [order for due, order in self._overtaken if due <= now]
        self._overtaken = [item for item in self._overtaken if item[0] > now]
        return told

    def _one(self, order: Order, now: int) -> list[Order]:
        about = {"symbol": order.request.tradingsymbol, "tag": order.request.tag}
        names = AT_ANY_UPDATE if order.status != COMPLETE else (*AT_ANY_UPDATE, "partial_after_complete")
        hit = self._board.strike("update", only=names, **about)
        if hit is not None and hit.fault.name == "reordered_update" and len(self._overtaken) < MAX_HELD:
            self._overtaken.append((now + _ns(hit, "within_s"), order))
            return []
        told = [order] if hit is None else self._struck(hit, order, now)
        if told:  # what waited to be overtaken has been
            told += [late for _, late in self._overtaken]
            self._overtaken = []
        return told

    def _struck(self, hit: Armed, order: Order, now: int) -> list[Order]:
        match hit.fault.name:
            case "lost_update":
                return []
            case "duplicate_update":
                return [order] * max(1, round(hit.number_of("times")))
            case "late_update":
                return self._hold(order, now + _ns(hit, "delay_s"))
            case "partial_after_complete":
                smaller = replace(
                    order,
                    status=OPEN,
                    filled_quantity=order.filled_quantity // 2,
                    traded_paise=order.traded_paise * (order.filled_quantity // 2) // order.filled_quantity,
                )
                return [order, *self._hold(smaller, now + _ns(hit, "delay_s"))]
        return [order]

    def _hold(self, order: Order, until: int) -> list[Order]:
        if len(self._held) >= MAX_HELD:
            return [order]
        self._sequence += 1
        heapq.heappush(self._held, (until, self._sequence, order))
        return []


def _ns(hit: Armed, knob: str) -> int:
    return round(hit.number_of(knob) * NS_PER_S)
