"""E-mail, password and one-time code -> a session; or one answer, whatever was wrong, after the same work."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pyotp

from api.identity.accounts import Accounts, AccountsAwayError
from api.identity.deeds import Deeds
from api.identity.one_time_codes import recovery_hash, step_of
from api.identity.passwords import Passwords
from api.identity.principal import Principal
from api.identity.sessions import Sessions
from api.identity.throttle import Bound, Throttle
from api.problems import Problem
from infra.key_urls import SecretError
from infra.postgres import accounts as people
from infra.postgres.accounts import User
from infra.postgres.sign_ins import SessionRow
from infra.sign_in_key import SignInKey
from kitepilot.audit.acts import SIGN_IN_REFUSED, SIGNED_IN, STEP_UP_REFUSED, STEPPED_UP

BY_PAIR = Bound(free=5)  # of an account from one address
BY_ADDRESS = Bound(free=30)
BY_ACCOUNT = Bound(
    free=50, longest_lock_s=300
)  # from anywhere: strangers shut the owner out for minutes only
BY_CODE = Bound(free=5)
MOST_WAITING = 16  # for the password's hash
REMEMBERED = 1_000  # persons with the addresses they came in from


@dataclass(frozen=True)
class Given:
    """What was typed. Its text form shows no secret."""

    email: str
    password: str
    totp: str = ""
    recovery_code: str = ""

    def __repr__(self) -> str:
        return f"Given({self.email})"


@dataclass(frozen=True)
class Peer:
    """Where it was typed."""

    address: str
    agent: str


class SignInDesk:
    """Of one home. `now`: machine clock, ns UTC."""

    def __init__(
        self,
        accounts: Accounts,
        passwords: Passwords,
        sessions: Sessions,
        key: SignInKey,
        deeds: Deeds,
        now: Callable[[], int],
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._sessions = sessions
        self._key = key
        self._deeds = deeds
        self._now = now
        self._throttles = {
            "pair": Throttle(BY_PAIR),
            "address": Throttle(BY_ADDRESS),
            "account": Throttle(BY_ACCOUNT),
        }
        self._codes = Throttle(BY_CODE)
        self._came_from: OrderedDict[str, None] = OrderedDict()
        self._nobodys_secret = pyotp.random_base32()

    async def sign_in(self, given: Given, peer: Peer) -> tuple[str, SessionRow]:
        """The secret for the cookie, and the session.

        Raises:
            Problem: sign_in_refused whatever was wrong; too_many_requests; record_unreachable.
        """
        email = given.email.strip().lower()
        keys = self._keys(email, peer)
        await self._require_patience(keys, email, peer)
        try:
            user, code = await self._proven(email, given)
            if user is None:
                await self._deeds.record(SIGN_IN_REFUSED, email, "", peer.address, why="not right")
                raise Problem("sign_in_refused", "The e-mail address, the password or the code is not right.")
            secret, row = await self._sessions.begin(user, peer.address, peer.agent, fresh=code == "totp")
        except AccountsAwayError as err:
            for name, key in keys.items():
                self._throttles[name].took_back(key)
            raise unreachable() from err
        self._throttles["pair"].succeeded(keys["pair"])
        if "account" in keys:
            self._throttles["account"].succeeded(keys["account"])
        self._remember(keys["pair"])
        self._throttles["address"].took_back(keys["address"])
        await self._deeds.record(SIGNED_IN, email, email, peer.address, session=row.session_id, code=code)
        return secret, row

    async def step_up(self, principal: Principal, secret: str, totp: str, peer: Peer) -> str:
        """The session's new secret, once the code is right.

        Raises:
            Problem: code_refused, too_many_requests, record_unreachable.
        """
        if wait := self._codes.wait_s(principal.id, self._now()):
            raise _wait(wait)
        self._codes.attempt(principal.id, self._now())
        try:
            user = await self._accounts(partial(people.by_id, user_id=principal.id))
            good = user is not None and await self._take_totp(user, totp)
            new = await self._sessions.step_up(secret) if good else None
        except AccountsAwayError as err:
            self._codes.took_back(principal.id)
            raise unreachable() from err
        about, by = principal.session, principal.name
        if new is None:
            await self._deeds.record(STEP_UP_REFUSED, about, by, peer.address)
            raise Problem(
                "code_refused", "The code is not right, or it was used before: wait for the next one."
            )
        self._codes.succeeded(principal.id)
        await self._deeds.record(STEPPED_UP, about, by, peer.address)
        return new

    def _keys(self, email: str, peer: Peer) -> dict[str, str]:
        """What this attempt counts for. Where he came in from before, a person has a count of his own, which
        nobody elsewhere uses up: strangers who guess without end do not shut him out.
        """
        pair = f"{email} {peer.address}"
        keys = {"pair": pair, "address": peer.address}
        return keys if pair in self._came_from else {**keys, "account": email}

    def _remember(self, pair: str) -> None:
        self._came_from[pair] = None
        self._came_from.move_to_end(pair)
        if len(self._came_from) > REMEMBERED:
            self._came_from.popitem(last=False)

    async def _require_patience(self, keys: dict[str, str], email: str, peer: Peer) -> None:
        now = self._now()
        waits = {name: self._throttles[name].wait_s(key, now) for name, key in keys.items()}
        if any(waits.values()):
            raise _wait(max(waits.values()))
        if self._passwords.waiting > MOST_WAITING:
            raise _wait(1)
        for name, key in keys.items():
            self._throttles[name].attempt(key, now)
        for name, key in keys.items():
            if locked := self._throttles[name].wait_s(key, now):
                await self._deeds.record(
                    SIGN_IN_REFUSED,
                    email,
                    "",
                    peer.address,
                    why=f"locked by {name} after this one",
                    for_s=locked,
                )

    async def _proven(self, email: str, given: Given) -> tuple[User | None, str]:
        """The person, and by which second factor; the same steps for nobody."""
        found = await self._accounts(partial(people.by_email, email=email))
        user = None if found is None or found.disabled else found
        fits = await self._passwords.fits(user.password_hash if user else None, given.password)
        if given.recovery_code:
            return await self._by_recovery_code(user if fits else None, given.recovery_code), "recovery"
        good = await self._take_totp(user if fits else None, given.totp)
        if not good or user is None:
            return None, ""
        if better := await self._passwords.rehashed(user.password_hash, given.password):
            await self._accounts(partial(people.rehash, user_id=user.user_id, password_hash=better))
        return user, "totp"

    async def _by_recovery_code(self, user: User | None, code: str) -> User | None:
        whose = user.user_id if user else ""
        taken = await self._accounts(
            partial(people.take_recovery_code, user_id=whose, code_hash=recovery_hash(code))
        )
        return user if taken else None

    async def _take_totp(self, user: User | None, code: str) -> bool:
        """Once per step; for nobody the same work, and no."""
        try:
            secret = self._key.unseal(user.totp_secret) if user else self._nobodys_secret
        except SecretError as err:
            raise Problem(
                "unavailable", "The key to the one-time codes is another one: see the API's log."
            ) from err
        step = step_of(secret, code.replace(" ", ""), self._now())
        whose = user.user_id if user and step is not None else ""
        return await self._accounts(partial(people.take_step, user_id=whose, step=step or 0))


def unreachable() -> Problem:
    return Problem(
        "record_unreachable",
        "PostgreSQL does not answer, so nobody can sign in; `kitepilot halt` and `kitepilot flatten` work.",
    )


def _wait(seconds: int) -> Problem:
    return Problem("too_many_requests", f"Try again in {seconds} s.", headers={"Retry-After": str(seconds)})
