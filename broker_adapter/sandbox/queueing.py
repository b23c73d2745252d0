"""Our resting orders' places in the exchange's queues -> what traded volume gives them. Pure; paise, shares.

The market that is played does not know our orders, and shows five levels and cumulative volume only. So a
queue is a model, with these assumptions:

- A new order stands behind everything visible at its price; between visible levels, or better than the best,
  behind nobody; beyond the fifth level behind a guess: the mean size of the visible levels.
- Volume between two packets traded at the last price. It eats the shares ahead first, then us.
- A last price beyond ours (below a buy) means that our price was used up: nobody is ahead any more, and that
  volume came past us, so it fills us, up to its size.
- What vanishes from a visible level without a trade was cancelled behind us, as far as that is possible:
  never more is ahead of us than the level shows.
- We never overtake: a later order of ours has at least as much ahead of it as an earlier one at its price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from broker_adapter.sandbox.matching import Level


@dataclass(frozen=True, slots=True)
class Place:
    """Where one order stands: behind `ahead` shares of others at `price_paise`, as number `turn` of ours.

    `shown` is what is left of its visible part; hidden shares queue up again when that has traded.
    """

    order_id: str
    buy: bool
    price_paise: int
    ahead: int
    shown: int
    turn: int

    @property
    def rank(self) -> tuple[int, int]:
        """Price, then time: lowest first."""
        return (-self.price_paise if self.buy else self.price_paise), self.turn


def visible_at(levels: Sequence[Level], buy: bool, price_paise: int) -> int | None:
    """Shares shown at a price of an order's own side; None beyond the last visible level (or without any)."""
    shown = [level for level in levels if level.price_paise and level.quantity]
    if not shown:
        return None
    worst = min(level.price_paise for level in shown) if buy else max(level.price_paise for level in shown)
    if price_paise < worst if buy else price_paise > worst:
        return None
    return sum(level.quantity for level in shown if level.price_paise == price_paise)


def join(
    order_id: str, levels: Sequence[Level], buy: bool, price_paise: int, shown: int, others: Sequence[Place]
) -> Place:
    """The place of an order that begins to rest now, behind `others` of ours on that side."""
    ahead = visible_at(levels, buy, price_paise)
    if ahead is None:
        sizes = [level.quantity for level in levels if level.price_paise and level.quantity]
        ahead = -(-sum(sizes) // len(sizes)) if sizes else 0
    same = [place.ahead for place in others if place.price_paise == price_paise]
    turn = 1 + max((place.turn for place in others), default=0)
    return Place(order_id, buy, price_paise, max([ahead, *same]), shown, turn)


def serve(
    places: Sequence[Place], pending: Sequence[int], last_paise: int, volume: int
) -> tuple[list[int], list[Place]]:
    """Share out traded volume: (shares for each place, the places then). `places` of one side, by rank.

    An order whose shown part is used up gets no more at its own price in this packet.
    """
    given, after = [0] * len(places), list(places)
    left, price, eaten = volume, None, 0
    for number, place in enumerate(places):
        beyond = last_paise < place.price_paise if place.buy else last_paise > place.price_paise
        if not volume or not (beyond or last_paise == place.price_paise):
            continue
        if place.price_paise != price:
            price, eaten = place.price_paise, 0
        if beyond:
            given[number] = min(pending[number], left)
            after[number] = replace(place, ahead=0)
        else:
            bite = min(left, max(0, place.ahead - eaten))
            left, eaten = left - bite, eaten + bite
            given[number] = min(place.shown, pending[number], left) if eaten >= place.ahead else 0
        left -= given[number]
    for number, place in enumerate(after):
        if place.price_paise == last_paise and price == last_paise:
            after[number] = replace(place, ahead=max(0, place.ahead - eaten))
    return given, after


def clip(place: Place, levels: Sequence[Level]) -> Place:
    """Nobody is ahead who is not shown."""
    shown = visible_at(levels, place.buy, place.price_paise)
    if shown is None or shown >= place.ahead:
        return place
    return replace(place, ahead=shown)
