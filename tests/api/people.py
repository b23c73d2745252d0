"""People of a test: known to a real book of record, with an authenticator that the test holds."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import pyotp
import sqlalchemy as sa
from litestar import Litestar
from litestar.testing import TestClient
from served import CHEAP, TEST_HOST

from api.identity.desk import Identity
from api.identity.one_time_codes import new_recovery_codes, new_secret, recovery_hash
from api.identity.passwords import Passwords
from infra.postgres import accounts
from infra.postgres.accounts import User

PASSWORD = "a long walk by the sea"
ORIGIN = f"http://{TEST_HOST}"
SECOND = 1_000_000_000


@dataclass
class Clock:
    """The machine's clock of a test; it moves when the test says so."""

    at: int = 1_795_150_800_000_000_000

    def __call__(self) -> int:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += int(seconds * SECOND)


@dataclass
class Person:
    """Somebody, and the phone in his pocket."""

    email: str
    secret: str
    codes: list[str]
    clock: Clock
    user_id: str
    password: str = PASSWORD
    used: set[str] = field(default_factory=set)

    def code(self) -> str:
        """The authenticator's code of now."""
        return pyotp.TOTP(self.secret).at(self.clock.at // SECOND)

    def fresh_code(self) -> str:
        """A code that was not used: time passes if it must."""
        while (code := self.code()) in self.used:
            self.clock.pass_s(30)
        self.used.add(code)
        return code

    def form(self, **other: str) -> dict[str, str]:
        return {"email": self.email, "password": self.password, "totp": self.fresh_code(), **other}


def enrol(identity: Identity, engine: sa.Engine, role: str, clock: Clock) -> Person:
    """A new person of that role."""
    secret, codes = new_secret(), new_recovery_codes()
    email = f"{role}-{secrets.token_hex(4)}@example.test"
    user = User(
        user_id=secrets.token_hex(8),
        email=email,
        role=role,
        password_hash=Passwords(CHEAP).hash(PASSWORD),
        totp_secret=identity.key.seal(secret),
        totp_step=0,
        disabled=False,
    )
    with engine.begin() as db:
        accounts.add(db, user, map(recovery_hash, codes))
    return Person(email, secret, codes, clock, user.user_id)


def sign_in(client: TestClient[Litestar], person: Person, **other: str) -> TestClient[Litestar]:
    """`client`, signed in: the cookie in its jar, the token against forged requests in its headers."""
    reply = client.post("/api/v1/session", json=person.form(**other), headers={"origin": ORIGIN})
    assert reply.status_code == 201, reply.text
    client.headers["x-csrf-token"] = reply.json()["csrf_token"]
    client.headers["origin"] = ORIGIN
    return client
