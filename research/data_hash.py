"""Which bars: one hash for model cards and for the leak gate."""

from __future__ import annotations

import hashlib

from research.bars import BarSource


def data_hash(source: BarSource) -> str:
    """SHA-256 over the source's name: a dataset's has its rows' hash and its basis in it, a generator's its
    seed and size."""
    return hashlib.sha256(source.name.encode()).hexdigest()
