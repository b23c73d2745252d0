"""Which features, computed by which code: one hash for model cards and for the leak gate."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from kitepilot.kernels import layout


def features_hash(names: Sequence[str]) -> str:
    """SHA-256 over the names, in their order, and the source of the kernels that compute them."""
    return hashlib.sha256("\0".join((*names, layout.source_digest())).encode()).hexdigest()
