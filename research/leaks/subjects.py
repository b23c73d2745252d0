"""What can be put on trial as a feature: the built-in ones, or any function of a session's bars.

def gap(bars):                      # SessionBars -> float64[m, n], or [m, n, F] with gap.names
    return bars.open / bars.previous_close_paise - 1
gap.warmup = 1                      # optional: minutes before the first value
gap.reach = 1                       # optional: minutes of history a value may depend on, its own included
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from research.bars import BarSource, SessionBars
from research.leaks.altered import Given

Floats = npt.NDArray[np.float64]
FeatureFunction = Callable[[SessionBars], Floats]


class SubjectError(ValueError):
    """What was given cannot be put on trial; the text says what it did."""


@dataclass(frozen=True)
class Features:
    """Features under trial.

    Attributes:
        name: of the whole, for people.
        names: F names.
        compute: consecutive sessions -> float64[m, n, F] for each of them.
        warmup: for each feature the minutes of a session before its first value; None is not stated.
        reach: for each feature how many minutes of history a value may depend on; None is not stated.
        carries: it may know earlier sessions; otherwise each session is on its own.
        exact: values are compared bit for bit, else to the last digits that summation order may change.
        hash: of names and code.
    """

    name: str
    names: tuple[str, ...]
    compute: Callable[[Sequence[SessionBars]], list[Floats]]
    warmup: tuple[int | None, ...]
    reach: tuple[int | None, ...]
    carries: bool
    exact: bool
    hash: str


def of_function(function: FeatureFunction, name: str = "", names: Sequence[str] = ()) -> Features:
    """A function of one session's bars. It says more about itself by attributes, see above."""
    called = name or getattr(function, "__name__", "feature")
    columns = tuple(names or getattr(function, "names", (called,)))

    def compute(sessions: Sequence[SessionBars]) -> list[Floats]:
        with _unwarned():
            return [_shaped(function(bars), bars, len(columns), called) for bars in sessions]

    return Features(
        name=called,
        names=columns,
        compute=compute,
        warmup=_stated(function, "warmup", len(columns)),
        reach=_stated(function, "reach", len(columns)),
        carries=False,
        exact=False,
        hash=code_digest(columns, function),
    )


def joined(parts: Sequence[Features]) -> Features:
    """Several as one; names that come twice are told apart by a number. Raises `SubjectError` for none."""
    if not parts:
        raise SubjectError("no feature was given")
    names: list[str] = []
    for part in parts:
        for name in part.names:
            again = sum(1 for known in names if known.split("#")[0] == name)
            names.append(f"{name}#{again + 1}" if again else name)

    def compute(sessions: Sequence[SessionBars]) -> list[Floats]:
        tables = [part.compute(sessions) for part in parts]
        return [np.concatenate(session, axis=2) for session in zip(*tables, strict=True)]

    return Features(
        name=", ".join(part.name for part in parts),
        names=tuple(names),
        compute=compute,
        warmup=tuple(each for part in parts for each in part.warmup),
        reach=tuple(each for part in parts for each in part.reach),
        carries=any(part.carries for part in parts),
        exact=all(part.exact for part in parts),
        hash=hashlib.sha256("".join(part.hash for part in parts).encode()).hexdigest(),
    )


def over_sessions(
    function: Callable[[Sequence[SessionBars]], list[Floats]], name: str = "", *, carries: bool = False
) -> Features:
    """A function of consecutive sessions, for what is fitted or carried across them."""
    called = name or getattr(function, "__name__", "feature")
    columns = tuple(getattr(function, "names", (called,)))

    def compute(sessions: Sequence[SessionBars]) -> list[Floats]:
        with _unwarned():
            found = function(sessions)
        return [_shaped(x, bars, len(columns), called) for bars, x in zip(sessions, found, strict=True)]

    return Features(
        name=called,
        names=columns,
        compute=compute,
        warmup=_stated(function, "warmup", len(columns)),
        reach=_stated(function, "reach", len(columns)),
        carries=carries,
        exact=False,
        hash=code_digest(columns, function),
    )


def of_rows(
    features_of: Callable[[BarSource], Iterable[tuple[SessionBars, Floats]]],
    names: Sequence[str],
    all_names: Sequence[str],
    warmup: Sequence[int | None],
    hash_of: str,
) -> Features:
    """Features as research computes them from a `BarSource`, narrowed to `names`."""
    chosen = [list(all_names).index(name) for name in names]

    def compute(sessions: Sequence[SessionBars]) -> list[Floats]:
        return [x[:, :, chosen] for _, x in features_of(Given("given", tuple(sessions)))]

    return Features(
        name="built-in features",
        names=tuple(names),
        compute=compute,
        warmup=tuple(warmup),
        reach=(None,) * len(chosen),
        carries=False,
        exact=True,
        hash=hash_of,
    )


def load(reference: str) -> Any:
    """`package.module:name` or `file.py:name` -> the thing.

    Raises:
        SubjectError: there is no such file, module or name, or it cannot be imported.
    """
    place, _, name = reference.rpartition(":")
    if not place or not name:
        raise SubjectError(f"{reference!r} names no function: write module:function or file.py:function")
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except Exception as err:
        raise SubjectError(f"{place} cannot be imported: {type(err).__name__}: {err}") from err
    found = getattr(module, name, None)
    if not callable(found):
        there = ", ".join(sorted(n for n, v in vars(module).items() if inspect.isfunction(v))) or "none"
        raise SubjectError(f"{place} has no function {name!r}; there are: {there}")
    return found


def code_digest(names: Sequence[str], function: object) -> str:
    """SHA-256 over the names and the file the function stands in (what it is called, where there is none)."""
    try:
        source = Path(inspect.getfile(inspect.unwrap(function))).read_bytes()  # type: ignore[arg-type]
    except (OSError, TypeError):
        source = repr(function).encode()
    return hashlib.sha256("\0".join(names).encode() + b"\0" + source).hexdigest()


@contextlib.contextmanager
def _unwarned() -> Iterator[None]:
    """A day cut after two minutes makes means of nothing; numpy need not say so hundreds of times."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def _from_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SubjectError("there is no such file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _stated(function: object, name: str, count: int) -> tuple[int | None, ...]:
    value = getattr(function, name, None)
    return (value,) * count if value is None or isinstance(value, int) else tuple(value)


def _shaped(values: object, bars: SessionBars, count: int, name: str) -> Floats:
    shape = bars.close.shape
    found = np.asarray(values, dtype=np.float64)
    if count == 1 and found.shape == shape:
        found = found[..., None]
    if found.shape != (*shape, count):
        wanted = shape if count == 1 else (*shape, count)
        raise SubjectError(f"{name} gives an array of shape {found.shape} for bars of {shape}, not {wanted}")
    return found.copy()
