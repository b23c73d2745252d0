"""The columns of a file -> what they are: guessed from their names, or told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from research.datasets.manifest import DatasetError

PRICES = ("open", "high", "low", "close")
ROLES = ("symbol", "time", "date", *PRICES, "volume", "token")
NEEDED = ("time", *PRICES)
#: Names without case, blanks and signs; the first that a file has wins.
NAMES: dict[str, tuple[str, ...]] = {
    "symbol": ("tradingsymbol", "symbol", "ticker", "scrip", "stock", "security", "instrument", "code"),
    "time": (
        "beginsat", "tsistminute", "datetime", "datetimeist", "timestamp", "tsist", "ts", "dt", "minute",
        "time",
    ),
    "date": ("date", "day", "tradingdate"),
    "token": ("instrumenttoken", "token"),
    "open": ("openpaise", "open", "o", "openprice", "opn"),
    "high": ("highpaise", "high", "h", "highprice", "hi"),
    "low": ("lowpaise", "low", "l", "lowprice", "lo"),
    "close": ("closepaise", "close", "c", "closeprice", "last", "ltp", "cls"),
    "volume": ("volume", "v", "vol", "qty", "quantity", "tradedquantity", "shares", "tradedqty"),
}  # fmt: skip
TICKS_LTP = frozenset({"symbol", "seq", "ts_ist", "ltp", "volume_cum"})
TICKS_FULL = frozenset({"symbol", "seq", "exchange_timestamp", "last_price", "volume_traded", "bid1"})


@dataclass(frozen=True)
class ColumnMap:
    """Role -> column. `date` is there only where date and time of day are two columns."""

    of: dict[str, str] = field(default_factory=dict)

    @property
    def paise(self) -> bool:
        """Whether prices are whole paise already; else they are rupees."""
        return self.of["open"].lower().endswith("paise")

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(self.of.values()))

    def words(self) -> dict[str, str]:
        """For the manifest and the screen, in the order of `ROLES`."""
        told = {role: self.of[role] for role in ROLES if role in self.of}
        if "volume" not in told:
            told["volume"] = "(none: taken as 0)"
        if "symbol" not in told:
            told["symbol"] = "(the file's name, or its folder symbol=...)"
        return told | {"prices in": "paise" if self.paise else "rupees"}


def is_ticks(columns: Mapping[str, pa.DataType]) -> bool:
    """Whether a file holds ticks in one of the recorded shapes."""
    return columns.keys() >= TICKS_LTP or columns.keys() >= TICKS_FULL


def guessed(columns: Mapping[str, pa.DataType], told: Mapping[str, str], where: str) -> ColumnMap:
    """What each column is by its name; `told` goes before.

    Raises:
        DatasetError: a needed column is not found, or a told one does not exist; names those that do.
    """
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(list(columns))}
    for role, name in told.items():
        if name not in columns:
            raise DatasetError(f"{where}: --map {role}={name}: no such column; {_there(columns)}")
    of = {role: plain[hit[0]] for role, names in NAMES.items() if (hit := [n for n in names if n in plain])}
    of |= told
    if "time" not in of and "date" in of:
        of["time"] = of.pop("date")  # one column that is called "date" and holds both
    if "date" in of and ("time" not in told or "date" not in told) and not _two(columns, of):
        of.pop("date")
    missing = [role for role in NEEDED if role not in of]
    if missing:
        raise DatasetError(
            f"{where}: no column looks like {', '.join(missing)}; {_there(columns)}. "
            f"Say it: --map {','.join(f'{role}=COLUMN' for role in missing)}"
        )
    return replace(ColumnMap(), of={role: of[role] for role in ROLES if role in of})


def parsed(text: str) -> dict[str, str]:
    """`--map open=O,time=Stamp` -> role to column. Raises `DatasetError`."""
    told = {}
    for part in filter(None, text.split(",")):
        role, sign, name = part.partition("=")
        if not sign or role.strip() not in ROLES or not name.strip():
            raise DatasetError(f"--map {part!r}: write ROLE=COLUMN, roles are {', '.join(ROLES)}")
        told[role.strip()] = name.strip()
    return told


def _two(columns: Mapping[str, pa.DataType], of: Mapping[str, str]) -> bool:
    """Date and time of day apart: neither column is a whole instant by its type or its name."""
    named = re.sub(r"[^a-z0-9]", "", of["time"].lower())
    return not pa.types.is_timestamp(columns[of["time"]]) and named in ("time", "minute")


def _there(columns: Mapping[str, pa.DataType]) -> str:
    shown = ", ".join(list(columns)[:20])
    return f"the file has {shown}{', ...' if len(columns) > 20 else ''}"
