"""One key per use, from the signing key of this home."""

from __future__ import annotations

import hashlib
import hmac


def token_key(signing: bytes) -> bytes:
    """What programs' tokens are signed with."""
    return _derived(signing, b"token")


def csrf_key(signing: bytes) -> bytes:
    """What the tokens against forged requests are made with."""
    return _derived(signing, b"csrf")


def _derived(key: bytes, use: bytes) -> bytes:
    return hmac.new(key, b"kitepilot-" + use, hashlib.sha256).digest()
