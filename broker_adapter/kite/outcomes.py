"""What a failed order request means: no order for certain, or nobody knows.

Kite has no idempotency key and its errors lie: a 400 that says "timed out" has been an order seconds later.
So only replies that prove the request was refused count as refusals; everything else is `Unknown`.
"""

from __future__ import annotations

import re

import requests
from kiteconnect import exceptions as kite
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from kitepilot.ports import AuthLost, Outcome, Rejected, Throttled, Unknown

TOO_MANY = 429
LYING_TEXT = re.compile(r"tim(ed?|ing)[ -]?out|check the order ?book", re.IGNORECASE)


def classify(error: Exception) -> Outcome:
    """The exception of an order request -> outcome. Never `Accepted`."""
    if never_left(error):
        return Rejected("unreachable", f"no connection to the broker: {error}")
    if not isinstance(error, kite.KiteException):
        return Unknown(f"{type(error).__name__}: {error}")
    text, code = str(error), int(error.code)
    if code == TOO_MANY:
        return Throttled(text)
    if _proves_nothing(error, text, code):
        return Unknown(f"{code} {type(error).__name__}: {text}")
    return AuthLost(text) if isinstance(error, kite.TokenException) else Rejected(type(error).__name__, text)


def _proves_nothing(error: kite.KiteException, text: str, code: int) -> bool:
    unclear = isinstance(error, kite.NetworkException | kite.DataException) or not 400 <= code < 500
    return unclear or LYING_TEXT.search(text) is not None


def never_left(error: Exception) -> bool:
    """The connection was never made, so nothing was sent."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)


def worth_repeating(error: Exception) -> bool:
    """For reads only: trouble that may be gone in a moment."""
    if isinstance(error, kite.KiteException):
        return int(error.code) == TOO_MANY or int(error.code) >= 500
    return isinstance(error, requests.RequestException | KeyError)
