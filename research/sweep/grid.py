"""What a person says of a grid -> parameter sets.

sets(["fast=5:20:5", "slow=20,40,60"]) -> ({"fast": 5.0, "slow": 20.0}, {"fast": 5.0, "slow": 40.0}, ...)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import product
from math import prod

Parameters = dict[str, float]
MOST_SETS = 100_000


class GridError(ValueError):
    """A grid that cannot be read; shows how one is written."""


@dataclass(frozen=True)
class Axis:
    """One parameter and the values it is tried at, in rising order as they were written."""

    name: str
    values: tuple[float, ...]


def axis(text: str) -> Axis:
    """`name=low:high:step` (both ends included) or `name=one,two,...`.

    >>> axis("fast=5:20:5")
    Axis(name='fast', values=(5.0, 10.0, 15.0, 20.0))

    Raises:
        GridError: neither of these, or more than 100,000 values.
    """
    name, _, said = text.partition("=")
    try:
        if not name or not said:
            raise InvalidOperation
        parts = [Decimal(part) for part in said.split(":" if ":" in said else ",")]
        values = _steps(*parts) if ":" in said else tuple(parts)
    except (InvalidOperation, TypeError) as err:
        raise GridError(f"--grid {text!r}: write NAME=LOW:HIGH:STEP or NAME=VALUE,VALUE,...") from err
    return Axis(name.strip(), tuple(float(value) for value in values))


def _steps(low: Decimal, high: Decimal, step: Decimal) -> tuple[Decimal, ...]:
    """Decimal, so that 0.1:0.3:0.1 ends at 0.3."""
    if step <= 0 or high < low or (high - low) / step >= MOST_SETS:
        raise InvalidOperation
    return tuple(low + step * count for count in range(int((high - low) / step) + 1))


def axes(texts: Sequence[str]) -> tuple[Axis, ...]:
    """Raises `GridError` also for no axis, one named twice, or more than 100,000 sets."""
    found = tuple(axis(text) for text in texts)
    names = [each.name for each in found]
    if not found or len(set(names)) < len(names):
        raise GridError("say one --grid NAME=LOW:HIGH:STEP for each parameter, each name once")
    if (count := prod(len(each.values) for each in found)) > MOST_SETS:
        raise GridError(f"{count:,} parameter sets are too many; {MOST_SETS:,} are the most, or use --optuna")
    return found


def sets(of: Sequence[Axis]) -> tuple[Parameters, ...]:
    """Every combination, the last parameter changing fastest."""
    names = [each.name for each in of]
    return tuple(dict(zip(names, values, strict=True)) for values in product(*(each.values for each in of)))
