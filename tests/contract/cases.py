"""The numbered promises: which drivers show each, and the table that the reference prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

DRIVERS = ("KitePilot", "stock")
REST_ONLY = "not part of the broker port"


@dataclass(frozen=True)
class Case:
    """One promise. `only` names the one driver that can show it, `why` what hinders the other."""

    number: int
    promise: str
    reads: bool
    only: str
    why: str

    @property
    def name(self) -> str:
        return f"TC-{self.number:02d}"


CASES: dict[int, Case] = {}


def case(
    number: int, promise: str, *, reads: bool = False, only: str = "", why: str = ""
) -> Callable[[Callable[..., Any]], Any]:
    """Number a test and run it once per driver. `reads`: safe on a real account as well."""
    if number in CASES:
        raise ValueError(f"TC-{number:02d} is taken: {CASES[number].promise}")
    CASES[number] = one = Case(number, promise, reads, only, why)
    drivers = [pytest.param(d, id=f"{one.name}-{d}") for d in DRIVERS if only in ("", d)]

    def numbered(test: Callable[..., Any]) -> Any:
        marked = pytest.mark.contract(one)(test)
        return pytest.mark.parametrize("driver", drivers, indirect=True)(marked)

    return numbered


def table() -> str:
    """The rows of docs/reference/contract.md."""
    lines = ["| case | promise | KitePilot | stock client | real account |", "|---|---|---|---|---|"]
    for _, one in sorted(CASES.items()):
        shown = ["yes" if one.only in ("", driver) else f"no: {one.why}" for driver in DRIVERS]
        cells = [one.name, one.promise, *shown, "yes" if one.reads else ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
