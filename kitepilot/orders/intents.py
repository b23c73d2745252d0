"""Names of signals and intents, derived from what they are about, so that a replay gives the same ones.

An intent id is 18 characters of RFC 4648 base32 (A-Z, 2-7): 90 bits of BLAKE2b. With a two-digit slice it is
the tag we send: Kite takes at most 20 alphanumeric characters and refuses more (documentation of orders, read
2026-07-14), and the tag is the only way to find an order whose reply was lost.

The watchdog's orders are named alike, with a 9 in front, which is no base32 character: nobody can take one
for an order of the decisions, and everybody can tell that it is KitePilot's.
"""

from __future__ import annotations

import hashlib
import re

from kitepilot.events import Purpose

ID_CHARACTERS = 18
MAX_SLICE = 99
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS = tuple(one + other for one in _BASE32 for other in _BASE32)  # two characters at once: ten bits
_TAG = re.compile(r"^([A-Z2-7]{18})([0-9]{2})$")
_WATCHDOG_TAG = re.compile(r"^(9[A-Z2-7]{17})([0-9]{2})$")


def signal_id(strategy: str, token: int, interval_s: int, bar_close_at: int) -> str:
    """One strategy says one thing about one instrument at one bar close (ns UTC)."""
    return _derive("signal", strategy, token, interval_s, bar_close_at)


def intent_id(
    run_id: str, strategy: str, token: int, bar_close_at: int, sequence: int, purpose: Purpose
) -> str:
    """`sequence` counts the orders of the run, so that a repeated exit gets its own name.

    The run is part of it: two runs of one day must never find each other's orders by tag.
    """
    return _derive("intent", run_id, strategy, token, bar_close_at, sequence, purpose.value)


def watchdog_intent_id(run_id: str, token: int, raised_at: int, attempt: int) -> str:
    """The `attempt`-th exit of one instrument behind the fence that was raised at `raised_at` (ns)."""
    return "9" + _derive("watchdog", run_id, token, raised_at, attempt)[1:]


def verdict_id(run_id: str, sequence: int) -> str:
    """The `sequence`-th verdict of a run."""
    return _derive("verdict", run_id, sequence)


def tag(intent: str, slice_number: int = 0) -> str:
    """Intent id and slice (0..99) -> the 20 characters that travel with the order.

    Raises:
        ValueError: not an intent id, or a slice outside 0..99.
    """
    text = f"{intent}{slice_number:02d}"
    if not 0 <= slice_number <= MAX_SLICE or not _TAG.match(text):
        raise ValueError(
            f"no tag from intent {intent!r} and slice {slice_number}: 18 base32 characters, 0..99"
        )
    return text


def watchdog_tag(intent: str, slice_number: int = 0) -> str:
    """As `tag`, for an id of `watchdog_intent_id`. Raises ValueError likewise."""
    text = f"{intent}{slice_number:02d}"
    if not 0 <= slice_number <= MAX_SLICE or not _WATCHDOG_TAG.match(text):
        raise ValueError(f"no watchdog's tag from intent {intent!r} and slice {slice_number}")
    return text


def parse_tag(text: str) -> tuple[str, int] | None:
    """A tag found in the broker's book -> (intent id, slice); None when it is not one of ours."""
    found = _TAG.match(text)
    return (found[1], int(found[2])) if found else None


def parse_watchdog_tag(text: str) -> tuple[str, int] | None:
    """The same for the watchdog's orders; None for everybody else's, the decisions' included."""
    found = _WATCHDOG_TAG.match(text)
    return (found[1], int(found[2])) if found else None


def is_ours(text: str) -> bool:
    """Whether KitePilot placed the order with that tag: the decisions, in any run, or the watchdog."""
    return bool(_TAG.match(text) or _WATCHDOG_TAG.match(text))


def _derive(*parts: str | int) -> str:
    """Fields are joined by a character that no name contains, so that no two lists of parts meet."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=12).digest()
    bits = int.from_bytes(digest) >> (8 * len(digest) - 5 * ID_CHARACTERS)
    return "".join([_PAIRS[bits >> shift & 0x3FF] for shift in range(5 * ID_CHARACTERS - 10, -1, -10)])
