"""Who may come in: login redirect, one-use request tokens, checksum, access tokens that end at six."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from broker_adapter.sandbox.errors import KiteError, bad_credentials, bad_input, bad_token
from kitepilot.market.calendar import ist_date, ist_ns

REQUEST_TOKEN_LIFE_NS = 300 * 1_000_000_000
MAX_REQUEST_TOKENS = 100
MAX_SESSIONS = 100
TOKENS_END = "06:00"


def session_end(at: int) -> int:
    """The next 06:00 IST after an instant (both ns UTC): when Kite ends every session of the day."""
    day = ist_date(at)
    today = ist_ns(day, TOKENS_END)
    return today if at < today else ist_ns(day + timedelta(days=1), TOKENS_END)


@dataclass
class Accounts:
    """One API key of one user. Tokens are drawn, not derived: they are secrets, even here.

    Several access tokens may be alive at once: whether Kite ends the first when a second is made is not
    documented. `single_session` takes the other answer, which the forum gives.

    Args:
        machine_ns: ages request tokens: a person logs in on a wall clock.
        session_ns: the venue's clock, which ends access tokens.
        save: is given `saved()` after each change. Access tokens are in it as SHA-256 digests; request
            tokens are not, so that a login that a restart cut in two is begun again.
    """

    api_key: str
    api_secret: str = field(repr=False)
    redirect_url: str
    machine_ns: Callable[[], int]
    session_ns: Callable[[], int]
    single_session: bool = False
    save: Callable[[bytes], None] = lambda _: None
    _request_tokens: dict[str, int] = field(default_factory=dict, repr=False)
    _sessions: dict[str, int] = field(default_factory=dict, repr=False)

    def login(self, api_key: str, redirect_params: str) -> str:
        """Where the browser goes after a login: the redirect URL with a request_token.

        Raises:
            KiteError: 400 for a key that does not exist.
        """
        if api_key != self.api_key:
            raise bad_input("Invalid `api_key`.")
        token = secrets.token_urlsafe(24).replace("-", "x").replace("_", "y")
        if len(self._request_tokens) >= MAX_REQUEST_TOKENS:
            self._request_tokens.pop(next(iter(self._request_tokens)))
        self._request_tokens[token] = self.machine_ns()
        query = {"action": "login", "type": "login", "status": "success", "request_token": token}
        extra = dict(urllib.parse.parse_qsl(redirect_params))
        separator = "&" if "?" in self.redirect_url else "?"
        return self.redirect_url + separator + urllib.parse.urlencode({**extra, **query})

    def exchange(self, api_key: str, request_token: str, checksum: str) -> str:
        """A request token for an access token, once, within five minutes.

        Raises:
            KiteError: 400 for a wrong key or checksum, 403 for a token that is unknown, used or too old.
        """
        wanted = hashlib.sha256((self.api_key + request_token + self.api_secret).encode()).hexdigest()
        if api_key != self.api_key:
            raise bad_credentials()
        if not hmac.compare_digest(wanted.encode(), checksum.encode()):
            raise bad_input("Invalid `checksum`.")
        made_at = self._request_tokens.pop(request_token, None)
        if made_at is None or self.machine_ns() - made_at > REQUEST_TOKEN_LIFE_NS:
            raise KiteError(403, "TokenException", "Token is invalid or has expired.")
        token = secrets.token_hex(16)
        if self.single_session:
            self._sessions.clear()
        if len(self._sessions) >= MAX_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        self._sessions[_digest(token)] = session_end(self.session_ns())
        self.save(self.saved())
        return token

    def authorised(self, api_key: str, access_token: str) -> bool:
        """Whether the token is alive at this instant of the venue's clock."""
        ends_at = self._sessions.get(_digest(access_token), 0)
        return api_key == self.api_key and self.session_ns() < ends_at

    def check_header(self, header: str) -> None:
        """`Authorization: token api_key:access_token`. Raises KiteError 400 or 403."""
        if not header:
            raise bad_credentials()
        scheme, _, credentials = header.partition(" ")
        key, _, token = credentials.partition(":")
        if scheme.lower() != "token" or not self.authorised(key, token):
            raise bad_token()

    def logout(self, api_key: str, access_token: str) -> None:
        """End a session. Raises KiteError 403 if there is none."""
        if not self.authorised(api_key, access_token):
            raise bad_token()
        del self._sessions[_digest(access_token)]
        self.save(self.saved())

    def expire(self) -> None:
        """End every session now, as at six in the morning or by "log out from all sessions"."""
        self._sessions.clear()
        self.save(self.saved())

    def saved(self) -> bytes:
        """What a restart needs."""
        return msgspec.json.encode(self._sessions)

    def restore(self, saved: bytes) -> None:
        """Take what `saved` gave. Raises msgspec.DecodeError."""
        self._sessions = msgspec.json.decode(saved, type=dict[str, int])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
