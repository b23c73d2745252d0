"""The broker's books against the journal: which differences there are, and what each one means. Pure.

Every difference has a rule by name (`RULES`, explained in docs/reference/reconciliation.md). A rule heals,
when looking again brings the journal up to date, or halts, when a person must look. A difference counts only
if it stands through several looks (`standing`): one that moves is a race with trading that goes on. One that
should heal and does not is as bad as one that halts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from broker_adapter.gateway.books import INTRADAY, BookedTrade, Books, BrokerView, JournalView, Key
from kitepilot.events import Difference, Side
from kitepilot.orders.intents import parse_tag
from kitepilot.orders.order_machine import OrderEvent, hear
from kitepilot.ports import OrderReport, TradeReport


class Verdict(StrEnum):
    """What a reconciliation came to, in the order of badness."""

    EQUAL = "equal"
    HEALED = "healed"
    HALT = "halt"


Found = Iterator[tuple[str, object, object]]  # subject, ours, the broker's


@dataclass(frozen=True)
class Rule:
    """One kind of difference. `meaning` and `action` are what the reference says of it."""

    name: str
    verdict: Verdict
    meaning: str
    action: str
    find: Callable[[Books], Found]


def fill_missing_here(books: Books) -> Found:
    ours = books.by_id.keys() | {row.order_id for _, row in books.pairs}
    for key, trade in books.listed.items():
        if key not in books.booked and trade.order_id in ours:
            yield _named(key), "none", _trade(trade)


def foreign_fill_missing_here(books: Books) -> Found:
    ours = books.by_id.keys() | {row.order_id for _, row in books.pairs}
    for key, trade in books.listed.items():
        if key not in books.booked and trade.order_id not in ours:
            yield _named(key), "none", _trade(trade)


def order_not_linked(books: Books) -> Found:
    for ours, row in books.pairs:
        if not ours.order_id:
            yield ours.tag, "no order id", row.order_id


def status_behind(books: Books) -> Found:
    """Ended there and live here. Which end it was is told by the fills and the row itself."""
    for ours, row in books.pairs:
        if _ended(row) and not ours.status.terminal:
            yield row.order_id, ours.status.value, row.venue_status


def foreign_order_new(books: Books) -> Found:
    for row in books.strangers:
        if row.order_id not in books.journal.foreign_orders:
            yield row.order_id, "none", f"{row.side} {row.quantity} {row.tradingsymbol}"


def order_unknown_here(books: Books) -> Found:
    for row in books.strangers:
        if parse_tag(row.tag) and row.tag not in books.journal.earlier_tags:
            yield row.order_id, "none", f"tag {row.tag}"


def order_missing_there(books: Books) -> Found:
    there = {row.order_id for row in books.broker.orders}
    for order_id, ours in books.by_id.items():
        if order_id not in there:
            yield order_id, ours.status.value, "not in the book"


def order_terms_differ(books: Books) -> Found:
    for ours, row in books.pairs:
        mine, theirs = (ours.side, ours.quantity, ours.token), (row.side, row.quantity, row.token)
        if mine != theirs:
            yield row.order_id, _terms(*mine), _terms(*theirs)


def live_there_ended_here(books: Books) -> Found:
    for ours, row in books.pairs:
        if ours.status.terminal and not _ended(row):
            yield row.order_id, ours.status.value, row.venue_status


def overfilled(books: Books) -> Found:
    for ours, row in books.pairs:
        if row.filled_quantity > ours.quantity:
            yield row.order_id, ours.quantity, row.filled_quantity


def fill_missing_there(books: Books) -> Found:
    for key, trade in books.booked.items():
        if key not in books.listed:
            yield _named(key), _trade(trade), "none"


def fill_differs(books: Books) -> Found:
    for key, theirs in books.listed.items():
        ours = books.booked.get(key)
        if ours and _trade(ours) != _trade(theirs):
            yield _named(key), _trade(ours), _trade(theirs)


def fills_not_listed(books: Books) -> Found:
    """The order row claims more than its trades add up to."""
    listed: dict[str, int] = defaultdict(int)
    for trade in books.listed.values():
        listed[trade.order_id] += trade.quantity
    for row in books.broker.orders if books.broker.quiet else ():
        if row.product == INTRADAY and row.filled_quantity > listed[row.order_id]:
            yield row.order_id, row.filled_quantity, listed[row.order_id]


def position_differs(books: Books) -> Found:
    """Asked only where it can be answered: no trade came meanwhile, and both sides list the same trades."""
    if not books.broker.quiet:
        return
    unequal = {trade.token for key, trade in books.listed.items() if key not in books.booked}
    unequal |= {trade.token for key, trade in books.booked.items() if key not in books.listed}
    ours = _net(books.booked.values())
    theirs = {row.token: row.quantity for row in books.broker.positions}
    names = {row.token: row.tradingsymbol for row in books.broker.positions}
    for token in sorted((ours.keys() | theirs.keys()) - unequal):
        if ours.get(token, 0) != theirs.get(token, 0):
            yield names.get(token, str(token)), ours.get(token, 0), theirs.get(token, 0)


_HEAL, _HALT = Verdict.HEALED, Verdict.HALT
RULES: tuple[Rule, ...] = (
    Rule(
        "fill_missing_here",
        _HEAL,
        "the broker lists a trade of an order of ours that is not journaled",
        "its trades are read, journaled and told",
        fill_missing_here,
    ),
    Rule(
        "foreign_fill_missing_here",
        _HEAL,
        "the broker lists a trade of an order that is not ours and is not journaled",
        "it is journaled and told; it may close shares of ours",
        foreign_fill_missing_here,
    ),
    Rule(
        "order_not_linked",
        _HEAL,
        "an order with our tag is in the broker's book, and the journal has no order id for it",
        "the tag proves it: the id is journaled",
        order_not_linked,
    ),
    Rule(
        "status_behind",
        _HEAL,
        "the order has ended at the broker and is live in the journal",
        "the row is merged, its trades first",
        status_behind,
    ),
    Rule(
        "foreign_order_new",
        _HEAL,
        "an order that is not ours is in the book and not journaled",
        "it is adopted: journaled, shown, never touched",
        foreign_order_new,
    ),
    Rule(
        "order_unknown_here",
        _HALT,
        "an order carries a tag of KitePilot's form that no run has journaled",
        "look for a second KitePilot on this account, or a lost journal",
        order_unknown_here,
    ),
    Rule(
        "order_missing_there",
        _HALT,
        "the journal has an order id that the broker does not list",
        "compare with the broker's terminal; is it the same account?",
        order_missing_there,
    ),
    Rule(
        "order_terms_differ",
        _HALT,
        "side, quantity or instrument of an order differ",
        "somebody changed our order, or the id is not ours",
        order_terms_differ,
    ),
    Rule(
        "live_there_ended_here",
        _HALT,
        "the journal has ended an order that the broker calls live",
        "cancel it in the broker's terminal; fills of it still count",
        live_there_ended_here,
    ),
    Rule(
        "overfilled",
        _HALT,
        "the broker filled more than was ordered",
        "compare with the contract note; the position is what the trades say",
        overfilled,
    ),
    Rule(
        "fill_missing_there",
        _HALT,
        "a journaled trade is not among the broker's trades",
        "the broker may have cancelled the trade: ask it",
        fill_missing_there,
    ),
    Rule(
        "fill_differs",
        _HALT,
        "side, quantity or price of a trade differ",
        "compare with the contract note",
        fill_differs,
    ),
    Rule(
        "fills_not_listed",
        _HALT,
        "an order row claims more shares than its trades add up to",
        "wait for the broker's trade book, then resume",
        fills_not_listed,
    ),
    Rule(
        "position_differs",
        _HALT,
        "the broker's intraday position is not what all trades add up to",
        "look for a conversion or a position carried over; square off by hand if in doubt",
        position_differs,
    ),
)


def compare(broker: BrokerView, journal: JournalView) -> list[Difference]:
    """Every difference, by rule, in the order of `RULES`."""
    books = Books(broker, journal)
    return [
        Difference(rule=rule.name, subject=subject, ours=str(ours), theirs=str(theirs))
        for rule in RULES
        for subject, ours, theirs in rule.find(books)
    ]


def standing(looks: Sequence[Iterable[Difference]]) -> list[Difference]:
    """Those of the last look that were there in every look, by rule and subject."""
    if not looks:
        return []
    stood = set.intersection(*({(d.rule, d.subject) for d in look} for look in looks))
    return [each for each in looks[-1] if (each.rule, each.subject) in stood]


def verdict(looks: Sequence[Sequence[Difference]]) -> Verdict:
    """Equal when nothing stood through the first two looks (what passes by itself is trading going on),
    healed when nothing stands at the end, else halt."""
    if not standing(looks[:2]):
        return Verdict.EQUAL
    return Verdict.HALT if standing(looks) else Verdict.HEALED


def outcome(looks: Sequence[Sequence[Difference]]) -> list[Difference]:
    """What the verdict is about: what stands, or what was healed."""
    return standing(looks) or standing(looks[:2])


def _ended(row: OrderReport) -> bool:
    return hear(row.venue_status) in (OrderEvent.COMPLETE, OrderEvent.CANCELLED, OrderEvent.REJECTED)


def _net(trades: Iterable[BookedTrade]) -> dict[int, int]:
    net: dict[int, int] = defaultdict(int)
    for trade in trades:
        net[trade.token] += trade.side.sign * trade.quantity
    return net


def _named(key: Key) -> str:
    return f"order {key[0]} trade {key[1]}"


def _trade(trade: TradeReport | BookedTrade) -> str:
    return f"{_terms(trade.side, trade.quantity, trade.token)} at {trade.price_paise} paise"


def _terms(side: Side, quantity: int, token: int) -> str:
    return f"{side} {quantity} of {token}"
