"""`kernel`: numba's ahead-cached compilation for the compiled desk, stamped with all its sources.

numba notices a change of the one file a function stands in; these call each other across files and fill by
the functions of `research.fills`, so the cache is stamped with a digest of both packages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")
PACKAGES = ("research.sweep", "research.fills")
# As the core's kernels: no fast-math, no threads, and no reference counts, for nothing here allocates.
OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy", "nogil": True, "_nrt": False}


@cache
def _digest() -> str:
    digest = hashlib.sha256()
    for package in PACKAGES:
        for entry in sorted(resources.files(package).iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".py"):
                digest.update(entry.read_bytes())
    return digest.hexdigest()


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile on first call, load from the disk cache afterwards."""
    dispatcher: Any = numba.njit(**OPTIONS)(function)
    files = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if files is not None and hasattr(files, "_source_stamp"):
        files._source_stamp = _digest()
    compiled: Callable[P, R] = dispatcher
    return compiled
