"""The second factor: time-based codes (RFC 6238), each step once, and recovery codes, each of them once."""

from __future__ import annotations

import hashlib
import hmac
import secrets

import pyotp

ISSUER = "KitePilot"
STEP_S = 30
TOLERATED_STEPS = 1  # the clock of a phone may be this far away
RECOVERY_CODES = 10
_ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ0123456789"  # without I, L, O, U: nothing that is mistaken when read
_GROUPS, _GROUP = 4, 4  # 80 bits


def new_secret() -> str:
    """160 bits in base32, as authenticator apps take them."""
    return pyotp.random_base32()


def provisioning_uri(secret: str, email: str) -> str:
    """What the QR code says. It holds the secret."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def step_of(secret: str, code: str, now: int) -> int | None:
    """The step whose code it is, one around `now` (ns UTC); None where it is none of theirs.

    All of them are compared, whichever fits. Whether the step was used before is not known here.
    """
    totp, present, found = pyotp.TOTP(secret), now // 1_000_000_000 // STEP_S, None
    for step in range(present - TOLERATED_STEPS, present + TOLERATED_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode()):
            found = step
    return found


def new_recovery_codes() -> list[str]:
    """Ten codes of 80 random bits, such as 7Q2M-..., to be shown once."""
    return [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
        for _ in range(RECOVERY_CODES)
    ]


def recovery_hash(code: str) -> bytes:
    """As it is kept: 80 random bits need no slow hash. Case, dashes and spaces do not count."""
    plain = "".join(each for each in code.upper() if each.isalnum())
    return hashlib.sha256(b"kitepilot-recovery-1" + plain.encode()).digest()
