"""Our trades -> what each line of the note should say, and what else it may say by another known rounding.

GST is charged as IGST, or half as CGST and half as SGST; which one is the broker's to know, so the note
decides. The investor-protection fee is not in our rates (see `orders.charges`); a note that shows it is
explained by it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from kitepilot.contract_note.note import TAKEN, Charge, Note, Trade
from kitepilot.events import Side
from kitepilot.orders.charges import (
    PAISA,
    RUPEE,
    ExecutedOrder,
    Rates,
    brokerage,
    charges_for,
    contract_note,
    rates_on,
)

#: Console states charges to the hundredth of a paisa.
FINEST = Decimal("0.01")
#: Rs 10 per crore until February 2026, Rs 0.01 per crore since (NSE circular of 27 Feb 2026).
_IPFT_CHANGED, _IPFT_BEFORE, _IPFT_SINCE = date(2026, 3, 1), Decimal("0.000001"), Decimal("0.000000001")


@dataclass(frozen=True)
class Expected:
    """Paise by our books, and other amounts that only a rounding or an unlisted fee makes, by its name."""

    paise: Decimal
    roundings: dict[str, Decimal] = field(default_factory=dict)


def executed(trades: Iterable[Trade]) -> list[ExecutedOrder]:
    """All trades of an order together. Tokens stand for shares: STT is rounded per share."""
    orders: dict[tuple[str, str], list[Trade]] = defaultdict(list)
    tokens: dict[str, int] = {}
    for trade in trades:
        tokens.setdefault(trade.tradingsymbol, len(tokens) + 1)
        orders[(trade.order_id, trade.tradingsymbol)].append(trade)
    return [
        ExecutedOrder(
            side=group[0].side,
            quantity=sum(trade.quantity for trade in group),
            notional_paise=sum(trade.quantity * trade.price_paise for trade in group),
            auto_square_off=any(trade.by_broker for trade in group),
            token=tokens[symbol],
        )
        for (_, symbol), group in orders.items()
    ]


def expected_lines(trades: Sequence[Trade], note: Note) -> dict[Charge, Expected]:
    """Every line the note should have for these trades, GST by the kinds it shows.

    Raises:
        kitepilot.orders.charges.ChargesError: no rates are known for that day.
    """
    orders, rates = executed(trades), rates_on(note.day)
    shown, exact = contract_note(orders, note.day), charges_for(orders, note.day)
    turnover = Decimal(sum(order.notional_paise for order in orders))
    ipft = turnover * (_IPFT_SINCE if note.day >= _IPFT_CHANGED else _IPFT_BEFORE)
    lines = {
        Charge.BROKERAGE: Expected(
            shown.brokerage,
            {"each order to the paisa": _each(orders, lambda o: brokerage(rates, o.notional_paise))},
        ),
        Charge.TRANSACTION: Expected(
            shown.transaction,
            {"each order to the paisa": _each(orders, lambda o: o.notional_paise * rates.transaction)},
        ),
        Charge.SEBI: Expected(
            shown.sebi, {"each order to the paisa": _each(orders, lambda o: o.notional_paise * rates.sebi)}
        ),
        Charge.STT: Expected(shown.stt, _stt_roundings(orders, rates)),
        Charge.STAMP: Expected(shown.stamp, {"to the rupee": _to_rupee(exact.stamp)}),
        Charge.AUTO_SQUARE_OFF: Expected(
            shown.auto_square_off, {"billed in the ledger, not on the note": Decimal(0)}
        ),
        Charge.CLEARING: Expected(Decimal(0)),
        Charge.IPFT: Expected(Decimal(0), {"the investor-protection fee, not in our rates": _to_paisa(ipft)}),
    }
    fine = {
        Charge(name): getattr(exact, name) for name in ("brokerage", "transaction", "sebi", "stt", "stamp")
    }
    for charge, amount in fine.items():
        lines[charge].roundings["not rounded"] = amount.quantize(FINEST, ROUND_HALF_UP)
    lines |= _gst(
        exact.gst,
        (shown.brokerage + shown.transaction + shown.sebi + shown.auto_square_off) * rates.gst,
        note,
    )
    lines[Charge.OBLIGATION] = Expected(
        Decimal(sum(o.notional_paise * (1 if o.side is Side.SELL else -1) for o in orders))
    )
    lines[Charge.NET] = _net(lines, note)
    return lines


def _gst(exact: Decimal, on_rounded: Decimal, note: Note) -> dict[Charge, Expected]:
    split = bool(note.charges.get(Charge.CGST) or note.charges.get(Charge.SGST))
    if not split and not note.charges.get(Charge.IGST):  # halves that round to nothing are not shown either
        split = _to_paisa(exact / 2) == 0
    shares = (
        {Charge.IGST: 0, Charge.CGST: 2, Charge.SGST: 2}
        if split
        else {Charge.IGST: 1, Charge.CGST: 0, Charge.SGST: 0}
    )
    nothing = Expected(Decimal(0))
    return {
        charge: Expected(
            _to_paisa(exact / share),
            {
                "on lines already rounded": _to_paisa(on_rounded / share),
                "not rounded": (exact / share).quantize(FINEST, ROUND_HALF_UP),
            },
        )
        if share
        else nothing
        for charge, share in shares.items()
    }


def _net(lines: dict[Charge, Expected], note: Note) -> Expected:
    """What we would settle; or what follows from the note's own lines, each of which is judged by itself."""
    ours = lines[Charge.OBLIGATION].paise - sum(lines[charge].paise for charge in TAKEN)
    if Charge.OBLIGATION not in note.charges:
        return Expected(ours)
    theirs = note.charges[Charge.OBLIGATION] - sum(note.charges.get(charge, Decimal(0)) for charge in TAKEN)
    return Expected(ours, {"the sum of the note's own lines": theirs})


def _stt_roundings(orders: Sequence[ExecutedOrder], rates: Rates) -> dict[str, Decimal]:
    sold: dict[int, Decimal] = defaultdict(Decimal)
    for order in orders:
        if order.side is Side.SELL:
            sold[order.token] += order.notional_paise * rates.stt_sell
    return {
        "on what was sold, each share to the rupee": sum(map(_to_rupee, sold.values()), Decimal(0)),
        "on what was sold, the day to the rupee": _to_rupee(sum(sold.values(), Decimal(0))),
        "on what was sold, to the paisa": _to_paisa(sum(sold.values(), Decimal(0))),
    }


def _each(orders: Iterable[ExecutedOrder], amount: Callable[[ExecutedOrder], Decimal]) -> Decimal:
    return sum((_to_paisa(amount(order)) for order in orders), Decimal(0))


def _to_paisa(amount: Decimal) -> Decimal:
    return amount.quantize(PAISA, ROUND_HALF_UP)


def _to_rupee(amount: Decimal) -> Decimal:
    return (amount / RUPEE).quantize(PAISA, ROUND_HALF_UP) * RUPEE
