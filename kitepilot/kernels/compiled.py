"""`@kernel`: numba's ahead-cached compilation with the one set of options all kernels share.

No fast-math and no threads: the order of every floating-point operation is the order written, so a kernel
gives the same bits for the same input wherever IEEE 754 holds (only + - * / and sqrt are used).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, ParamSpec, TypeVar

import numba

from kitepilot.kernels import layout

P = ParamSpec("P")
R = TypeVar("R")
_OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}


@cache
def _digest() -> str:
    return layout.source_digest()


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile on first call, load from the disk cache afterwards.

    Without reference counts (`_nrt`, numba's own name): the kernels allocate nothing, and counting references
    at every inner call made them 4.5 times slower. A kernel that allocates fails to compile.

    numba notices a change of the one file a function stands in. Our kernels share constants and call each
    other across files, so the cache is stamped with a digest of the whole package instead.
    """
    dispatcher: Any = numba.njit(**_OPTIONS)(function)
    files = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if files is not None and hasattr(files, "_source_stamp"):
        files._source_stamp = _digest()
    compiled: Callable[P, R] = dispatcher
    return compiled
