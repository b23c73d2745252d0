"""Symbols without an instruments file -> tokens that are the same wherever the symbol is met."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

_FIRST, _SPAN = 100_000, 800_000
_SHARE, _INDEX = 1, 9  # Kite's segment codes


def derived_tokens(symbols: Iterable[str], held: Iterable[int] = ()) -> list[int]:
    """One per symbol: the first free after a hash of the name, none of `held` (whole tokens).

    Only index names have a space in them.
    """
    taken = {token >> 8 for token in held}
    tokens = []
    for symbol in symbols:
        exchange_token = _FIRST + int.from_bytes(blake2b(symbol.encode(), digest_size=4).digest()) % _SPAN
        while exchange_token in taken:
            exchange_token += 1
        taken.add(exchange_token)
        tokens.append(exchange_token * 256 + (_INDEX if " " in symbol else _SHARE))
    return tokens
