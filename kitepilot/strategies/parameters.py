"""Parameters of a strategy: declared once with default, bounds and meaning; checked when it is made."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """One number a strategy may be given: `low <= value <= high`."""

    default: float
    low: float
    high: float
    meaning: str


def settle(strategy: str, declared: Mapping[str, Parameter], given: Mapping[str, float]) -> dict[str, float]:
    """Defaults with `given` on top.

    Raises:
        ValueError: a name that is not declared (with the nearest one), or a value outside its bounds.
    """
    for name, value in given.items():
        where = f"strategies.parameters.{strategy}.{name}"
        if name not in declared:
            near = difflib.get_close_matches(name, declared, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(declared)}"
            raise ValueError(f"{where}: no such parameter; {hint}")
        bounds = declared[name]
        if not math.isfinite(value) or not bounds.low <= value <= bounds.high:
            raise ValueError(f"{where}: {value} is outside {bounds.low}..{bounds.high} ({bounds.meaning})")
    return {name: float(given.get(name, parameter.default)) for name, parameter in declared.items()}


#: How every built-in strategy ends what it began.
EXITS: dict[str, Parameter] = {
    "horizon_s": Parameter(600, 1, 22_500, "leave after this many seconds"),
    "stop_bps": Parameter(40, 1, 1_000, "leave when this far against the entry"),
    "take_profit_bps": Parameter(50, 1, 1_000, "leave when this far in favour"),
    "cooldown_s": Parameter(1_800, 0, 22_500, "silence per instrument after a wish"),
}
