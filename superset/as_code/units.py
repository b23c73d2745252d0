"""What the end of a column's name says about it: its unit, and how a person reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Unit:
    """`ending` of the name, `mark` behind the label, d3 formats; `currency`: the sign of the rupee before."""

    name: str
    ending: str
    mark: str
    number: str
    currency: bool = False
    time: str = ""


UNITS = (
    Unit("rupees", "_rupees", "₹", ",.2f", currency=True),
    Unit("paise", "_paise", "paise", ",d"),
    Unit("bps", "_bps", "bps", ",.2f"),
    Unit("ms", "_ms", "ms", ",.1f"),
    Unit("seconds", "_s", "s", ",.1f"),
    Unit("share", "_share", "", ".1%"),
    Unit("rate", "_rate", "", ".1%"),
    Unit("time", "_at_ist", "IST", "", time="%H:%M:%S"),
    Unit("utc", "_at", "UTC", "", time="%Y-%m-%d %H:%M:%S"),
    Unit("date", "_date", "", "", time="%Y-%m-%d"),
    Unit("count", "", "", ",d"),
    Unit("number", "", "", ",.2f"),
    Unit("small", "", "", ".4f"),
)
RUPEE = {"symbol": "INR", "symbolPosition": "prefix"}
WORDS = {"pnl": "P&L", "tradingsymbol": "instrument", "ist": "IST", "auc": "AUC", "psi": "PSI"}
BY_NAME = {unit.name: unit for unit in UNITS}


def unit_of(column: str) -> Unit | None:
    """The unit a column's name ends in, the longest ending first."""
    fitting = [unit for unit in UNITS if unit.ending and column.endswith(unit.ending)]
    return max(fitting, key=lambda unit: len(unit.ending), default=None)


def label_of(column: str) -> str:
    """`net_rupees` -> `Net (₹)`, `decided_at_ist` -> `Decided (IST)`, `run_id` -> `Run`."""
    unit = unit_of(column)
    name = column.removesuffix(unit.ending) if unit and unit.mark else column
    words = " ".join(WORDS.get(word, word) for word in name.removesuffix("_id").split("_"))
    label = words[:1].upper() + words[1:]
    return f"{label} ({unit.mark})" if unit and unit.mark else label


def cell_format(column: str) -> dict[str, Any]:
    """How a table's column shows a value, in Superset's words; empty where the name says nothing."""
    unit = unit_of(column)
    if unit is None or not (unit.number or unit.time):
        return {}
    if unit.time:
        return {"d3TimeFormat": unit.time}
    shown: dict[str, Any] = {"d3NumberFormat": unit.number, "d3SmallNumberFormat": unit.number}
    return shown | ({"currencyFormat": RUPEE} if unit.currency else {})
