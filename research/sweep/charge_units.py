"""The charges of a day in whole numbers, for compiled code: equal to `orders.charges` to the paisa.

Amounts are billionths of a paisa ("nano"), in which every rate in the table is a whole number, so nothing is
rounded before the one rounding of the day's total. int64 holds a day's turnover of 100,000 crore rupees.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from kitepilot.orders.charges import ChargesError, Rates
from research.sweep.compiled import kernel

Ints = npt.NDArray[np.int64]
NANO = 1_000_000_000

#: Places in the int64 array the kernels take.
BROKERAGE, BROKERAGE_CAP, BUY, SELL, BROKERAGE_GST, SQUARE_OFF = range(6)
HUNDRED = 100


@dataclass(frozen=True)
class ChargeUnits:
    """Nano per paisa of value, but for the cap and the square-off fee: nano an order."""

    brokerage: int  # before GST
    brokerage_cap: int
    buy: int  # transaction, SEBI, GST on both, stamp
    sell: int  # the same with STT in place of the stamp
    gst_hundredths: int  # of brokerage; brokerage itself is counted without
    square_off: int  # with GST

    def array(self) -> Ints:
        return np.array(
            [
                self.brokerage,
                self.brokerage_cap,
                self.buy,
                self.sell,
                HUNDRED + self.gst_hundredths,
                self.square_off,
            ],
            dtype=np.int64,
        )


def charge_units(rates: Rates) -> ChargeUnits:
    """Raises `ChargesError` for rates that are finer than a billionth of a paisa per paisa."""
    both = (rates.transaction + rates.sebi) * (1 + rates.gst)
    return ChargeUnits(
        brokerage=_whole(rates.brokerage * NANO),
        brokerage_cap=rates.brokerage_cap_paise * NANO,
        buy=_whole((both + rates.stamp_buy) * NANO),
        sell=_whole((both + rates.stt_sell) * NANO),
        gst_hundredths=_whole(rates.gst * HUNDRED),
        square_off=_whole(rates.auto_square_off_paise * (1 + rates.gst) * NANO),
    )


def _whole(value: Decimal) -> int:
    if value != int(value):
        raise ChargesError(f"a rate of {value} nano-paise is not whole: compiled code would have to round it")
    return int(value)


@kernel
def brokerage_nano(units: Ints, order_paise: int) -> int:
    """Of one order, before GST."""
    return int(min(order_paise * units[BROKERAGE], units[BROKERAGE_CAP]))


def charges_of(units: Ints, bought: Any, sold: Any, brokerage: Any, square_offs: Any) -> Any:
    """Of a day, or of one trade: values in paise, `brokerage` in nano before GST; not rounded.

    Numbers, or columns of them.
    """
    by_value = bought * units[BUY] + sold * units[SELL]
    return by_value + brokerage // HUNDRED * units[BROKERAGE_GST] + square_offs * units[SQUARE_OFF]


charges_nano = kernel(charges_of)


@kernel
def to_paise(nano: int) -> int:
    """Rounded once, half up; charges are never negative."""
    return (nano + NANO // 2) // NANO
