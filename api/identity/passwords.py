"""Passwords: argon2id, at most two at a time, and the same work whether the account exists or not."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from anyio import CapacityLimiter, to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256
DISTINCT = 5  # characters
AT_ONCE = 2  # hashes; each takes `memory_kib`


@dataclass(frozen=True)
class PasswordCost:
    """RFC 9106, section 4, second recommended option (read 2026-11-22): 64 MiB, 3 passes, 4 lanes."""

    passes: int = 3
    memory_kib: int = 65_536
    lanes: int = 4


class PasswordError(ValueError):
    """The password will not do; says why."""


class Passwords:
    """Hashes and compares. The asynchronous forms leave the event loop free and bound the memory."""

    def __init__(self, cost: PasswordCost | None = None) -> None:
        cost = cost or PasswordCost()
        self._hasher = PasswordHasher(cost.passes, cost.memory_kib, cost.lanes)
        self._nobodys = self._hasher.hash(secrets.token_urlsafe(24))
        self._turns = CapacityLimiter(AT_ONCE)

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._turns.statistics().tasks_waiting

    def hash(self, password: str) -> str:
        """In PHC form, salt and cost included."""
        return self._hasher.hash(password)

    async def fits(self, kept: str | None, password: str) -> bool:
        """Whether it is the one; for nobody (`kept` None) the same work is done, and the answer is no."""
        fits = await to_thread.run_sync(self._fits, kept or self._nobodys, password, limiter=self._turns)
        return fits and kept is not None

    async def rehashed(self, kept: str, password: str) -> str | None:
        """A new hash where `kept` was made at another cost."""
        if not self._hasher.check_needs_rehash(kept):
            return None
        return await to_thread.run_sync(self._hasher.hash, password, limiter=self._turns)

    def _fits(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False


def require_strong(password: str, email: str) -> None:
    """Length is what counts (NIST SP 800-63B, 5.1.1.2, read 2026-11-22). Raises `PasswordError`."""
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise PasswordError(f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters")
    if len(set(password)) < DISTINCT:
        raise PasswordError(f"a password has at least {DISTINCT} different characters")
    name = email.partition("@")[0].lower()
    if len(name) >= 4 and name in password.lower():
        raise PasswordError("a password does not hold the name in the e-mail address")
