"""Refusals in Kite's own words: HTTP status, error_type, message (Kite exceptions page, 2026-07-14)."""

from __future__ import annotations


class KiteError(Exception):
    """A refusal that leaves the sandbox as Kite's error envelope. No order exists because of it."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message

    def envelope(self) -> dict[str, object]:
        return {"status": "error", "message": self.message, "data": None, "error_type": self.error_type}


def bad_input(message: str) -> KiteError:
    """400 InputException: a missing or unusable value."""
    return KiteError(400, "InputException", message)


def bad_order(message: str) -> KiteError:
    """400 OrderException: the order cannot be placed, changed or found."""
    return KiteError(400, "OrderException", message)


def bad_token() -> KiteError:
    """403 TokenException: nobody is logged in with these credentials."""
    return KiteError(403, "TokenException", "Incorrect `api_key` or `access_token`.")


def bad_credentials() -> KiteError:
    """400 InputException: no credentials at all, or a key that does not exist."""
    return bad_input("Invalid `api_key` or `access_token`.")


def throttled() -> KiteError:
    """429: over a rate limit; refused before it was looked at."""
    return KiteError(429, "NetworkException", "Too many requests")
