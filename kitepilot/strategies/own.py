"""The owner's own strategies: a file of Python in, a strategy class out.

A file `my_idea.py` holds one class in the shape of `kitepilot.strategies.port.Strategy` and is called by its
file name. Its text becomes part of the run's configuration when the run is created, so what traded is in the
record whatever becomes of the file.
"""

from __future__ import annotations

import hashlib
import re
import sys
import traceback
from types import ModuleType
from typing import Any

from kitepilot.strategies.port import Strategy

MAX_BYTES = 65_536
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


class OwnStrategyError(ValueError):
    """A file that is not a strategy; the text says which line, why, and what to do."""


def named(name: str) -> bool:
    """Whether a strategy may be called so: small letters, digits and underscores."""
    return _NAME.fullmatch(name) is not None


def digest(source: str) -> str:
    """SHA-256 of the text, 16 hex digits: what a record calls this version by."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def strategy_class(name: str, source: str) -> type[Strategy]:
    """Run `source` and return the one strategy class that it defines.

    Raises:
        OwnStrategyError: it is too long, does not compile, raises, or has none or several such classes.
    """
    if len(source.encode()) > MAX_BYTES:
        raise OwnStrategyError(f"strategies/{name}.py has more than {MAX_BYTES} bytes")
    module = _run(name, source)
    found = [each for each in vars(module).values() if _is_strategy(each, module.__name__)]
    if len(found) != 1:
        names = ", ".join(each.__name__ for each in found) or "none"
        raise OwnStrategyError(
            f"strategies/{name}.py must define one class with on_close, snapshot and restore; found: {names}"
        )
    chosen: type[Strategy] = found[0]
    return chosen


def _is_strategy(found: Any, module: str) -> bool:
    shape = ("on_close", "snapshot", "restore", "interval_s")
    own = isinstance(found, type) and found.__module__ == module
    return own and all(hasattr(found, each) for each in shape)


def _run(name: str, source: str) -> ModuleType:
    place = f"strategies/{name}.py"
    module = ModuleType(f"kitepilot_own_{name}_{digest(source)}")
    sys.modules[module.__name__] = module  # dataclasses look their module up by name
    try:
        exec(compile(source, place, "exec"), module.__dict__)  # noqa: S102 - running it is what it is for
    except SyntaxError as err:
        raise OwnStrategyError(f"{place} line {err.lineno}: {err.msg}") from err
    except (Exception, SystemExit) as err:
        raise OwnStrategyError(f"{place} line {line_of(err, place)}: {type(err).__name__}: {err}") from err
    return module


def line_of(err: BaseException, place: str) -> int:
    """The last line of `place` that `err` came through; 0 when it did not."""
    lines = [
        frame.lineno or 0 for frame in traceback.extract_tb(err.__traceback__) if frame.filename == place
    ]
    return lines[-1] if lines else 0
