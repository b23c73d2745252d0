"""What a failed order request means: no order for certain, or nobody knows.

Kite has no idempotency key and its errors lie: a 400 that says "timed out" has been an order seconds later.
So only replies that prove the request was refused count as refusals; everything else is `Unknown`. Kite has
no error codes either, so the few texts that ask for something special of us are matched (forum and support
articles, read 2026-11-21), before the status: they come with more than one.
"""

from __future__ import annotations

import re

import httpx
import requests
from kiteconnect import exceptions as kite
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from kitepilot.ports import AuthLost, Outcome, Rejected, Throttled, Unknown

TOO_MANY = 429
FORBIDDEN = 403
REFUSING = frozenset({400, 401, FORBIDDEN, 404, 405, 410, 422, 428, TOO_MANY})  # these prove a refusal
LYING_TEXT = re.compile(r"tim(ed?|ing)[ -]?out|check the order ?book", re.IGNORECASE)
CERTAIN_TEXTS = {
    "ip_refused": re.compile(r"\bIP \S+ is not allowed|\bno IPs? configured", re.IGNORECASE),
    "day_cap": re.compile(r"maximum allowed order requests", re.IGNORECASE),
    "order_gone": re.compile(r"order (for ID|id)?.*does ?n[o']t exist", re.IGNORECASE),
}
BAD_CREDENTIALS = re.compile(r"(incorrect|invalid) `?api_key`? or `?access_token`?", re.IGNORECASE)


def classify(error: Exception) -> Outcome:
    """The exception of an order request -> outcome. Never `Accepted`."""
    if never_left(error):
        return Rejected("unreachable", f"no connection to the broker: {error}")
    if not isinstance(error, kite.KiteException):
        return Unknown(f"{type(error).__name__}: {error}")
    text, code = str(error), int(error.code)
    if _proves_nothing(error, text, code):
        return Unknown(f"{code} {type(error).__name__}: {text}")
    return _refusal(error, text, code)


def _refusal(error: kite.KiteException, text: str, code: int) -> Outcome:
    for name, pattern in CERTAIN_TEXTS.items():
        if pattern.search(text):
            return Rejected(name, text)
    if code == TOO_MANY:
        return Throttled(text)
    if isinstance(error, kite.TokenException) or BAD_CREDENTIALS.search(text):
        return AuthLost(text)
    return Rejected(type(error).__name__, text)


def _proves_nothing(error: kite.KiteException, text: str, code: int) -> bool:
    if code not in REFUSING or LYING_TEXT.search(text):
        return True
    return code != TOO_MANY and isinstance(error, kite.NetworkException | kite.DataException)


def never_left(error: Exception) -> bool:
    """The connection was never made, so nothing was sent."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def throttled(error: BaseException) -> bool:
    """Asked too often: nobody is unwell, but it is worth a whole second of silence."""
    return status_of(error) == TOO_MANY


def unwell(error: BaseException) -> bool:
    """The broker's side or the way to it is in trouble; a refusal, however worded, is not trouble."""
    if isinstance(error, kite.NetworkException | kite.DataException):
        return not throttled(error)
    if isinstance(error, kite.KiteException) and LYING_TEXT.search(str(error)):
        return True
    if (status := status_of(error)) is not None:
        return status >= 500
    return isinstance(error, requests.RequestException | httpx.TransportError | KeyError | TypeError)


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error, where there was one."""
    if isinstance(error, kite.KiteException):
        return int(error.code)
    return error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None
