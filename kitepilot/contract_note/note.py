"""What a contract note says: trades, and charges line by line.

The lines are those of Zerodha's note and of its Console statement ("Account Head"); their wording as seen in
published importers and fixtures of such files (read 2026-11).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from enum import Enum

from kitepilot.events import Side

NSE = "NSE"


class Charge(Enum):
    """A line below the trades, by its name in our books."""

    BROKERAGE = "brokerage"
    TRANSACTION = "transaction"
    CLEARING = "clearing"
    CGST = "cgst"
    SGST = "sgst"
    IGST = "igst"
    STT = "stt"
    SEBI = "sebi"
    STAMP = "stamp"
    IPFT = "ipft"
    AUTO_SQUARE_OFF = "auto_square_off"
    OBLIGATION = "obligation"  # what was sold less what was bought
    NET = "net"  # the obligation less all charges


#: Lines that are money taken; the other two are balances, negative when the client pays.
TAKEN = tuple(line for line in Charge if line not in (Charge.OBLIGATION, Charge.NET))


@dataclass(frozen=True)
class Trade:
    """One trade. `at` is the exchange's time in IST to the second, `line` where the file says it."""

    order_id: str
    trade_id: str
    tradingsymbol: str
    side: Side
    quantity: int
    price_paise: int
    at: time
    exchange: str = NSE
    line: int = 0
    by_broker: bool = False  # of an order the broker placed itself, and bills for; known to our books only


@dataclass(frozen=True)
class Note:
    """One day as the broker states it. Amounts in paise, as finely as the file has them.

    A file may hold one of the two tables only; what it does not list is not compared.
    """

    day: date
    trades: tuple[Trade, ...] = ()
    charges: dict[Charge, Decimal] = field(default_factory=dict)
    lines: dict[Charge, int] = field(default_factory=dict)  # where the file says them
    lists_trades: bool = True
    lists_charges: bool = True


class NoteError(ValueError):
    """The file cannot be read as a contract note: says the line, why, and what to do."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
