"""A new key for everything that an old one sealed; whoever dies on the way leaves keys that open all of it.

First both keys lie at the URL, the new one before the old: from then on whoever seals does it with the new
one, and whoever opens, opens with both. Then what the old key sealed is sealed anew, a shelf at a time. When
nothing needs the old key any more it goes. A rotation that was cut off is gone on with by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from infra import key_urls, replaced_file, sealed_file
from infra.key_urls import SecretError
from infra.postgres import accounts


class Shelf(Protocol):
    """Where sealed things lie."""

    def sealed(self) -> Mapping[str, bytes]:
        """What lies there, each by a name for a person."""

    def reseal(self, anew: Callable[[bytes], bytes]) -> None:
        """Put `anew` of each in its place; all of a transaction, or one file whole after the other."""


@dataclass(frozen=True)
class Rotated:
    """`resealed` things have the new key, `lost` ones no key opens. `old_key_gone`: it could be removed."""

    resealed: int
    lost: tuple[str, ...]
    old_key_gone: bool


def rotate(url: str, shelves: Sequence[Shelf], reached: Callable[[str], None] = lambda _: None) -> Rotated:
    """Give everything on `shelves` a new key at `url`. `reached` hears of each step that is done.

    Raises:
        SecretError: no key, a place that only the owner can write, or something was sealed meanwhile.
        SQLAlchemyError, OSError: a shelf is out of reach. After any of them everything can be opened.
    """
    keys = key_urls.read(url).split()
    ring = sealed_file.ring(" ".join(keys), url)
    if len(keys) == 1:
        keys = [_new(url), *keys]
        key_urls.replace(url, " ".join(keys))
        ring = sealed_file.ring(" ".join(keys), url)
    reached("both keys are kept")
    for shelf in shelves:
        shelf.reseal(lambda sealed: _anew(ring, sealed))
        reached("a shelf is sealed anew")
    count, lost = _looked_at(shelves, Fernet(keys[0]), ring)
    reached("everything was opened with the new key")
    if key_urls.keeps(url):
        key_urls.replace(url, keys[0])
        reached("the old key is gone")
    return Rotated(count, lost, key_urls.keeps(url))


def _new(url: str) -> str:
    if not key_urls.keeps(url):
        raise SecretError(
            f"{url} can only be read from here: put a new key there yourself, before the present one and a "
            f"space between, and say it again; make one with `{sealed_file.HOW_TO_MAKE_ONE}`"
        )
    return Fernet.generate_key().decode()


def _anew(ring: MultiFernet, sealed: bytes) -> bytes:
    try:
        return ring.rotate(sealed)
    except InvalidToken:
        return sealed  # nobody could open it before either: told at the end


def _looked_at(shelves: Sequence[Shelf], newest: Fernet, ring: MultiFernet) -> tuple[int, tuple[str, ...]]:
    """How many things the newest key opens, and what no key does, as they lie there now."""
    count, lost = 0, []
    for name, sealed in (each for shelf in shelves for each in shelf.sealed().items()):
        if _opens(newest, sealed):
            count += 1
        elif _opens(ring, sealed):
            raise SecretError(f"{name} was sealed with the old key meanwhile: say it again")
        else:
            lost.append(name)
    return count, tuple(lost)


def _opens(key: Fernet | MultiFernet, sealed: bytes) -> bool:
    try:
        key.decrypt(sealed)
    except InvalidToken:
        return False
    return True


@dataclass(frozen=True)
class Files:
    """Sealed files; those that are not there are nothing."""

    paths: tuple[Path, ...]

    def sealed(self) -> Mapping[str, bytes]:
        return {str(path): path.read_bytes() for path in self.paths if path.exists()}

    def reseal(self, anew: Callable[[bytes], bytes]) -> None:
        for path in self.paths:
            if path.exists():
                replaced_file.replace(path, anew(path.read_bytes()))


@dataclass(frozen=True)
class OneTimeSecrets:
    """The second factors of people, in the book of record; in one transaction."""

    engine: sa.Engine

    def sealed(self) -> Mapping[str, bytes]:
        with self.engine.begin() as db:
            return {
                f"the one-time secret of {user.email}": user.totp_secret for user in accounts.everyone(db)
            }

    def reseal(self, anew: Callable[[bytes], bytes]) -> None:
        with self.engine.begin() as db:
            accounts.in_turn(db)
            for user in accounts.everyone(db):
                accounts.reseal(db, user.user_id, anew(user.totp_secret))
