"""What a sizing method is: from an entry to the shares it would like. Whole numbers in, whole numbers out."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol


@dataclass(frozen=True)
class Entry:
    """The entry to be sized."""

    price_paise: int  # the limit it would be sent at; above 0
    stop_bps: int  # how far against us it leaves; the whole price band for an entry without a stop
    horizon_s: int  # how long it is held at most
    minute_move_milli_bps: int  # usual move of a minute, thousandths of a bps; 0: not known


@dataclass(frozen=True)
class Parameter:
    """One whole number a method takes: `low <= value <= high`. `default` None: it must be given."""

    default: int | None
    low: int
    high: int
    meaning: str


class SizingMethod(Protocol):
    """Made with its settled parameters; deterministic and without state."""

    parameters: ClassVar[Mapping[str, Parameter]]

    def __init__(self, settled: Mapping[str, int]) -> None: ...

    def shares(self, entry: Entry) -> int:
        """How many shares it would like, 0 for none. What may be sent is not its business: see `fit`."""
        ...


def settle(method: str, declared: Mapping[str, Parameter], given: Mapping[str, int]) -> dict[str, int]:
    """Defaults with `given` on top.

    Raises:
        ValueError: a name that is not declared (with the nearest one), one that is missing, or a value
            outside its bounds.
    """
    for name, value in given.items():
        where = f"risk.sizing.parameters.{name}"
        if name not in declared:
            near = difflib.get_close_matches(name, declared, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"{method} takes {', '.join(declared)}"
            raise ValueError(f"{where}: {method} has no such parameter; {hint}")
        bounds = declared[name]
        if not bounds.low <= value <= bounds.high:
            raise ValueError(f"{where}: {value} is outside {bounds.low}..{bounds.high} ({bounds.meaning})")
    settled = {name: given.get(name, parameter.default) for name, parameter in declared.items()}
    missing = next((name for name, value in settled.items() if value is None), "")
    if missing:
        raise ValueError(f"risk.sizing.parameters.{missing}: {method} needs it ({declared[missing].meaning})")
    return {name: value for name, value in settled.items() if value is not None}
