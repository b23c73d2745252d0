"""A profile's words on sizing -> the method, made and kept."""

from __future__ import annotations

import difflib
from functools import lru_cache
from importlib.metadata import entry_points

from kitepilot.events import Sizing
from kitepilot.risk.sizing.methods import METHODS
from kitepilot.risk.sizing.port import SizingMethod, settle

GROUP = "kitepilot.sizing"


class SizingError(ValueError):
    """The method or a parameter of it cannot be used; names it and what there is."""


def method_of(sizing: Sizing) -> SizingMethod:
    """The method with its parameters.

    Raises:
        SizingError: no such method, or a parameter it refuses.
    """
    return _made(sizing.method, tuple(sorted(sizing.parameters.items())))


def flaw(sizing: Sizing) -> str:
    """Why it cannot be used; empty when it can."""
    try:
        method_of(sizing)
    except SizingError as err:
        return str(err)
    return ""


@lru_cache(maxsize=64)
def _made(name: str, parameters: tuple[tuple[str, int], ...]) -> SizingMethod:
    method = METHODS.get(name) or _installed(name)
    try:
        return method(settle(name, method.parameters, dict(parameters)))
    except ValueError as err:
        raise SizingError(str(err)) from err


def _installed(name: str) -> type[SizingMethod]:
    """A user's own."""
    known = {point.name: point for point in entry_points(group=GROUP)}
    if name not in known:
        names = [*METHODS, *known]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(names)}"
        raise SizingError(f"risk.sizing.method: no method {name!r}; {hint}")
    try:
        found: type[SizingMethod] = known[name].load()
    except (ImportError, AttributeError) as err:
        raise SizingError(f"risk.sizing.method: {name!r} cannot be imported: {err}") from err
    return found
