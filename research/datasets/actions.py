"""Corporate actions: what a price or a volume of one date is on the basis of another, as known on a date.

    2:1 split on 10 May:  price of 9 May / 2 = its price on the basis of 10 May;  volume * 2

Raw data is on the basis of its own session; back-adjusted data on that of the day it was downloaded.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from research.datasets.manifest import DatasetError

FILE = "corporate_actions.csv"
HEADER = ("symbol", "ex_date", "price_factor", "volume_factor", "known_since", "kind")
#: Kinds that are no split: their price drop was paid out or is another share, so nothing is adjusted.
NOT_ADJUSTED = (
    "price_only_cash_dividend_or_demerger",
    "demerger_or_rights",
    "other",
    "unmatched",
    "dividend",
)
MOST = Fraction(1_000)


class Action(NamedTuple):
    """From `ex_date` on one old share is `volume_factor` new ones, each worth 1 / `price_factor` of it.

    `known_since`: the first date on which one could know of it.
    """

    symbol: str
    ex_date: date
    price_factor: Fraction
    volume_factor: Fraction
    known_since: date
    kind: str = "split_or_bonus"


class Factors(NamedTuple):
    """What to divide a price by, and to multiply a volume with."""

    price: Fraction
    volume: Fraction


SAME = Factors(Fraction(1), Fraction(1))


@dataclass(frozen=True)
class Actions:
    """A table of actions, by symbol. `left_out` counts the rows of kinds that are not adjusted, by kind."""

    rows: tuple[Action, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    known_by_ex_date: int = 0  # rows whose announcement date is not told: the ex-date is taken

    def of(self, symbol: str) -> tuple[Action, ...]:
        """A symbol's actions by ex-date."""
        return self._by_symbol.get(symbol, ())

    @cached_property
    def _by_symbol(self) -> dict[str, tuple[Action, ...]]:
        found: dict[str, tuple[Action, ...]] = {}
        for row in sorted(self.rows):
            found[row.symbol] = (*found.get(row.symbol, ()), row)
        return found

    def between(self, symbol: str, after: date, until: date, as_known_on: date) -> Factors:
        """From the basis of `after` to that of the later date `until`, by what was known on `as_known_on`."""
        price, volume = SAME
        for row in self.of(symbol):
            if after < row.ex_date <= until and row.known_since <= as_known_on:
                price, volume = price * row.price_factor, volume * row.volume_factor
        return Factors(price, volume)

    def factors(self, symbol: str, basis: date, wanted: date, as_known_on: date) -> Factors:
        """From the basis of one date to that of another, forward or back."""
        if basis <= wanted:
            return self.between(symbol, basis, wanted, as_known_on)
        back = self.between(symbol, wanted, basis, as_known_on)
        return Factors(1 / back.price, 1 / back.volume)

    def merged(self, newer: Actions) -> Actions:
        """Both; where a symbol has an action on the same date in both, the newer one."""
        rows = {(row.symbol, row.ex_date): row for row in (*self.rows, *newer.rows)}
        return Actions(tuple(sorted(rows.values())), newer.left_out, newer.known_by_ex_date)


def read_actions(path: Path) -> Actions:
    """A CSV with symbol, ex_date, price_factor (or factor); volume_factor, known_since, kind if it has them.

    Without `volume_factor` it is the price's. Without `known_since` an action counts as known from its
    ex-date on: later than it was, never earlier.

    Raises:
        DatasetError: not such a file; names the line and the column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise DatasetError(f"{path}: not a readable CSV of corporate actions: {err}") from err
    rows, left_out, undated = [], dict[str, int](), 0
    for number, line in enumerate(lines, start=2):
        kind = (line.get("kind") or "split_or_bonus").strip()
        if kind in NOT_ADJUSTED:
            left_out[kind] = left_out.get(kind, 0) + 1
            continue
        rows.append(_row(path, number, line, kind))
        undated += not (line.get("known_since") or "").strip()
    _refuse_twice(path, rows)
    return Actions(tuple(sorted(rows)), left_out, undated)


def actions_of(home_datasets: Path) -> Actions:
    """The table beside the datasets; an empty one where there is none."""
    path = home_datasets / FILE
    return read_actions(path) if path.exists() else Actions()


def write_actions(home_datasets: Path, actions: Actions) -> Path:
    """Whole or not at all; factors as exact fractions."""
    home_datasets.mkdir(parents=True, exist_ok=True)
    path = home_datasets / FILE
    fresh = path.with_suffix(".new")
    with fresh.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        for row in actions.rows:
            out.writerow(
                (row.symbol, row.ex_date, row.price_factor, row.volume_factor, row.known_since, row.kind)
            )
    fresh.replace(path)
    return path


def _row(path: Path, number: int, line: Mapping[str, str | None], kind: str) -> Action:
    def cell(*names: str) -> str:
        return next((text.strip() for name in names if (text := line.get(name))), "")

    def wrong(column: str, text: str, what: str) -> DatasetError:
        return DatasetError(f"{path}, line {number}, column {column}: {text!r} is not {what}")

    def day(column: str, text: str) -> date:
        try:
            return date.fromisoformat(text)
        except ValueError as err:
            raise wrong(column, text, "a date like 2021-05-10") from err

    def factor(column: str, text: str) -> Fraction:
        try:
            found = Fraction(text)
        except (ValueError, ZeroDivisionError) as err:
            raise wrong(column, text, "a number or a fraction like 3/2") from err
        if not 1 / MOST <= found <= MOST:
            raise wrong(column, text, f"a factor between 1/{MOST} and {MOST}")
        return found

    symbol = cell("symbol", "tradingsymbol")
    if not symbol:
        raise wrong("symbol", "", "a symbol")
    ex_date = day("ex_date", cell("ex_date"))
    price = factor("price_factor", cell("price_factor", "factor"))
    volume = cell("volume_factor")
    known = cell("known_since")
    return Action(
        symbol,
        ex_date,
        price,
        factor("volume_factor", volume) if volume else price,
        min(day("known_since", known), ex_date) if known else ex_date,
        kind,
    )


def _refuse_twice(path: Path, rows: Iterable[Action]) -> None:
    seen = set()
    for row in rows:
        if (row.symbol, row.ex_date) in seen:
            raise DatasetError(f"{path}: {row.symbol} has two actions on {row.ex_date}: keep the right one")
        seen.add((row.symbol, row.ex_date))
