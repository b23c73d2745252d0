"""The key that sign-in's own secrets are sealed with, and the key that signs programs' tokens.

One-time secrets lie in PostgreSQL sealed with Fernet; the signing key lies in the home, sealed the same way
in `sign-in/token-signing.sealed`. Where the Fernet key lies is told by a URL, as for every other secret.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from infra import sealed_file
from infra.key_urls import SecretError
from kitepilot.config import Config

KEY_VARIABLE = "KITEPILOT_SIGN_IN_KEY"
KEYRING = "keyring:kitepilot/sign-in"
FOLDER = "sign-in"
SIGNING_KEY = "token-signing.sealed"
SIGNING_BYTES = 64


def key_url(config: Config, home: Path) -> str:
    """Where the key lies: as configured, else the environment, else a file (paper) or the keyring (live)."""
    if config.api.key_url:
        return config.api.key_url
    if os.environ.get(KEY_VARIABLE):
        return f"env:{KEY_VARIABLE}"
    return KEYRING if config.mode == "live" else (home.absolute() / FOLDER / "paper.key").as_uri()


class SignInKey:
    """Seals and opens; its text form shows nothing."""

    def __init__(self, url: str) -> None:
        """Raises `SecretError`: no key, or not of the right form."""
        self._ring = sealed_file.ensure_key(url)
        self._url = url

    def __repr__(self) -> str:
        return "SignInKey(...)"

    def seal(self, plain: str) -> bytes:
        return self._ring.encrypt(plain.encode())

    def unseal(self, sealed: bytes) -> str:
        """Raises `SecretError`: damaged, or sealed with another key than the one that lies there now."""
        from cryptography.fernet import InvalidToken

        try:
            return self._ring.decrypt(sealed).decode()
        except InvalidToken:
            self._ring = sealed_file.kept_key(self._url)  # changed since it was read, perhaps
        try:
            return self._ring.decrypt(sealed).decode()
        except InvalidToken as err:
            raise SecretError(
                f"a one-time secret was sealed with another key than {self._url}: "
                "`kitepilot users reset` makes a new one"
            ) from err

    def signing_key(self, home: Path) -> bytes:
        """64 random bytes of this home, made at first use. Raises `SecretError` or OSError."""
        path = home / FOLDER / SIGNING_KEY
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            sealed_file.seal(path, secrets.token_bytes(SIGNING_BYTES), self._url)
        return sealed_file.unseal(path, self._url)
