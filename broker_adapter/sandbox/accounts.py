"""Who may come in: login redirect, one-use request tokens, checksum, access tokens."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field

from broker_adapter.sandbox.errors import KiteError, bad_input, bad_token

REQUEST_TOKEN_LIFE_NS = 300 * 1_000_000_000
MAX_REQUEST_TOKENS = 100


@dataclass
class Accounts:
    """One API key of one user. Tokens are drawn, not derived: they are secrets, even here.

    Several access tokens may be alive at once: whether Kite ends the first when a second is made is not
    documented, and the sandbox does not depend on either answer.
    """

    api_key: str
    api_secret: str = field(repr=False)
    redirect_url: str
    machine_ns: Callable[[], int]
    _request_tokens: dict[str, int] = field(default_factory=dict, repr=False)
    _access_tokens: set[str] = field(default_factory=set, repr=False)

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
        return self.redirect_url + separator + urllib.parse.urlencode({**query, **extra})

    def exchange(self, api_key: str, request_token: str, checksum: str) -> str:
        """A request token for an access token, once, within five minutes.

        Raises:
            KiteError: 400 for a wrong key or checksum, 403 for a token that is unknown, used or too old.
        """
        wanted = hashlib.sha256((self.api_key + request_token + self.api_secret).encode()).hexdigest()
        if api_key != self.api_key:
            raise bad_input("Invalid `api_key` or `access_token`.")
        if not hmac.compare_digest(wanted.encode(), checksum.encode()):
            raise bad_input("Invalid `checksum`.")
        made_at = self._request_tokens.pop(request_token, None)
        if made_at is None or self.machine_ns() - made_at > REQUEST_TOKEN_LIFE_NS:
            raise KiteError(403, "TokenException", "Token is invalid or has expired.")
        token = secrets.token_hex(16)
        self._access_tokens.add(token)
        return token

    def authorised(self, api_key: str, access_token: str) -> bool:
        return api_key == self.api_key and access_token in self._access_tokens

    def check_header(self, header: str) -> None:
        """`Authorization: token api_key:access_token`. Raises KiteError 403."""
        scheme, _, credentials = header.partition(" ")
        key, _, token = credentials.partition(":")
        if scheme.lower() != "token" or not self.authorised(key, token):
            raise bad_token()

    def logout(self, api_key: str, access_token: str) -> None:
        """End a session. Raises KiteError 403 if there is none."""
        if not self.authorised(api_key, access_token):
            raise bad_token()
        self._access_tokens.discard(access_token)
