"""The key that signs seals: Ed25519, its place told by a URL; and the public keys to hold seals against.

The private key is 32 bytes in base64. The public ones lie in `<home>/seals/public-key.pem`, one PEM block
for each key ever used here, so that a key may be changed and earlier seals still hold.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra import key_urls
from infra.key_urls import NoSecretError, SecretError
from kitepilot.audit.seals import Seal
from kitepilot.config import Config

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_VARIABLE = "KITEPILOT_SEAL_KEY"
KEYRING = "keyring:kitepilot/seal"
SEALS = "seals"
PUBLIC_KEYS = "public-key.pem"
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----\n?", re.DOTALL)


def key_url(config: Config, home: Path) -> str:
    """Where the key lies: as configured, else the environment, else a file (paper) or the keyring (live)."""
    if config.audit.key_url:
        return config.audit.key_url
    if os.environ.get(KEY_VARIABLE):
        return f"env:{KEY_VARIABLE}"
    return KEYRING if config.mode == "live" else (home.absolute() / SEALS / "paper.key").as_uri()


@dataclass(frozen=True)
class SealKey:
    """Signs. `public` is the 32 bytes to check with."""

    private: Ed25519PrivateKey
    public: bytes

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


def open_key(config: Config, home: Path, *, make: bool | None = None) -> SealKey:
    """The key of this home. On paper it is made at first use, live only by `kitepilot audit key`.

    Raises:
        SecretError: there is none, or it is not one.
    """
    url = key_url(config, home)
    if make if make is not None else config.mode == "paper":
        return _key(key_urls.read_or_make(url, _fresh), url)
    try:
        return _key(key_urls.read(url), url)
    except NoSecretError as err:
        raise SecretError(
            f"no key to seal the audit with ({err}): make one with `kitepilot audit key --make`"
        ) from err


def _fresh() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def _key(text: str, url: str) -> SealKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as err:
        raise SecretError(f"the key at {url} is not 32 bytes in base64") from err
    return SealKey(private, private.public_key().public_bytes_raw())


def pem(public: bytes) -> bytes:
    """A public key as OpenSSL reads it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public_keys(path: Path) -> frozenset[bytes]:
    """The raw public keys of a PEM file.

    Raises:
        SecretError: no such file, or no Ed25519 public key in it.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        blocks = _PEM.findall(path.read_bytes())
    except OSError as err:
        raise SecretError(f"{path} cannot be read: {err.strerror}") from err
    found = set()
    for block in blocks:
        try:
            key = load_pem_public_key(block)
        except ValueError as err:
            raise SecretError(f"{path} holds a damaged key: {err}") from err
        if isinstance(key, Ed25519PublicKey):
            found.add(key.public_bytes_raw())
    if not found:
        raise SecretError(f"{path} holds no Ed25519 public key in PEM form")
    return frozenset(found)


def note_public_key(home: Path, public: bytes) -> Path:
    """Have `public` among the home's public keys; returns their file."""
    path = home / SEALS / PUBLIC_KEYS
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = path.read_bytes() if path.exists() else b""
    if pem(public) not in known:
        fresh = path.with_suffix(".new")
        fresh.write_bytes(known + pem(public))
        fresh.replace(path)
    return path


def signature_trouble(seal: Seal, known: frozenset[bytes]) -> str:
    """ "" for a seal signed with a known key, else what is wrong with it."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        public, signature = bytes.fromhex(seal.public_key), bytes.fromhex(seal.signature)
        if public not in known:
            return (
                f"signed with the key {seal.public_key[:16]}..., which is none of the {len(known)} known here"
            )
        Ed25519PublicKey.from_public_bytes(public).verify(signature, seal.signed)
    except InvalidSignature:
        return "its signature does not fit what it says"
    except ValueError as err:
        return f"its key or signature is damaged: {err}"
    return ""
