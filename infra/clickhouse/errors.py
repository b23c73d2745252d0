"""ClickHouse's error codes as its HTTP interface shows them."""

from __future__ import annotations

import re

#: HTTP status by error code, as ClickHouse's HTTPHandler maps them; anything else is 500.
_STATUS_CODES = {
    400: (6, 25, 26, 27, 33, 36, 38, 41, 53, 62, 72, 117, 131, 190, 456, 457),
    401: (194,),
    403: (192, 193, 497, 516),
    404: (46, 47, 50, 56, 60, 73, 81, 115, 372),
    408: (159, 209),
    501: (48,),
    503: (202,),
}
HTTP_STATUS = {code: status for status, codes in _STATUS_CODES.items() for code in codes}

_CODE = re.compile(r"Code: (\d+)")
UNKNOWN_EXCEPTION = 1002


class RequestError(Exception):
    """A request refused before the engine saw it, in ClickHouse's own words and numbers."""

    def __init__(self, code: int, name: str, message: str, status: int | None = None) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {message}. ({name})")
        self.status = status


def described(error: BaseException, version: str) -> tuple[int, int, str]:
    """(HTTP status, ClickHouse code, text) for any error; the text always starts with `Code: N`."""
    text = str(error)
    start = text.find("Code: ")
    text = text[start:] if start >= 0 else f"Code: {UNKNOWN_EXCEPTION}. DB::Exception: {text}."
    found = _CODE.match(text)
    code = int(found[1]) if found else UNKNOWN_EXCEPTION
    status = getattr(error, "status", None) or HTTP_STATUS.get(code, 500)
    return status, code, f"{text.rstrip()} (version {version} (embedded))"
