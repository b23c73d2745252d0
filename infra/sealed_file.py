"""A small file that only the holder of a key can read: Fernet (AES-128-CBC with HMAC-SHA256), mode 0600.

The key is 32 bytes in URL-safe base64, as `cryptography` makes them; where it lies is told by a URL. While a
key is being changed (`infra.key_rotation`) two lie there, white space between: the first seals, both open.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infra import key_urls, replaced_file
from infra.key_urls import SecretError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


HOW_TO_MAKE_ONE = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


class SealBrokenError(SecretError):
    """The file was not sealed with this key, or its bytes are damaged."""


def ensure_key(key_url: str) -> MultiFernet:
    """The key at `key_url`, made where that place may keep one and has none.

    Raises:
        SecretError: no key, or not of the right form.
    """
    from cryptography.fernet import Fernet

    return ring(key_urls.read_or_make(key_url, lambda: Fernet.generate_key().decode()), key_url)


def kept_key(key_url: str) -> MultiFernet:
    """As `ensure_key`; none is made."""
    return ring(key_urls.read(key_url), key_url)


def seal(path: Path, plain: bytes, key_url: str) -> None:
    """Replace `path` in one step by `plain`, sealed.

    Raises:
        SecretError: as `ensure_key`. OSError: the file cannot be written.
    """
    replaced_file.replace(path, ensure_key(key_url).encrypt(plain))


def unseal(path: Path, key_url: str) -> bytes:
    """What `seal` was given.

    Raises:
        SealBrokenError: another key, or damaged. SecretError: no key. OSError: no such file.
    """
    from cryptography.fernet import InvalidToken

    sealed = path.read_bytes()
    try:
        return kept_key(key_url).decrypt(sealed)
    except InvalidToken as err:
        raise SealBrokenError(f"{path} is damaged, or was sealed with another key than {key_url}") from err


def ring(text: str, key_url: str) -> MultiFernet:
    """The keys of `text`, which lay at `key_url`. Raises `SecretError`: one is not of the right form."""
    from cryptography.fernet import Fernet, MultiFernet

    try:
        return MultiFernet([Fernet(key) for key in text.split()])
    except ValueError as err:
        raise SecretError(
            f"the key at {key_url} is not 32 bytes in URL-safe base64; make one with `{HOW_TO_MAKE_ONE}`"
        ) from err
