"""Where a list goes on: an opaque word of ours that a client hands back.

It names the list and the last row that was seen, never a page number: rows that come in between move nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Annotated, TypeVar

import msgspec
from litestar.params import QueryParameter

from api.problems import Problem

MOST_ROWS = 500
MAX_CURSOR = 200

T = TypeVar("T")
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_ROWS, description="Most rows of one answer.")]
Cursor = Annotated[
    str | None,
    QueryParameter(
        max_length=MAX_CURSOR, description="`next` of the answer before; without it the list begins."
    ),
]


def sealed(name: str, *key: int | str) -> str:
    """The cursor of the list `name` after the row with this key."""
    raw = msgspec.json.encode([name, *key])
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def opened(name: str, cursor: str | None, *kinds: type) -> tuple[int | str, ...] | None:
    """The key in a cursor of the list `name`, one value of each kind; None without a cursor.

    Raises:
        Problem: bad_cursor.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=list)
    except (binascii.Error, ValueError) as err:
        raise Problem("bad_cursor", "The cursor cannot be read.") from err
    key = found[1:]
    if found[:1] != [name] or [type(each) for each in key] != list(kinds) or not _small(key):
        raise Problem("bad_cursor", "The cursor is of another list.")
    return tuple(key)


def _small(key: Sequence[object]) -> bool:
    """Numbers that a database takes."""
    return all(abs(each) < 1 << 63 for each in key if isinstance(each, int))


def paged(name: str, rows: Iterable[tuple[int, T]], limit: int) -> tuple[list[T], str | None]:
    """Numbered rows, the newest first -> the first `limit` of them, and the cursor of the rest."""
    taken: list[tuple[int, T]] = []
    for row in rows:
        if len(taken) == limit:
            return [each for _, each in taken], sealed(name, taken[-1][0])
        taken.append(row)
    return [each for _, each in taken], None


def before(name: str, cursor: str | None) -> int | None:
    """The number that the next row must be below."""
    key = opened(name, cursor, int)
    return int(key[0]) if key else None
