"""Sessions of people: a random secret in a cookie, kept as a hash, changed at sign-in and at each step-up.

A session ends after half an hour in which nobody used it (`api.identity.presence`), after twelve hours, and
when it is ended. Its name (`session_id`) opens nothing; the token against forged requests is made from it
with a key of this home.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from functools import partial

import msgspec
from litestar.datastructures import Cookie

from api.identity.accounts import Accounts, AccountsAwayError
from api.identity.peers import Connection
from api.identity.presence import attended
from api.identity.principal import OWN, RIGHTS, Principal, Role
from api.identity.recollection import Recollection
from infra.postgres import sign_ins
from infra.postgres.accounts import User
from infra.postgres.sign_ins import SessionRow

SECOND = 1_000_000_000
IDLE_NS = 30 * 60 * SECOND
LONGEST_NS = 12 * 60 * 60 * SECOND
NOTED_AFTER_NS = 60 * SECOND  # how often the use of a session is written down
KEPT = 10  # sessions of one person
SECRET_BYTES = 32
AGENT_CHARACTERS = 200
CSRF_HEADER = "x-csrf-token"


class Sessions:
    """Begins, finds and ends them. `now`: machine clock, ns UTC; `csrf_key`: of this home."""

    def __init__(self, accounts: Accounts, csrf_key: bytes, now: Callable[[], int], *, tls: bool) -> None:
        self._accounts = accounts
        self._csrf_key = csrf_key
        self._now = now
        self._tls = tls
        self._known: Recollection[bytes, SessionRow] = Recollection(now)
        self.cookie_name = "__Host-kitepilot" if tls else "kitepilot"

    async def begin(self, user: User, address: str, agent: str, *, fresh: bool) -> tuple[str, SessionRow]:
        """A new secret and its session. Raises `AccountsAwayError`."""
        now, secret = self._now(), secrets.token_urlsafe(SECRET_BYTES)
        row = SessionRow(
            session_id=secrets.token_hex(8),
            user_id=user.user_id,
            email=user.email,
            role=user.role,
            began_at_ns=now,
            seen_at_ns=now,
            fresh_at_ns=now if fresh else 0,
            address=address,
            agent="".join(each for each in agent if each.isprintable())[:AGENT_CHARACTERS],
        )
        await self._accounts(partial(sign_ins.begin, secret_hash=_hash(secret), row=row, keep=KEPT))
        return secret, row

    async def way(self, connection: Connection) -> Principal | None:
        """Who has the session of the cookie; None without one that holds, or while nobody can be asked."""
        return await self.principal(connection.cookies.get(self.cookie_name, ""), used=attended(connection))

    async def principal(self, secret: str, *, used: bool = True) -> Principal | None:
        """As `way`, by the cookie's value; `used`: somebody is there."""
        if not secret or len(secret) > 2 * SECRET_BYTES:
            return None
        key = _hash(secret)
        try:
            found = await self._known.recall(key, partial(self._load, key))
        except AccountsAwayError:
            return None
        if found is None or not self._holds(found.row):
            return None
        row, rights = found.row, RIGHTS[Role(found.row.role)]
        if found.away:
            return Principal(row.user_id, row.email, Role(row.role), rights - {OWN}, 0, row.session_id)
        if used:
            await self._note_use(key, row)
        return Principal(row.user_id, row.email, Role(row.role), rights, row.fresh_at_ns, row.session_id)

    def ends_at(self, secret: str) -> int:
        """When the session that was just looked at ends if nobody uses it any more, ns UTC; 0: not known."""
        known = self._known.peek(_hash(secret))
        return min(known.seen_at_ns + IDLE_NS, known.began_at_ns + LONGEST_NS) if known else 0

    async def step_up(self, secret: str) -> str | None:
        """A new secret for the session, whose one-time code is of now; None where it has ended meanwhile."""
        new = secrets.token_urlsafe(SECRET_BYTES)
        turn = partial(sign_ins.rotate, old=_hash(secret), new=_hash(new), fresh_at_ns=self._now())
        done = await self._accounts(turn)
        self._known.forget(_hash(secret))
        return new if done else None

    async def end(self, secret: str) -> None:
        """Raises `AccountsAwayError`: it is forgotten here all the same."""
        try:
            await self._accounts(partial(sign_ins.end, secret_hash=_hash(secret)))
        finally:  # not before: a request in between would be remembered
            self._known.forget(_hash(secret))

    async def end_by_id(self, user_id: str | None, session_id: str) -> bool:
        """Whether there was one of that name; `user_id` None: whosesoever."""
        ended = await self._accounts(partial(sign_ins.end_by_id, user_id=user_id, session_id=session_id))
        if ended:
            self._known.forget_if(lambda row: row.session_id == session_id)
        return ended

    async def all_of(self, user_id: str | None) -> list[SessionRow]:
        """Newest first; None: everybody's."""
        now = self._now()
        wanted = partial(
            sign_ins.sessions, user_id=user_id, began_after=now - LONGEST_NS, seen_after=now - IDLE_NS
        )
        return await self._accounts(wanted)

    def csrf_token(self, session_id: str) -> str:
        """What an unsafe request of that session carries in `x-csrf-token`."""
        return hmac.new(self._csrf_key, session_id.encode(), hashlib.sha256).hexdigest()

    def proves_its_page(self, connection: Connection, principal: Principal) -> bool:
        """Whether the request carries the token of its session."""
        said = connection.headers.get(CSRF_HEADER, "")
        return hmac.compare_digest(said.encode(), self.csrf_token(principal.session).encode())

    def cookie(self, secret: str) -> Cookie:
        """Not for scripts, not to other sites' pages, under TLS never in the clear; "" takes it away."""
        return Cookie(
            key=self.cookie_name,
            value=secret,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self._tls,
            max_age=LONGEST_NS // SECOND if secret else 0,
        )

    async def _load(self, key: bytes) -> SessionRow | None:
        return await self._accounts(partial(sign_ins.by_secret, secret_hash=key))

    def _holds(self, row: SessionRow) -> bool:
        now = self._now()
        return now - row.began_at_ns < LONGEST_NS and now - row.seen_at_ns < IDLE_NS

    async def _note_use(self, key: bytes, row: SessionRow) -> None:
        now = self._now()
        if now - row.seen_at_ns < NOTED_AFTER_NS:
            return
        self._known.keep(key, msgspec.structs.replace(row, seen_at_ns=now))
        try:
            await self._accounts(partial(sign_ins.seen, secret_hash=key, at_ns=now))
        except AccountsAwayError:
            return


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
