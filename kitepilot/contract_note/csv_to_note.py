"""A broker's CSV -> `Note`. Trades, charges, or one below the other; every refusal names its line.

Trades come under the header of Console's tradebook (`symbol,isin,trade_date,...,order_execution_time`) or of
the note's trade annexure (`Order No.,Order Time,Trade No.,...`); charges under `Particulars,...,NET TOTAL` or
`Account Head,Amount`. Columns are found by name, in any order; others are not read.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from kitepilot.contract_note import cells
from kitepilot.contract_note.note import NSE, Charge, Note, NoteError, Trade

#: Our name for a column -> its headings.
_COLUMNS = {
    "order_id": ("orderid", "orderno"),
    "trade_id": ("tradeid", "tradeno"),
    "symbol": ("symbol", "tradingsymbol", "securitycontractdescription", "security"),
    "side": ("tradetype", "buybsells"),
    "quantity": ("quantity",),
    "price": ("price", "grossratetradepriceperunit", "tradepriceperunit"),
    "at": ("orderexecutiontime", "tradetime"),
    "exchange": ("exchange",),
    "day": ("tradedate",),
}
_OPTIONAL = ("exchange", "day")
_BY_HEADING = {heading: name for name, headings in _COLUMNS.items() for heading in headings}
_CONSOLIDATED = ("wap", "weightedaverageprice")

_CHARGES = {
    Charge.BROKERAGE: ("taxablevalueofsupply", "brokerage"),
    Charge.TRANSACTION: ("exchangetransactioncharges",),
    Charge.CLEARING: ("clearingcharges",),
    Charge.CGST: ("cgst", "centralgst"),
    Charge.SGST: ("sgst", "stategst"),
    Charge.IGST: ("igst", "integratedgst"),
    Charge.STT: ("securitiestransactiontax", "stt"),
    Charge.SEBI: ("sebiturnoverfees", "sebiturnoverfee"),
    Charge.STAMP: ("stampduty",),
    Charge.IPFT: ("ipft", "ipftcharges"),
    Charge.AUTO_SQUARE_OFF: ("autosquareoffcharges", "callandtradecharges"),
    Charge.OBLIGATION: ("payinpayoutobligation",),
    Charge.NET: ("netamountreceivable",),
}
_CHARGE_OF = {label: charge for charge, labels in _CHARGES.items() for label in labels}
_TOTALS = ("nettotal", "amount")
_SIGNED = (Charge.OBLIGATION, Charge.NET)

Value = TypeVar("Value")
Reader = Callable[[list[str]], Any]


def note_of(texts: Iterable[Iterable[str]], day: date | None = None) -> Note:
    """Files (each as its lines) -> the note of `day`, or of the only day they speak of.

    Raises:
        NoteError: what cannot be read, with its line; no trade and no charge at all; two days; a line twice.
    """
    reading = _Reading(day)
    for text in texts:
        reading.file(text)
    return reading.note()


class _Reading:
    """State while the rows go by: which table we are in, and what was found."""

    def __init__(self, wanted: date | None) -> None:
        self._wanted, self._day, self._day_line = wanted, wanted, 0
        self._row: Reader | None = None
        self._line = 0
        self.trades: list[Trade] = []
        self.charges: dict[Charge, Decimal] = {}
        self.lines: dict[Charge, int] = {}
        self.lists_trades = self.lists_charges = False

    def file(self, text: Iterable[str]) -> None:
        self._row = None
        rows = csv.reader(text)
        try:
            for row in rows:
                self._line = rows.line_num
                if any(cell.strip() for cell in row):
                    self._take([cell.strip() for cell in row])
        except csv.Error as err:
            raise NoteError(rows.line_num, f"not a CSV row: {err}; export the file again") from err

    def note(self) -> Note:
        if not self.lists_trades and not self.lists_charges:
            raise NoteError(
                self._line or 1,
                "neither trades nor charges in the file: it needs the header of a tradebook, of a trade "
                "annexure, or `Particulars,...,NET TOTAL`",
            )
        if self._day is None:
            raise NoteError(
                1, "the file does not say its day: add `Trade Date,2026-11-20` on top, or give --date"
            )
        return Note(
            self._day, tuple(self.trades), self.charges, self.lines, self.lists_trades, self.lists_charges
        )

    def _take(self, row: list[str]) -> None:
        headings = [cells.heading(cell) for cell in row]
        if "tradetype" in headings or "tradeno" in headings or "tradeid" in headings:
            self._row = self._trade_reader(headings)
        elif headings[0] in ("particulars", "accounthead"):
            self._row = self._charge_reader(headings)
        elif headings[0] == "tradedate" and len(row) > 1:
            self._same_day(self._read(cells.day, row[1]))
        elif any(word in heading for heading in headings for word in _CONSOLIDATED):
            raise NoteError(
                self._line,
                "these are averages per share, not trades: export the trade annexure or Console's tradebook",
            )
        elif self._row is None:
            raise NoteError(
                self._line, f"{row[0]!r} stands before any header I know; remove what is above the table"
            )
        else:
            self._row(row)

    def _trade_reader(self, headings: Sequence[str]) -> Reader:
        places = {_BY_HEADING[name]: place for place, name in enumerate(headings) if name in _BY_HEADING}
        missing = [name for name in _COLUMNS if name not in places and name not in _OPTIONAL]
        if missing:
            raise NoteError(
                self._line, f"the header lacks {', '.join(missing)}: export the file with all columns"
            )

        self.lists_trades = True

        def read(row: list[str]) -> None:
            if "total" in cells.heading(row[0]):
                return
            if len(row) <= max(places.values()):
                raise NoteError(
                    self._line, f"{len(row)} cells, the header has {len(headings)}: the row is cut off"
                )
            self._trade({name: row[place] for name, place in places.items()})

        return read

    def _trade(self, cell: dict[str, str]) -> None:
        if "day" in cell:
            day = self._read(cells.day, cell["day"])
            if self._wanted is not None and day != self._wanted:
                return
            self._same_day(day)
        if not cell["order_id"] or not cell["trade_id"]:
            raise NoteError(self._line, "a trade without its order number and trade number cannot be matched")
        trade = Trade(
            order_id=cell["order_id"],
            trade_id=cell["trade_id"],
            tradingsymbol=self._read(cells.symbol, cell["symbol"]),
            side=self._read(cells.side, cell["side"]),
            quantity=self._read(cells.quantity, cell["quantity"]),
            price_paise=self._read(cells.price_paise, cell["price"]),
            at=self._read(cells.clock, cell["at"]),
            exchange=cell.get("exchange", NSE).upper() or NSE,
            line=self._line,
        )
        self.trades.append(trade)

    def _charge_reader(self, headings: Sequence[str]) -> Reader:
        place = next((at for at, name in enumerate(headings) if name in _TOTALS), None)
        if place is None:
            raise NoteError(self._line, "the header lacks `NET TOTAL` or `Amount`: which column counts?")

        self.lists_charges = True

        def read(row: list[str]) -> None:
            charge = self._charge(row[0])
            if charge in self.charges:
                raise NoteError(
                    self._line, f"{row[0]!r} again, first on line {self.lines[charge]}: one note a file"
                )
            if len(row) <= place:
                raise NoteError(self._line, f"{row[0]!r} has no amount: the row is cut off")
            amount = self._read(cells.paise, row[place])
            self.charges[charge] = amount if charge in _SIGNED else abs(amount)
            self.lines[charge] = self._line

        return read

    def _charge(self, label: str) -> Charge:
        name = cells.heading(label.partition("(")[0].strip().removesuffix("- Z").removesuffix("- z"))
        if name not in _CHARGE_OF:
            raise NoteError(
                self._line,
                f"{label!r} is no line of a contract note known here; remove it to reconcile the rest",
            )
        return _CHARGE_OF[name]

    def _same_day(self, day: date) -> None:
        if self._day is None:
            self._day, self._day_line = day, self._line
        elif day != self._day:
            said = f"line {self._day_line} says" if self._day_line else "--date asks for"
            raise NoteError(
                self._line, f"trades of {day}, {said} {self._day}: one day a file, or choose with --date"
            )

    def _read(self, reader: Callable[[str], Value], text: str) -> Value:
        try:
            return reader(text)
        except ValueError as err:
            raise NoteError(self._line, str(err)) from err
