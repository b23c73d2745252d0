"""Text -> the same without secrets: those this process has read, and whatever is written as one.

`key_urls.read` notes every secret it hands out, so what a process knows it never writes. The patterns are for
what it was told and has not read itself: headers, query strings, addresses with a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
LEAST = 6  # shorter ones are words of any text
LEAST_OF_A_PIECE = 12  # a token in an address, not its host's first word
MOST = 1_000
NAMES = (
    "access_token|request_token|refresh_token|public_token|enctoken|api_secret|client_secret|checksum"
    "|password|passwd|secret|authorization|cookie|totp|recovery_code|dsn"
)
OF_ENVIRONMENT = re.compile(r"^KITEPILOT_\w*(SECRET|PASSWORD|TOKEN|KEY)$")
_WRITTEN = (
    re.compile(r"(?i)\b(authorization\W{1,4}(?:token|bearer|basic)\s+)[^\s\"',}]+"),
    re.compile(r"(?i)\b(bearer\s+)[\w\-.~+/]{8,}=*"),
    re.compile(r"(://[^\s/:@\"']*:)[^\s/@\"']+(?=@)"),
    re.compile(rf"(?i)((?:\b|_)(?:{NAMES})[\"']?\s*[=:]\s*[\"']?)(?!token\s|bearer\s|basic\s)[^\s\"'&,;}}]+"),
)
_noted: dict[str, None] = {}


def note(secret: str) -> None:
    """From now on this process does not write `secret`. Bounded; the oldest is forgotten first."""
    pieces = (piece for piece in re.split(r"[\s/:@?&=]+", secret) if len(piece) >= LEAST_OF_A_PIECE)
    for text in {secret, *pieces}:
        if len(text) >= LEAST:
            _noted.pop(text, None)
            _noted[text] = None
    while len(_noted) > MOST:
        del _noted[next(iter(_noted))]


def note_environment(environment: Mapping[str, str] = os.environ) -> None:
    """Secrets that were handed over as variables."""
    for name, value in environment.items():
        if OF_ENVIRONMENT.match(name):
            note(value)


def mask(text: str) -> str:
    """`text` with every secret as `***`."""
    for secret in sorted(_noted, key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern in _WRITTEN:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text


def masked(value: Any) -> Any:
    """The same for what is made of mappings and lists; a key that names a secret hides its value."""
    match value:
        case str():
            return mask(value)
        case Mapping():
            return {
                key: MASK if isinstance(key, str) and _names(key) else masked(each)
                for key, each in value.items()
            }
        case list() | tuple():
            return [masked(each) for each in value]
    return value


def _names(key: str) -> bool:
    return re.search(rf"(?i)(?:^|_|-)(?:{NAMES})$", key) is not None
