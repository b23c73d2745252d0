"""The note against our books: trades paired one to one, charges line by line, every difference named.

The note's order numbers may be the exchange's, which our books do not keep: if none of them is one of ours,
orders are told apart by the trades they hold instead.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum

from kitepilot.contract_note.expected import Expected, expected_lines
from kitepilot.contract_note.note import Charge, Note, Trade
from kitepilot.money import rupees

#: Cells of a trade that must agree, and how they are told.
_CELLS: dict[str, Callable[[Trade], str]] = {
    "order_id": lambda trade: trade.order_id,
    "trade_id": lambda trade: trade.trade_id,
    "tradingsymbol": lambda trade: trade.tradingsymbol,
    "exchange": lambda trade: trade.exchange,
    "side": lambda trade: trade.side.value,
    "quantity": lambda trade: str(trade.quantity),
    "price": lambda trade: rupees(trade.price_paise),
    "time": lambda trade: trade.at.isoformat(),
}


_WORDS = {
    "order_id": "other order number",
    "trade_id": "other trade number",
    "tradingsymbol": "other symbol",
}


class Kind(Enum):
    """What a finding is. Only the first is no reason to write to the broker."""

    ROUNDING = "rounding"
    DIFFERS = "differs"
    NOT_ON_NOTE = "not on the note"
    NOT_OURS = "not in our books"


@dataclass(frozen=True)
class Finding:
    """One thing that is not the same. `line` is the file's, 0 where it has none; paise is note less ours."""

    kind: Kind
    what: str
    note: str
    ours: str
    paise: Decimal
    why: str
    line: int = 0


@dataclass(frozen=True)
class Comparison:
    """`agreed` trades are the same in every cell."""

    note: Note
    trades: int
    agreed: int
    findings: tuple[Finding, ...]
    exchange_numbers: bool  # the note's order numbers are none of ours

    @property
    def reconciled(self) -> bool:
        """Nothing but roundings."""
        return all(finding.kind is Kind.ROUNDING for finding in self.findings)


def compare(note: Note, ours: Sequence[Trade]) -> Comparison:
    """Every difference between the note and our trades of its day.

    Raises:
        kitepilot.orders.charges.ChargesError: no rates are known for the note's day.
    """
    findings: list[Finding] = []
    agreed, foreign_numbers = 0, False
    named: list[Trade] = []
    if note.lists_trades:
        named, foreign_numbers = _in_our_numbers(note.trades, ours)
        pairs, theirs_alone, ours_alone = _paired(named, ours)
        for theirs, own in pairs:
            found = list(_cells(theirs, own))
            agreed += not found
            findings += found
        findings += [_alone(trade, Kind.NOT_ON_NOTE) for trade in ours_alone]
        findings += [_alone(trade, Kind.NOT_OURS) for trade in theirs_alone]
    if note.lists_charges:
        findings += _charges(note, named, ours)
    return Comparison(note, len(ours), agreed, tuple(findings), foreign_numbers)


def _in_our_numbers(theirs: Sequence[Trade], ours: Sequence[Trade]) -> tuple[list[Trade], bool]:
    """The note's trades with order numbers of our books, where a trade number tells which order is meant."""
    known = {trade.order_id for trade in ours}
    if not ours or any(trade.order_id in known for trade in theirs):
        return list(theirs), False
    by_number: dict[tuple[str, str], list[str]] = defaultdict(list)
    for trade in ours:
        by_number[(trade.trade_id, trade.tradingsymbol)].append(trade.order_id)
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for trade in theirs:
        votes[trade.order_id].update(by_number[(trade.trade_id, trade.tradingsymbol)])
    meant: dict[str, str] = {}
    for number, counted in sorted(votes.items(), key=lambda each: -max(each[1].values(), default=0)):
        free = [(count, order) for order, count in counted.items() if order not in meant.values()]
        if free:
            meant[number] = max(free)[1]
    return [replace(trade, order_id=meant.get(trade.order_id, trade.order_id)) for trade in theirs], True


#: From the surest way to know a trade again to the loosest: then one cell differs, and it is named.
_WAYS: tuple[Callable[[Trade], Hashable], ...] = (
    lambda trade: (
        trade.order_id,
        trade.trade_id,
        trade.tradingsymbol,
        trade.side,
        trade.quantity,
        trade.price_paise,
    ),
    lambda trade: (trade.order_id, trade.trade_id, trade.tradingsymbol),
    lambda trade: (trade.order_id, trade.trade_id),
    lambda trade: (trade.trade_id, trade.tradingsymbol, trade.quantity, trade.price_paise),
    lambda trade: (
        trade.order_id,
        trade.tradingsymbol,
        trade.side,
        trade.quantity,
        trade.price_paise,
        trade.at,
    ),
)


def _paired(
    theirs: Sequence[Trade], ours: Sequence[Trade]
) -> tuple[list[tuple[Trade, Trade]], list[Trade], list[Trade]]:
    pairs: list[tuple[Trade, Trade]] = []
    left = list(ours)
    for way in _WAYS:
        waiting: dict[Hashable, list[Trade]] = defaultdict(list)
        for trade in reversed(left):
            waiting[way(trade)].append(trade)
        alone: list[Trade] = []
        for trade in theirs:
            if same := waiting[way(trade)]:
                pairs.append((trade, same.pop()))
            else:
                alone.append(trade)
        left = [trade for same in waiting.values() for trade in same]
        theirs = alone
    return pairs, list(theirs), sorted(left, key=lambda trade: (trade.at, trade.order_id, trade.trade_id))


def _cells(theirs: Trade, own: Trade) -> Iterable[Finding]:
    for name, told in _CELLS.items():
        if told(theirs) == told(own):
            continue
        worth = Decimal(theirs.quantity * theirs.price_paise - own.quantity * own.price_paise)
        moved = name in ("quantity", "price")
        yield Finding(
            Kind.DIFFERS,
            f"{_name(own)}: {name}",
            told(theirs),
            told(own),
            worth if moved else Decimal(0),
            _WORDS.get(name, f"other {name}"),
            theirs.line,
        )


def _alone(trade: Trade, kind: Kind) -> Finding:
    worth = Decimal(trade.quantity * trade.price_paise)
    told = f"{trade.side.value} {trade.quantity} at {rupees(trade.price_paise)}, {trade.at}"
    if kind is Kind.NOT_ON_NOTE:
        return Finding(kind, _name(trade), "", told, -worth, "missing trade: ask the broker")
    why = "not a trade of our books: another day's, another product's, or one we were never told of"
    return Finding(kind, _name(trade), told, "", worth, why, trade.line)


def _name(trade: Trade) -> str:
    return f"{trade.tradingsymbol} order {trade.order_id} trade {trade.trade_id}"


def _charges(note: Note, named: Sequence[Trade], ours: Sequence[Trade]) -> Iterable[Finding]:
    lines = expected_lines(ours, note)
    by_note = expected_lines(_billed(named, ours), note) if note.lists_trades else {}
    for charge, expected in lines.items():
        said = note.charges.get(charge)
        if said is None and (not expected.paise or charge in (Charge.OBLIGATION, Charge.NET)):
            continue
        amount = said or Decimal(0)
        if amount != expected.paise:
            yield _charge(charge, amount, expected, by_note.get(charge), note.lines.get(charge, 0))


def _billed(theirs: Iterable[Trade], ours: Iterable[Trade]) -> list[Trade]:
    """The note does not say which orders the broker placed itself; our books do."""
    by_broker = {trade.order_id for trade in ours if trade.by_broker}
    return [replace(trade, by_broker=trade.order_id in by_broker) for trade in theirs]


def _charge(
    charge: Charge, said: Decimal, expected: Expected, by_note: Expected | None, line: int
) -> Finding:
    why = next((name for name, amount in expected.roundings.items() if amount == said), "")
    kind = Kind.ROUNDING if why else Kind.DIFFERS
    if not why and not line:
        why = "the note has no such line"
    elif not why and by_note and by_note.paise == said:
        why = "follows from the trades that differ"
    elif not why:
        why = "no rounding known here makes it"
    return Finding(
        kind,
        charge.value,
        _amount(said),
        _amount(expected.paise),
        said - expected.paise,
        why,
        line,
    )


def _amount(paise: Decimal) -> str:
    return rupees(int(paise)) if paise == int(paise) else f"{paise / 100:,.4f}"
