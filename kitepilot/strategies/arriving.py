"""A strategy's text on its way through the tick partition, in records of 166 bytes.

    texts_of("my_idea", source) -> ["code my_idea 1f0c... 12", "part c$|e(...", ...]

One message holds them all, so they have one place in the order; whoever reads the log has the text, and needs
nothing else to do the day again. The words `on NAME` and `off NAME` are records of the same kind.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kitepilot.market.ticks import MAX_TEXT_BYTES
from kitepilot.strategies.own import MAX_BYTES, OwnStrategyError, digest, named

CODE, PART, ON, OFF = "code", "part", "on", "off"
_PIECE = MAX_TEXT_BYTES - len(PART) - 1


@dataclass(frozen=True, slots=True)
class Said:
    """What the owner said of a strategy: switch it on or off, or (`code`) go on with this text."""

    verb: str
    name: str
    source: str = ""


def texts_of(name: str, source: str) -> list[str]:
    """The texts of the records that carry `source`, in order.

    Raises:
        OwnStrategyError: not a name, or too long a text.
    """
    if not named(name) or len(source.encode()) > MAX_BYTES:
        raise OwnStrategyError(
            f"{name!r} is no name for a strategy, or its text has more than {MAX_BYTES} bytes"
        )
    packed = base64.b85encode(zlib.compress(source.encode(), 9)).decode()
    pieces = [packed[at : at + _PIECE] for at in range(0, len(packed), _PIECE)]
    return [f"{CODE} {name} {digest(source)} {len(pieces)}", *(f"{PART} {piece}" for piece in pieces)]


@dataclass
class Arriving:
    """Records taken one after the other; holds the pieces of one text at most."""

    name: str = ""
    wanted: str = ""  # digest
    missing: int = 0
    pieces: list[str] = field(default_factory=list)

    def take(self, text: str) -> Said | None:
        """What is said once it is whole, None while pieces are missing.

        Raises:
            OwnStrategyError: a record that does not fit the one before, or a text that is not the one
                announced; what was held is forgotten.
        """
        verb, _, rest = text.partition(" ")
        if verb == PART and self.missing:
            return self._piece(rest)
        unfinished, self.missing = self.missing, 0
        if unfinished:
            raise OwnStrategyError(
                f"the text of {self.name} lacks {unfinished} pieces; then came {text[:40]!r}"
            )
        if verb in (ON, OFF) and named(rest):
            return Said(verb, rest)
        if verb == CODE:
            self._begin(rest.split(" "))
            return None
        raise OwnStrategyError(f"not a word about a strategy: {text[:40]!r}")

    def _begin(self, words: Sequence[str]) -> None:
        if (
            len(words) != 3
            or not named(words[0])
            or not words[2].isdecimal()
            or not 0 < int(words[2]) <= 1000
        ):
            raise OwnStrategyError(f"not the beginning of a strategy's text: {' '.join(words)[:60]!r}")
        self.name, self.wanted, self.missing, self.pieces = words[0], words[1], int(words[2]), []

    def _piece(self, piece: str) -> Said | None:
        self.pieces.append(piece)
        self.missing -= 1
        if self.missing:
            return None
        source = _unpacked("".join(self.pieces))
        self.pieces = []
        if source is None or digest(source) != self.wanted:
            raise OwnStrategyError(f"the text of {self.name} did not arrive as it was sent")
        return Said(CODE, self.name, source)

    def snapshot(self) -> list[Any]:
        """Plain data."""
        return [self.name, self.wanted, self.missing, list(self.pieces)]

    @classmethod
    def restored(cls, saved: Sequence[Any]) -> Arriving:
        """As it was when `snapshot` was taken."""
        return cls(*saved)


def _unpacked(packed: str) -> str | None:
    """At most `MAX_BYTES` of text; None when it is not what `texts_of` packs."""
    try:
        inflater = zlib.decompressobj()
        raw = inflater.decompress(base64.b85decode(packed), MAX_BYTES + 1)
        return raw.decode() if len(raw) <= MAX_BYTES and inflater.eof else None
    except (binascii.Error, ValueError, zlib.error):
        return None
