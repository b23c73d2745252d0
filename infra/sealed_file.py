"""A small file that only the holder of a key can read: Fernet (AES-128-CBC with HMAC-SHA256), mode 0600.

The key is 32 bytes in URL-safe base64, as `cryptography` makes them; where it lies is told by a URL.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from infra import key_urls
from infra.key_urls import SecretError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class SealBrokenError(SecretError):
    """The file was not sealed with this key, or its bytes are damaged."""


def ensure_key(key_url: str) -> Fernet:
    """The key at `key_url`, made where that place may keep one and has none.

    Raises:
        SecretError: no key, or not of the right form.
    """
    from cryptography.fernet import Fernet

    return _fernet(key_urls.read_or_make(key_url, lambda: Fernet.generate_key().decode()), key_url)


def seal(path: Path, plain: bytes, key_url: str) -> None:
    """Replace `path` in one step by `plain`, sealed.

    Raises:
        SecretError: as `ensure_key`. OSError: the file cannot be written.
    """
    sealed = ensure_key(key_url).encrypt(plain)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(sealed)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def unseal(path: Path, key_url: str) -> bytes:
    """What `seal` was given.

    Raises:
        SealBrokenError: another key, or damaged. SecretError: no key. OSError: no such file.
    """
    from cryptography.fernet import InvalidToken

    sealed = path.read_bytes()
    try:
        return _fernet(key_urls.read(key_url), key_url).decrypt(sealed)
    except InvalidToken as err:
        raise SealBrokenError(f"{path} is damaged, or was sealed with another key than {key_url}") from err


def _fernet(key: str, key_url: str) -> Fernet:
    from cryptography.fernet import Fernet

    try:
        return Fernet(key)
    except ValueError as err:
        raise SecretError(
            f"the key at {key_url} is not 32 bytes in URL-safe base64; make one with "
            '`python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"`'
        ) from err
