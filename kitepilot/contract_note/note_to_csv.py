"""`Note` -> CSV as the broker writes it: the day, the trade annexure, the charges."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from kitepilot.contract_note.expected import expected_lines
from kitepilot.contract_note.note import TAKEN, Charge, Note, Trade

_TRADES = (
    "Order No.", "Trade No.", "Trade Time", "Security/Contract Description", "Buy(B) / Sell(S)", "Exchange",
    "Quantity", "Gross Rate/Trade Price Per Unit (Rs)",
)  # fmt: skip
_LABELS = {
    Charge.OBLIGATION: "Pay in/Pay out obligation",
    Charge.BROKERAGE: "Taxable value of Supply (Brokerage)",
    Charge.TRANSACTION: "Exchange transaction charges",
    Charge.CLEARING: "Clearing charges",
    Charge.CGST: "CGST (@9% of Brok, SEBI, Trans & Clearing Charges)",
    Charge.SGST: "SGST (@9% of Brok, SEBI, Trans & Clearing Charges)",
    Charge.IGST: "IGST (@18% of Brok, SEBI, Trans & Clearing Charges)",
    Charge.STT: "Securities transaction tax",
    Charge.SEBI: "SEBI turnover fees",
    Charge.STAMP: "Stamp duty",
    Charge.IPFT: "IPFT",
    Charge.AUTO_SQUARE_OFF: "Auto square off charges",
    Charge.NET: "Net amount receivable/(payable by client)",
}


def expected_note(day: date, trades: Sequence[Trade], *, split_gst: bool = False) -> Note:
    """The note that would leave no difference to these trades; GST in halves if `split_gst`."""
    hint = {Charge.CGST: Decimal(1)} if split_gst else {}
    lines = expected_lines(trades, Note(day, charges=hint))
    return Note(day, tuple(trades), {charge: line.paise for charge, line in lines.items()})


def csv_of(note: Note) -> str:
    """The note as one file of two tables; charges in brackets, as money taken."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("Trade Date", note.day.isoformat()))
    if note.lists_trades:
        rows.writerow(_TRADES)
    for trade in note.trades:
        symbol, side = f"{trade.tradingsymbol}-EQ", trade.side.value[0]
        price = f"{Decimal(trade.price_paise) / 100:.4f}"
        rows.writerow(
            (trade.order_id, trade.trade_id, trade.at, symbol, side, trade.exchange, trade.quantity, price)
        )
    if note.lists_charges:
        rows.writerow(("Particulars", "NET TOTAL"))
    for charge in filter(note.charges.__contains__, _LABELS):
        amount, label = note.charges[charge] * (-1 if charge in TAKEN else 1), _LABELS[charge]
        cell = f"{abs(amount) / 100:,.2f}"
        rows.writerow((label, f"({cell})" if amount < 0 else cell))
    return text.getvalue()
